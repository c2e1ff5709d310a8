"""What mirrors to what when a picture is flipped left to right: landmarks, and parts of a face that have a side.

Names with a side mean the person's own left and right. The person in a flipped picture is another one: the left eye of
the first is the right eye of the second.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from faceloom.schemas.augment import HorizontalFlip
from faceloom.schemas.guide import Region
from faceloom.schemas.recipe import Recipe

_JAW, _BROWS, _NOSE = range(16, -1, -1), range(26, 16, -1), (27, 28, 29, 30, 35, 34, 33, 32, 31)
_EYES = (45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40)
_MOUTH = (54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55, 64, 63, 62, 61, 60, 67, 66, 65)
MIRRORED_LANDMARKS = np.array([*_JAW, *_BROWS, *_NOSE, *_EYES, *_MOUTH])
"""Index of each landmark's mirror partner, iBUG order."""

_PAIRS: tuple[tuple[Region, Region], ...] = (("l_eye", "r_eye"), ("l_brow", "r_brow"), ("l_ear", "r_ear"))
MIRRORED_REGIONS: dict[Region, Region] = {one: other for pair in _PAIRS for one, other in (pair, pair[::-1])}
"""The partner of each part that has one. `l_lip`, `neck_l` and `ear_r` are the lower lip, a necklace and an earring."""


def mirrored(regions: Iterable[Region]) -> tuple[Region, ...]:
    """The parts that lie where these lie once the picture is flipped."""
    return tuple(MIRRORED_REGIONS.get(region, region) for region in regions)


def mirrors_parts(recipe: Recipe) -> bool:
    """Whether flipped samples of a recipe have another guide than the flipped one: it shows a part of one side only."""
    if recipe.guide is None or not any(isinstance(step, HorizontalFlip) for step in recipe.augment):
        return False
    return set(mirrored(recipe.guide.regions)) != set(recipe.guide.regions)
