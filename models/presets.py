"""Presets: network and hyper-parameters as frozen values, which the card of a run repeats."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, TypeAdapter, ValidationError

from faceloom.schemas.errors import CheckpointError
from faceloom.schemas.plain_values import shown

Choice = Literal["last epoch", "smallest held-out loss"]
Activation = Literal["linear", "relu", "sigmoid"]
MOST_SIZE = 1024
"""Side of the largest crops that networks take, in pixels."""
MOST_IN_A_LAYER = 2**24
"""Values that a layer may make of one face; a batch of 32 then takes 2 GiB."""

_Count = Annotated[int, Field(ge=1, le=10**9)]
_Share = Annotated[float, Field(ge=0, le=1)]
_Factor = Annotated[float, Field(ge=0, le=1e6)]


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
    size: Annotated[int, Field(ge=8, le=MOST_SIZE)] = 64
    epochs: _Count = 160
    batch: _Count
    learning_rate: Annotated[float, Field(gt=0)]
    schedule: Literal["constant", "cosine"] = "constant"
    flip: bool = False
    jitter: _Share = 0.0
    degrade: _Share = 0.0
    save_every: _Count = 1

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

    maps: Annotated[int, Field(ge=1, le=1024)] = 16
    hidden: Annotated[int, Field(ge=1, le=10**6)] = 2500
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

    widths: Annotated[tuple[Annotated[int, Field(ge=1, le=2048)], ...], Field(min_length=1, max_length=8)] = (
        24,
        48,
        96,
    )
    looks: Annotated[int, Field(ge=1, le=100_000)] = 256
    edge: Annotated[float, Field(ge=0, le=100)] = 2.0
    coverage_weight: _Factor = 0.3
    colour_weight: _Factor = 1.0
    flow_weight: _Factor = 0.1
    soft_weight: _Factor = 0.1

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


def preset_from_values(values: Mapping[str, Any], *, where: str = "") -> PaperPreset | CompactPreset:
    """Return the preset of `preset_values`.

    Args:
        values: of a card.
        where: the file of the card, for messages.

    Raises:
        CheckpointError: the values do not form a preset, or one of a network beyond all limits.
    """
    remedy = "It was trained by another version of faceloom; train it again"
    kind: type[PaperPreset] | type[CompactPreset]
    for kind in (PaperPreset, CompactPreset):
        if set(values) == {field.name for field in dataclasses.fields(kind)}:
            break
    else:
        what, value = "the card's hyper-parameters fit no network", ", ".join(map(str, values))[:500]
        raise CheckpointError(what, where=where, value=value, remedy=remedy)
    try:
        preset: PaperPreset | CompactPreset = TypeAdapter(kind).validate_json(json.dumps(dict(values)), strict=True)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        place = ".".join(["$.hyper_parameters", *map(str, fault["loc"])])
        place, value = f"{where}: {place}" if where else place, shown(fault["input"])
        raise CheckpointError(fault["msg"], where=place, value=value, remedy=remedy) from None
    if preset.size % preset.stride or _largest_layer(preset) > MOST_IN_A_LAYER:
        value = f"size {preset.size}"
        raise CheckpointError("the hyper-parameters form no network", where=where, value=value, remedy=remedy)
    return preset


def _largest_layer(preset: PaperPreset | CompactPreset) -> int:
    """The most values that a layer makes of one face."""
    if isinstance(preset, PaperPreset):
        return preset.maps * preset.size**2
    return max(width * (preset.size >> level) ** 2 for level, width in enumerate(preset.widths, 1))


def _fields(preset: Preset) -> dict[str, Any]:
    return {field.name: getattr(preset, field.name) for field in dataclasses.fields(preset)}
