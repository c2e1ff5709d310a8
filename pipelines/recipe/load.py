"""Load recipes from YAML files."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from faceloom.pipelines.recipe.shipped import find_recipe
from faceloom.pipelines.recipe.yaml_text import MOST_BYTES, parse_yaml
from faceloom.schemas.base import Model
from faceloom.schemas.errors import RecipeError
from faceloom.schemas.recipe import Recipe, parse_recipe


def load_recipe(recipe: str | Path) -> Recipe:
    """Read and validate a recipe (YAML 1.2).

    Args:
        recipe: path of a file, or the name of a recipe that ships with faceloom, such as `masked-pairs`. A file of that
            name wins. Paths inside a recipe are absolute or relative to its folder.

    Returns:
        The recipe, with all paths absolute.

    Raises:
        RecipeError: the file is missing, is no regular file, is not YAML, or its content is wrong; `where` is the path
            of the fault, such as `$.masks[1].shape`.
    """
    path = find_recipe(recipe)
    try:
        data = parse_yaml(_read(path))
    except RecipeError as error:
        raise RecipeError(error.what, where=error.where or str(path), value=error.value, remedy=error.remedy) from None
    except OSError as error:
        raise RecipeError("cannot read the recipe", where=str(path), value=error.strerror or error) from None
    return _resolve_paths(parse_recipe(data, where=str(path)), path.parent)


def _read(path: Path) -> bytes:
    """At most one byte more than a recipe may have. A pipe or a device, which might never end, is refused."""
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    with os.fdopen(descriptor, "rb") as stream:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise RecipeError("a recipe is a regular file, not a pipe or a device")
        return stream.read(MOST_BYTES + 1)


def _resolve_paths(recipe: Recipe, folder: Path) -> Recipe:
    """Make the paths that a recipe names absolute."""

    def resolved(part: Model, *names: str) -> Model:
        values = {name: getattr(part, name, None) for name in names}
        return part.model_copy(
            update={
                name: str((folder / Path(value).expanduser()).absolute()) for name, value in values.items() if value
            }
        )

    return recipe.model_copy(
        update={
            "sources": tuple(resolved(source, "path", "root", "labels") for source in recipe.sources),
            "masks": tuple(resolved(mask, "path", "anchors", "checkpoint") for mask in recipe.masks),
            "faces": resolved(recipe.faces, "landmark_model"),
            "lowres": recipe.lowres and resolved(recipe.lowres, "sizes_from"),
            "output": recipe.output.model_copy(
                update={"features": recipe.output.features and resolved(recipe.output.features, "model")}
            ),
        }
    )
