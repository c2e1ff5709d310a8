"""Presets: network and hyper-parameters as frozen values, which the card of a run repeats."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from faceloom.schemas.errors import CheckpointError

Choice = Literal["last epoch", "smallest held-out loss"]
Activation = Literal["linear", "relu", "sigmoid"]


@dataclass(frozen=True, kw_only=True)
class Preset:
    """Settings that both networks have.

    Attributes:
        name: on the command line.
        size: side of the square training crops, in pixels.
        epochs: passes over the training pairs.
        batch: pairs per step.
        learning_rate: of Adam.
        schedule: whether the learning rate stays constant or decays to almost 0 along half a cosine wave.
        flip: whether pairs are mirrored at random.
        jitter: maximum random shift (share of the side), scaling and rotation (radians) of pairs.
        degrade: share of the input faces that are blurred, and share that lose their colour; above 0, the light of all
            faces is varied too.
        save_every: epochs between two saved states; a higher value saves time, but a kill loses more epochs.
    """

    name: str
    size: int = 64
    epochs: int = 160
    batch: int
    learning_rate: float
    schedule: Literal["constant", "cosine"] = "constant"
    flip: bool = False
    jitter: float = 0.0
    degrade: float = 0.0
    save_every: int = 1

    unstated: ClassVar[tuple[str, ...]] = ()
    """Names of the fields that the publication does not state; we chose their values."""
    choice: ClassVar[Choice] = "smallest held-out loss"
    """Rule that chooses the best epoch."""
    stride: ClassVar[int] = 1
    """The side of a crop must be a multiple of it."""


@dataclass(frozen=True, kw_only=True)
class PaperPreset(Preset):
    """The network of Lee 2022 and its training: Adam, mean squared error, 160 epochs; the last epoch is used.

    Held-out error is smallest after few epochs, when the network paints the average face in the average mask. The paper
    does not choose an epoch, and after all epochs people are far easier to recognise.

    Attributes:
        maps: feature maps of the convolutions.
        hidden: width of the bottleneck.
        dense_activation: after both fully connected layers.
        output_activation: after the last transposed convolution.
    """

    maps: int = 16
    hidden: int = 2500
    dense_activation: Activation = "linear"
    output_activation: Activation = "sigmoid"

    choice: ClassVar[Choice] = "last epoch"
    unstated: ClassVar[tuple[str, ...]] = (
        "batch", "learning_rate", "schedule", "flip", "jitter", "degrade", "dense_activation", "output_activation",
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class CompactPreset(Preset):
    """Our small network, which puts stored cutouts of masks on new faces.

    Attributes:
        widths: feature maps at half, a quarter … of the resolution.
        looks: number of mask cutouts stored with the weights (`models.mask_cutouts`).
        edge: factor that steepens the edge of the coverage after bending; it was smoothed before.
        coverage_weight, colour_weight, flow_weight, soft_weight: of these losses; the composed picture has weight 1.
    """

    widths: tuple[int, ...] = (24, 48, 96)
    looks: int = 256
    edge: float = 2.0
    coverage_weight: float = 0.3
    colour_weight: float = 1.0
    flow_weight: float = 0.1
    soft_weight: float = 0.1

    @property
    def stride(self) -> int:  # type: ignore[override]
        """The side of a crop must be a multiple of it."""
        return int(2 ** len(self.widths))


PRESETS: dict[str, PaperPreset | CompactPreset] = {
    preset.name: preset
    for preset in (
        PaperPreset(name="paper", batch=32, learning_rate=3e-4, save_every=10),
        CompactPreset(
            name="compact", epochs=320, batch=16, learning_rate=3e-3, schedule="cosine", flip=True, jitter=0.08,
            degrade=0.15, save_every=5,
        ),
        PaperPreset(name="tiny-paper", size=16, epochs=4, batch=4, learning_rate=1e-3, maps=2, hidden=12),
        CompactPreset(
            name="tiny-compact", size=16, epochs=4, batch=4, learning_rate=2e-3, flip=True, jitter=0.05, degrade=0.2,
            widths=(6,), looks=5,
        ),
    )
}  # fmt: skip
"""The presets by name; `tiny` ones are for tests."""


def preset_values(preset: Preset) -> dict[str, Any]:
    """Return a preset as plain JSON values."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in _fields(preset).items()}


def preset_from_values(values: Mapping[str, Any]) -> PaperPreset | CompactPreset:
    """Return the preset of `preset_values`.

    Raises:
        CheckpointError: the values do not form a preset.
    """
    plain: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    for kind in (PaperPreset, CompactPreset):
        if set(plain) == {field.name for field in dataclasses.fields(kind)}:
            return kind(**plain)
    remedy = "It was trained by another version of faceloom; train it again"
    raise CheckpointError("the card's hyper-parameters fit no network", value=", ".join(values), remedy=remedy)


def _fields(preset: Preset) -> dict[str, Any]:
    return {field.name: getattr(preset, field.name) for field in dataclasses.fields(preset)}
