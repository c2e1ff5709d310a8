"""What a training job can know about a build before any work, and whether it can be trained on it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import chain
from operator import attrgetter
from typing import Any, TypeVar

from faceloom.models.preset import MOST_IN_A_LAYER, MOST_SIZE, Preset
from faceloom.schemas.errors import TrainingError
from faceloom.schemas.recipe import Recipe

P = TypeVar("P", bound=Preset)
TRAIN = "train"


@dataclass(frozen=True)
class BuildFacts:
    """A finished build.

    Attributes:
        out: its folder, for messages.
        settings: its recipe.
        samples: number of samples by split.
        people: returns the identities of the split `train`, sorted. It reads the index.
        read: yields members of the samples of the split `train`. It reads the shards.
        photos: returns the number of photos of each of these people. It reads the index.
    """

    out: str
    settings: Recipe
    samples: Mapping[str, int]
    people: Callable[[], tuple[str, ...]]
    read: Callable[[tuple[str, ...]], Iterable[Mapping[str, Any]]] = lambda members: ()
    photos: Callable[[], Mapping[str, int]] = lambda: {}


ALWAYS = ("face", "landmarks", "json")
"""Members of all samples."""
ADDED_BY = {
    "masks": ("masked", "mask"),
    "guide": ("guide",),
    "output.halves": ("upper", "lower", "lower_landmarks"),
    "lowres": ("lr", "lr_upsampled"),
    "output.features": ("features",),
}
"""Members that a key of the recipe adds to the samples, by the key."""


def members_of(settings: Recipe) -> set[str]:
    """Members of the samples of a recipe."""
    added = (members for key, members in ADDED_BY.items() if attrgetter(key)(settings))
    return {*ALWAYS, *chain.from_iterable(added)}


def coverage_member(settings: Recipe) -> str:
    """The member that jobs read as `mask`: the soft coverage if the build has it."""
    return "alpha" if settings.output.alpha else "mask"


def _key_of(member: str) -> str:
    """The key of the recipe that adds a member; without one its own name."""
    return next((key for key, members in ADDED_BY.items() if member in members), member)


def fit_to_build(preset: P, build: BuildFacts, members: tuple[str, ...], recipe: str) -> P:
    """Check that a build has the members, a split `train` and square crops of a size that the preset takes.

    Args:
        preset: of the job.
        build: to train on.
        members: that the job reads.
        recipe: a shipped recipe that builds suitable samples.

    Returns:
        The preset with the size of the crops.

    Raises:
        TrainingError: it has not.
    """
    suitable = f"recipes/{recipe}.yaml builds suitable samples"
    if missing := [name for name in members if name not in members_of(build.settings)]:
        key = _key_of(missing[0])
        what = "the build has no masked faces" if key == "masks" else f"the samples of the build have no `{missing[0]}`"
        raise TrainingError(what, where=build.out, remedy=f"Add `{key}` to its recipe; {suitable}")
    if not build.samples.get(TRAIN):
        has = ", ".join(build.samples) or "none"
        remedy = f"Add one; {suitable}"
        raise TrainingError("the build has no split `train`", where=build.out, value=has, remedy=remedy)
    width, height = build.settings.align.width_height
    if preset.any_size:
        most = largest_side(preset)
        fits = width % preset.stride == 0 and preset.least <= width <= most
        wanted = f"a multiple of {preset.stride}, at least {preset.least}, at most {most}"
    else:
        fits, wanted = width == preset.size, str(preset.size)
    if not fits or width != height:
        mode = "face_box" if build.settings.align.mode == "frame" else build.settings.align.mode
        remedy = f"Build with `align: {{mode: {mode}, size: {preset.size}}}`; {suitable}"
        what = f"the crops of the build do not fit `{preset.name}`, which takes squares with a side of {wanted}"
        raise TrainingError(what, where=build.out, value=f"{width}x{height}", remedy=remedy)
    return replace(preset, size=width)


def largest_side(preset: Preset) -> int:
    """Side of the largest crops that a preset takes: the largest multiple of its stride with no layer too large."""
    sides = range(MOST_SIZE // preset.stride * preset.stride, 0, -preset.stride)
    return next((side for side in sides if replace(preset, size=side).largest_layer <= MOST_IN_A_LAYER), 0)
