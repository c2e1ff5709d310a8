"""The presets of all jobs: network and hyper-parameters as frozen values, which the card of a run repeats."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Interval

from faceloom.models.antimask.preset import ANTIMASK
from faceloom.models.askd.preset import ASKD
from faceloom.models.detector.preset import DETECTOR
from faceloom.models.editor.preset import EDITOR
from faceloom.models.msagan.preset import CLASSIFIER, MSAGAN
from faceloom.models.preset import MOST_IN_A_LAYER, Choice, Factor, JobSpec, Preset, Share, Widths
from faceloom.schemas.errors import CheckpointError, TrainingError
from faceloom.schemas.plain_values import shown

Activation = Literal["linear", "relu", "sigmoid"]


@dataclass(frozen=True, kw_only=True)
class PairPreset(Preset):
    """Settings that both masking networks have.

    Attributes:
        flip: whether pairs are mirrored at random.
        jitter: maximum random shift (share of the side), scaling and rotation (radians) of pairs.
        degrade: share of the input faces that are blurred, and share that lose their colour; above 0, the light of all
            faces is varied too.
    """

    flip: bool = False
    jitter: Share = 0.0
    degrade: Share = 0.0


@dataclass(frozen=True, kw_only=True)
class PaperPreset(PairPreset):
    """The network of Lee 2022 and its training: Adam, mean squared error, 160 epochs; the last epoch is used.

    Held-out error is smallest after few epochs, when the network paints the average face in the average mask. The paper
    does not choose an epoch, and after all epochs people are far easier to recognise.

    Attributes:
        maps: feature maps of the convolutions.
        hidden: width of the bottleneck.
        dense_activation: after both fully connected layers.
        output_activation: after the last transposed convolution.
    """

    maps: Annotated[int, Interval(ge=1, le=1024)] = 16
    hidden: Annotated[int, Interval(ge=1, le=10**6)] = 2500
    dense_activation: Activation = "linear"
    output_activation: Activation = "sigmoid"

    choice: ClassVar[Choice] = "last epoch"
    unstated: ClassVar[tuple[str, ...]] = (
        "batch", "learning_rate", "schedule", "flip", "jitter", "degrade", "dense_activation", "output_activation",
    )  # fmt: skip

    @property
    def largest_layer(self) -> int:
        """The most values that a layer makes of one face."""
        return self.maps * self.size**2


@dataclass(frozen=True, kw_only=True)
class CompactPreset(PairPreset):
    """Our small network, which puts stored cutouts of masks on new faces.

    Attributes:
        widths: feature maps at half, a quarter … of the resolution.
        looks: number of mask cutouts stored with the weights (`models.mask_cutouts`).
        edge: factor that steepens the edge of the coverage after bending; it was smoothed before.
        coverage_weight, colour_weight, flow_weight, soft_weight: of these losses; the composed picture has weight 1.
    """

    widths: Widths = (24, 48, 96)
    looks: Annotated[int, Interval(ge=1, le=100_000)] = 256
    edge: Annotated[float, Interval(ge=0, le=100)] = 2.0
    coverage_weight: Factor = 0.3
    colour_weight: Factor = 1.0
    flow_weight: Factor = 0.1
    soft_weight: Factor = 0.1

    any_size: ClassVar[bool] = True

    @property
    def stride(self) -> int:
        """The side of a crop must be a multiple of it."""
        return int(2 ** len(self.widths))

    @property
    def largest_layer(self) -> int:
        """The most values that a layer makes of one face."""
        return max(width * (self.size >> level) ** 2 for level, width in enumerate(self.widths, 1))


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
"""The presets of the autoencoder by name; `tiny` ones are for tests."""

JOBS: dict[str, JobSpec] = {
    "autoencoder": JobSpec(
        help="Train a masking autoencoder: faces in, masked faces out.",
        presets=tuple(PRESETS.values()),
        preset_help="paper: the network of Lee 2022. compact: ours, small and sharp.",
        examples=(
            "faceloom train autoencoder --data out --preset compact --to runs/compact",
            "faceloom train autoencoder --data out --preset paper --to runs/paper",
            "faceloom train autoencoder --data more --from runs/compact --to runs/more",
        ),
    ),
    "detector": DETECTOR,
    "editor": EDITOR,
    "msagan": MSAGAN,
    "classifier": CLASSIFIER,
    "askd": ASKD,
    "antimask": ANTIMASK,
}
"""The training jobs by name; the class of each is in the module of its name in `models.jobs`."""


def presets_of(job: str) -> dict[str, Preset]:
    """The presets of a job by name.

    Raises:
        TrainingError: there is no such job.
    """
    if job not in JOBS:
        raise TrainingError("unknown network", where="network", value=job, remedy=f"Allowed: {', '.join(JOBS)}")
    return {preset.name: preset for preset in JOBS[job].presets}


def default_preset(job: str) -> str:
    """Name of the preset that a job has by default: the last of its presets that are not for tests.

    Raises:
        TrainingError: there is no such job.
    """
    return [name for name in presets_of(job) if not name.startswith("tiny")][-1]


def preset_values(preset: Preset) -> dict[str, Any]:
    """Return a preset as plain JSON values."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in _fields(preset).items()}


def preset_from_values(values: Mapping[str, Any], *, job: str = "autoencoder", where: str = "") -> Preset:
    """Return the preset of `preset_values`.

    Args:
        values: of a card.
        job: that the card names.
        where: the file of the card, for messages.

    Raises:
        CheckpointError: the values do not form a preset of the job, or one of a network beyond all limits.
    """
    from pydantic import TypeAdapter, ValidationError

    remedy = "It was trained by another version of faceloom; train it again"
    for kind in dict.fromkeys(map(type, JOBS[job].presets)):
        if set(values) == {field.name for field in dataclasses.fields(kind)}:
            break
    else:
        what, value = "the card's hyper-parameters fit no network", ", ".join(map(str, values))[:500]
        raise CheckpointError(what, where=where, value=value, remedy=remedy)
    try:
        preset: Preset = TypeAdapter(kind).validate_json(json.dumps(dict(values)), strict=True)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        place = ".".join(["$.hyper_parameters", *map(str, fault["loc"])])
        place, value = f"{where}: {place}" if where else place, shown(fault["input"])
        raise CheckpointError(fault["msg"], where=place, value=value, remedy=remedy) from None
    if preset.size % preset.stride or preset.size < preset.least or preset.largest_layer > MOST_IN_A_LAYER:
        value = f"size {preset.size}"
        raise CheckpointError("the hyper-parameters form no network", where=where, value=value, remedy=remedy)
    return preset


def _fields(preset: Preset) -> dict[str, Any]:
    return {field.name: getattr(preset, field.name) for field in dataclasses.fields(preset)}
