"""What rendering needs beside the recipe, loaded once per process, and whether its files are still what they were."""

from __future__ import annotations

from faceloom.pipelines.render.features import WHERE, features_digest, load_extractor
from faceloom.pipelines.render.painters import check_masks, painter_for
from faceloom.pipelines.render.real_sizes import Heights, one_by_one
from faceloom.pipelines.render.render_photos import Tools
from faceloom.schemas.errors import RecipeError
from faceloom.schemas.keys import digest
from faceloom.schemas.recipe import Recipe


def file_digests(recipe: Recipe, heights: Heights = ()) -> tuple[str, ...]:
    """Digests of what the files say that a recipe names, other than those of its masks.

    Args:
        recipe: what is rendered.
        heights: of `heights_for`.

    Raises:
        RecipeError: one cannot be read.
    """
    features = recipe.output.features
    return digest(heights), features_digest(features) if features else ""


def tools_for(recipe: Recipe, mask_digests: tuple[str, ...], files: tuple[str, ...], heights: Heights = ()) -> Tools:
    """The tools of a recipe.

    Args:
        recipe: what is rendered.
        mask_digests, files: what the recipe's files were when the build began.
        heights: of `heights_for`, then; they are not read again, so that nothing can change them.

    Raises:
        RecipeError: a file changed since.
    """
    check_masks(recipe, mask_digests)
    found = file_digests(recipe, heights)
    if any(now != then for now, then in zip(found, files, strict=False)):
        remedy = "Run the same command again; what the old ones made stays under its own name"
        raise RecipeError("a file that the recipe names changed", where=WHERE, remedy=remedy)
    features = recipe.output.features
    extractor = load_extractor(features, found[1]) if features else None
    return Tools(painter_for(recipe.masks), one_by_one(heights), extractor)
