"""The masks of one face, drawn one after another: what a build must draw for many faces at once."""

from __future__ import annotations

from faceloom.pipelines.plan.draw_masks import _waiting, _waits
from faceloom.schemas.keys import variant_key
from faceloom.schemas.recipe import Recipe


def draw_masks(
    recipe: Recipe, key: str, *, landmarks: bool, found: bool = True, paired: bool = False
) -> tuple[int, ...]:
    """Numbers of the masks that the variants of a face wear.

    Args:
        recipe: of the build.
        key: of the face.
        landmarks: whether the face has trusted landmarks.
        found: whether it was found; otherwise it is a whole photo.
        paired: whether there is a photo of this face with a mask.
    """
    waiting = _waiting(recipe, landmarks, found, paired)
    if not waiting:
        return ()
    return tuple(
        min(waiting, key=lambda one: (_waits(f"{recipe.seed} {variant_key(key, variant)} {one[1]}", one[2]), one[0]))[0]
        for variant in range(recipe.per_face)
    )
