"""Presets of Anti-Mask."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Annotated, ClassVar, Literal

from annotated_types import Interval, Len

from faceloom.models.preset import Choice, Factor, JobSpec, Preset, Widths, option

SIDE, UPPER = 224, 96
"""Side of a face, and rows of its upper part, in pixels."""


@dataclass(frozen=True, kw_only=True)
class AntimaskPreset(Preset):
    """Anti-Mask (JATIT 2022): a decoder of features to a face, then an encoder of the upper face to features.

    `epochs` counts both. Adam.

    Attributes:
        decoder_epochs: epochs in which the decoder is trained, before the encoder.
        paint: what the decoder paints: the lower part of the face, or the full face.
        features: length of the vectors of the samples. The build decides it.
        hidden: width of the decoder's shared layer.
        maps: of the decoder, from 8 x 14 pixels to 128 x 224, or from 14 x 14 to 224 x 224 for the full face.
        landmark_weight, picture_weight: of the decoder's losses.
        encoder_maps, encoder_depths: maps and convolutions of each level of the encoder.
        encoder_hidden: width of its first fully connected layer.
        normalise: whether batch normalisation follows its convolutions.
        relu: whether its features are never negative, as those of VGG-Face after its activation.
        match: loss of the encoder's features.
    """

    size: Annotated[int, Interval(ge=224, le=224)] = 224
    learning_rate: Annotated[float, Interval(gt=0)] = 1e-4
    decoder_epochs: Annotated[int, Interval(ge=1, le=10**9)] = field(
        metadata=option("Epochs in which the decoder is trained, of all epochs. Default: from the preset.")
    )
    paint: Literal["lower", "full"] = field(
        default="lower",
        metadata=option("What the decoder paints: lower, the lower part of the face, or full, the full face."),
    )
    features: Annotated[int, Interval(ge=0, le=65536)] = 0
    hidden: Annotated[int, Interval(ge=1, le=65536)] = 1000
    maps: Annotated[tuple[Annotated[int, Interval(ge=1, le=2048)], ...], Len(5, 5)] = (256, 128, 64, 32, 32)
    landmark_weight: Factor = 10.0
    picture_weight: Factor = 100.0
    encoder_maps: Widths = (64, 128, 256, 512, 512)
    encoder_depths: Annotated[tuple[Annotated[int, Interval(ge=1, le=8)], ...], Len(1, 8)] = (2, 2, 3, 3, 3)
    encoder_hidden: Annotated[int, Interval(ge=1, le=65536)] = 4096
    normalise: bool = False
    relu: bool = False
    match: Literal["mse", "cosine"] = "mse"

    choice: ClassVar[Choice] = "smallest held-out loss"
    decides_layers: ClassVar[tuple[str, ...]] = ("paint",)
    unstated: ClassVar[tuple[str, ...]] = ("batch", "schedule", "maps", "normalise", "relu", "match")

    @property
    def painted(self) -> tuple[str, str]:
        """Members of the samples: the picture that the decoder paints, and its landmarks."""
        return ("face", "landmarks") if self.paint == "full" else ("lower", "lower_landmarks")

    @property
    def largest_layer(self) -> int:
        """The most values that a layer makes of one face."""
        return max(self.encoder_maps[0], self.maps[-1]) * self.size**2

    def rate(self, epoch: int) -> float:
        """Learning rate of an epoch; each network has its own schedule."""
        length, number = self.decoder_epochs, epoch
        if epoch > self.decoder_epochs:
            length, number = self.epochs - self.decoder_epochs, epoch - self.decoder_epochs
        return Preset.rate(replace(self, epochs=length), number)


ANTIMASK = JobSpec(
    help="Train the completion of a face from its upper part: a decoder of features, then an encoder to them.",
    presets=(
        AntimaskPreset(name="paper", epochs=130, decoder_epochs=100, batch=32, save_every=5),
        AntimaskPreset(
            name="small", epochs=36, decoder_epochs=18, batch=16, learning_rate=1e-3, schedule="cosine", hidden=256,
            maps=(64, 32, 16, 8, 8), encoder_maps=(8, 16, 32, 64, 64), encoder_depths=(1, 1, 1, 1, 1),
            encoder_hidden=256, normalise=True, save_every=5,
        ),
        AntimaskPreset(
            name="tiny-antimask", epochs=4, decoder_epochs=2, batch=4, learning_rate=3e-3, hidden=16,
            maps=(8, 8, 8, 8, 8), encoder_maps=(4, 4, 4, 4, 4), encoder_depths=(1, 1, 1, 1, 1), encoder_hidden=16,
        ),
    ),
    preset_help="paper: the decoder of the paper and VGG-16's convolutions. small: narrow networks for two CPU cores.",
    examples=(
        "faceloom build anti.yaml --source photos --out anti",
        "faceloom train antimask --data anti --preset small --to runs/anti",
        "faceloom train antimask --data anti --preset small --paint full --to runs/full",
    ),
)  # fmt: skip
"""The job `antimask`."""
