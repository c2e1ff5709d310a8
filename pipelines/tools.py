"""What rendering needs beside the recipe, loaded once per process, and whether its files are still what they were."""

from __future__ import annotations

from functools import lru_cache

from faceloom.pipelines.features import features_digest, load_extractor
from faceloom.pipelines.painters import check_masks, painter_for
from faceloom.pipelines.real_sizes import real_heights
from faceloom.pipelines.render import Tools
from faceloom.schemas.errors import RecipeError
from faceloom.schemas.keys import digest
from faceloom.schemas.recipe import Recipe


def file_digests(recipe: Recipe) -> tuple[str, ...]:
    """Digests of what the files say that a recipe names, other than those of its masks.

    Raises:
        RecipeError: one cannot be read.
    """
    features = recipe.output.features
    return digest(_heights(recipe)), features_digest(features) if features else ""


def tools_for(recipe: Recipe, mask_digests: tuple[str, ...], files: tuple[str, ...]) -> Tools:
    """The tools of a recipe.

    Args:
        recipe: what is rendered.
        mask_digests, files: what the recipe's files were when the build began.

    Raises:
        RecipeError: a file changed since.
    """
    check_masks(recipe, mask_digests)
    found = file_digests(recipe)
    if any(now != then for now, then in zip(found, files, strict=False)):
        remedy = "Run the same command again; what the old ones made stays under its own name"
        where = "$.lowres.sizes_from, $.output.features.model"
        raise RecipeError("a file that the recipe names changed", where=where, remedy=remedy)
    features = recipe.output.features
    extractor = load_extractor(features, found[1]) if features else None
    return Tools(painter_for(recipe.masks), _heights(recipe), extractor)


def _heights(recipe: Recipe) -> tuple[int, ...]:
    return _read_heights(recipe.lowres.sizes_from) if recipe.lowres and recipe.lowres.sizes_from else ()


@lru_cache(maxsize=4)
def _read_heights(path: str) -> tuple[int, ...]:
    return real_heights(path)
