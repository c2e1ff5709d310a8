"""What a training job can know about a build before any work, and whether it can be trained on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from faceloom.models.preset import MOST_SIZE, Preset
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
    """

    out: str
    settings: Recipe
    samples: Mapping[str, int]
    people: Callable[[], tuple[str, ...]]


def members_of(settings: Recipe) -> dict[str, str]:
    """Members of the samples of a recipe, and the key of the recipe that adds them ("" for those always there)."""
    names = {"face": "", "landmarks": "", "json": ""}
    if settings.masks:
        names |= {"masked": "masks", "mask": "masks"}
    if settings.guide:
        names["guide"] = "guide"
    if settings.output.halves:
        names |= dict.fromkeys(("upper", "lower", "lower_landmarks"), "output.halves")
    if settings.lowres:
        names |= dict.fromkeys(("lr", "lr_upsampled"), "lowres")
    if settings.output.features:
        names["features"] = "output.features"
    return names


_KEYS = {
    "masked": "masks", "mask": "masks", "guide": "guide", "upper": "output.halves", "lower": "output.halves",
    "lower_landmarks": "output.halves", "lr": "lowres", "lr_upsampled": "lowres", "features": "output.features",
}  # fmt: skip


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
        key = _KEYS.get(missing[0], missing[0])
        what = "the build has no masked faces" if key == "masks" else f"the samples of the build have no {missing[0]}"
        raise TrainingError(what, where=build.out, remedy=f"Add `{key}` to its recipe; {suitable}")
    if not build.samples.get(TRAIN):
        has = ", ".join(build.samples) or "none"
        remedy = f"Add one; {suitable}"
        raise TrainingError("the build has no split `train`", where=build.out, value=has, remedy=remedy)
    width, height = build.settings.align.width_height
    fits = width % preset.stride == 0 if preset.any_size else width == preset.size
    if not fits or width != height or width > MOST_SIZE:
        wanted = f"a multiple of {preset.stride}, at most {MOST_SIZE}" if preset.any_size else str(preset.size)
        mode = build.settings.align.mode
        remedy = f"Build with `align: {{mode: {mode}, size: {preset.size}}}`; {suitable}"
        what = f"the crops of the build do not fit `{preset.name}`, which takes squares with a side of {wanted}"
        raise TrainingError(what, where=build.out, value=f"{width}x{height}", remedy=remedy)
    return replace(preset, size=width)
