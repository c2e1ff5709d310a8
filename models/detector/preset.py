"""Presets of the detector of face masks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, ClassVar

from annotated_types import Interval

from faceloom.models.preset import JobSpec, Preset, Share, Widths, option


@dataclass(frozen=True, kw_only=True)
class DetectorPreset(Preset):
    """The U-Net of Mask2Face and its training: binary cross-entropy, Adam, 75 epochs of batches of 32.

    Attributes:
        widths: feature maps at full resolution, a half, a quarter …
        reduce: factor by which pictures are reduced before the network and maps enlarged after it; 1 in the paper.
        bare: share of the training faces that are shown without a mask, with an empty map. Without any, a network that
            has only seen masked faces finds a mask on every face.
        flip: whether faces are mirrored at random.
        shift: maximum random shift, as a share of the side.
        zoom: maximum factor of random enlargement and of reduction.
        turn: maximum random rotation, in radians.
        degrade: share of the faces that are blurred, share that get noise, and share that lose their colour; above 0,
            light and colour of all faces are varied too.
        dilate: side of the ellipse that widens the found map, in pixels; 1 leaves it as it is.
    """

    size: Annotated[int, Interval(ge=8, le=1024)] = 160
    epochs: Annotated[int, Interval(ge=1, le=10**9)] = 75
    learning_rate: Annotated[float, Interval(gt=0)] = 1e-3
    widths: Widths = (64, 128, 256, 512, 1024)
    reduce: Annotated[int, Interval(ge=1, le=4)] = 1
    bare: Share = field(default=0.25, metadata=option("Share of the training faces that are shown without a mask."))
    flip: bool = True
    shift: Share = 0.12
    zoom: Annotated[float, Interval(ge=1, le=4)] = 1.35
    turn: Share = 0.3
    degrade: Share = 0.3
    dilate: Annotated[int, Interval(ge=1, le=31)] = 3

    unstated: ClassVar[tuple[str, ...]] = (
        "learning_rate",
        "schedule",
        "bare",
        "flip",
        "shift",
        "zoom",
        "turn",
        "degrade",
    )
    any_size: ClassVar[bool] = True

    @property
    def stride(self) -> int:
        """The side of a crop must be a multiple of it."""
        return int(self.reduce * 2 ** (len(self.widths) - 1))

    @property
    def least(self) -> int:
        """Side of the smallest crops: instance normalisation needs more than one pixel at the coarsest level."""
        return max(8, 2 * self.stride)

    @property
    def largest_layer(self) -> int:
        """The most values that a layer makes of one face."""
        return 2 * self.widths[0] * self.size**2


DETECTOR = JobSpec(
    help="Train a detector of face masks: masked faces in, maps of the mask out.",
    presets=(
        DetectorPreset(name="paper", batch=32, save_every=5),
        DetectorPreset(
            name="small", batch=16, epochs=16, learning_rate=3e-3, schedule="cosine", widths=(12, 24, 48, 96), reduce=2
        ),
        DetectorPreset(name="tiny", size=16, epochs=3, batch=4, learning_rate=5e-3, widths=(4, 8), reduce=2),
    ),
    preset_help="paper: the U-Net of Mask2Face. small: narrower and at half the resolution, for two CPU cores.",
    examples=(
        "faceloom train detector --data m2f --preset small --to runs/det",
        "faceloom train detector --data m2f --preset paper --device cuda --to runs/det",
    ),
)
