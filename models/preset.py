"""What every preset holds: the hyper-parameters of a training job as frozen values."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from annotated_types import Interval, Len

Choice = Literal["last epoch", "smallest held-out loss"]
MOST_SIZE = 1024
"""Side of the largest crops that networks take, in pixels."""
MOST_IN_A_LAYER = 2**24
"""Values that a layer may make of one face; a batch of 32 then takes 2 GiB."""

Count = Annotated[int, Interval(ge=1, le=10**9)]
Share = Annotated[float, Interval(ge=0, le=1)]
Factor = Annotated[float, Interval(ge=0, le=1e6)]
Widths = Annotated[tuple[Annotated[int, Interval(ge=1, le=2048)], ...], Len(1, 8)]


@dataclass(frozen=True, kw_only=True)
class Preset:
    """Settings that all jobs have. A field with the metadata `option(…)` can be changed on the command line.

    Attributes:
        name: on the command line.
        size: side of the square training crops, in pixels.
        epochs: passes over the training samples.
        batch: samples per step.
        learning_rate: of all optimisers.
        schedule: whether the learning rate stays constant or decays to almost 0 along half a cosine wave.
        save_every: epochs between two saved states; a higher value saves time, but a kill loses more epochs.
    """

    name: str
    size: Annotated[int, Interval(ge=8, le=MOST_SIZE)] = 64
    epochs: Count = 160
    batch: Count
    learning_rate: Annotated[float, Interval(gt=0)]
    schedule: Literal["constant", "cosine"] = "constant"
    save_every: Count = 1

    unstated: ClassVar[tuple[str, ...]] = ()
    """Names of the fields that the publication does not state; we chose their values."""
    choice: ClassVar[Choice] = "smallest held-out loss"
    """Rule that chooses the best epoch."""
    decides_layers: ClassVar[tuple[str, ...]] = ()
    """Options that decide the layers of the network: a run starts only from a run with the same values."""
    any_size: ClassVar[bool] = False
    """Whether the network takes other sizes than the preset's."""

    @property
    def stride(self) -> int:
        """The side of a crop must be a multiple of it."""
        return 1

    @property
    def least(self) -> int:
        """Side of the smallest crops that the network takes."""
        return 8

    @property
    def largest_layer(self) -> int:
        """The most values that a layer makes of one face."""
        return self.size**2

    def rate(self, epoch: int) -> float:
        """Learning rate of an epoch (1, 2, …). A cosine schedule falls from the full rate to 1 % of it."""
        if self.schedule == "constant":
            return self.learning_rate
        done = (epoch - 1) / max(1, self.epochs - 1)
        return self.learning_rate * (0.01 + 0.99 * (1 + math.cos(math.pi * done)) / 2)


@dataclass(frozen=True)
class JobSpec:
    """What the command line and cards know about a training job without importing torch.

    Attributes:
        help: what it trains, in one sentence.
        presets: the default one is the last of those whose name does not start with `tiny`, which are for tests.
        preset_help: help of the option `--preset`.
        examples: command lines.
        files: help of further options that name a file or a run, by name; their sha256 is in the card.
    """

    help: str
    presets: tuple[Preset, ...]
    preset_help: str
    examples: tuple[str, ...]
    files: Mapping[str, str] = dataclasses.field(default_factory=dict)


def option(text: str) -> dict[str, str]:
    """Metadata of a preset's field that is an option of `faceloom train`.

    Args:
        text: help of the option.
    """
    return {"help": text}


def options_of(kind: type[Preset]) -> dict[str, str]:
    """Help by name of the fields that are options of the command line."""
    return {field.name: field.metadata["help"] for field in dataclasses.fields(kind) if "help" in field.metadata}
