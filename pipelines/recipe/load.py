"""Load recipes from YAML files."""

from __future__ import annotations

import os
import posixpath
from pathlib import Path

from faceloom.pipelines.recipe.shipped import find_recipe
from faceloom.pipelines.recipe.yaml_text import MOST_BYTES, parse_yaml
from faceloom.pipelines.store.fetched import fetched
from faceloom.schemas.base import Model
from faceloom.schemas.errors import RecipeError
from faceloom.schemas.face_options import OnnxDetector
from faceloom.schemas.masks import named_files
from faceloom.schemas.recipe import Recipe, parse_recipe
from faceloom.schemas.regular_files import UnfitFileError, read_regular_file
from faceloom.schemas.urls import url_of


def load_recipe(recipe: str | Path) -> Recipe:
    """Read and validate a recipe (YAML 1.2).

    Args:
        recipe: path or URL of a file, or the name of a recipe that ships with faceloom, such as `masked-pairs`. A file
            of that name wins. Paths inside a recipe are absolute or relative to its folder.

    Returns:
        The recipe, with all paths absolute.

    Raises:
        RecipeError: the file is missing, is no regular file, is too long, is not YAML, or its content is wrong; `where`
            is the file, and the line or the path of the fault, such as `r.yaml: $.masks[1].shape`.
        StorageError: the object store of a URL cannot be used.
    """
    path: str | Path = url_of(recipe) or find_recipe(recipe)
    try:
        data = parse_yaml(read_regular_file(fetched(path, MOST_BYTES), MOST_BYTES))
    except RecipeError as error:
        where = f"{path}: {error.where}" if error.where else str(path)
        raise RecipeError(error.what, where=where, value=error.value, remedy=error.remedy) from None
    except (OSError, UnfitFileError) as error:
        why, remedy = getattr(error, "strerror", None) or error, "A recipe is a short YAML file"
        raise RecipeError(f"cannot read the recipe: {why}", where=str(path), remedy=remedy) from None
    folder = path.parent if isinstance(path, Path) else path.rpartition("/")[0]
    return _resolve_paths(parse_recipe(data, where=str(path)), folder)


def _resolve_paths(recipe: Recipe, folder: Path | str) -> Recipe:
    """Make the paths that a recipe names absolute; keys that it leaves out stay unset."""

    def resolved(part: Model, *names: str) -> Model:
        found = {name: value for name in names if (value := getattr(part, name, None))}
        return part.model_copy(update={name: _absolute(folder, value) for name, value in found.items()})

    output, features = recipe.output, recipe.output.features
    faces = recipe.faces
    nets = {"detector": resolved(faces.detector, "onnx")} if isinstance(faces.detector, OnnxDetector) else {}
    nets |= {"masked": resolved(faces.masked, "detector")} if faces.masked else {}
    nets |= {"parser": resolved(faces.parser, "onnx")} if faces.parser else {}
    changes = {
        "sources": tuple(
            resolved(source, "path", "root", "labels", "bare", "masked", "maps") for source in recipe.sources
        ),
        "masks": tuple(resolved(mask, *named_files(mask)) for mask in recipe.masks),
        "faces": resolved(faces, "landmark_model").model_copy(update=nets),
        "lowres": recipe.lowres and resolved(recipe.lowres, "sizes_from"),
        "output": output.model_copy(update={"features": resolved(features, "model")})
        if features and features.file
        else output,
    }
    return recipe.model_copy(update={name: part for name, part in changes.items() if name in recipe.model_fields_set})


def _absolute(folder: Path | str, path: str) -> str:
    """A path or URL that does not depend on the folder, given by path or URL, in which the recipe lies."""
    if url := url_of(path):
        return url
    # Path.expanduser ends in an error for the home of a user that does not exist; this leaves the path as it is.
    full = os.path.expanduser(path)  # noqa: PTH111
    if isinstance(folder, Path):
        return str((folder / full).absolute())
    scheme, _, rest = folder.partition("://")
    return full if os.path.isabs(full) else f"{scheme}://{posixpath.normpath(f'{rest}/{full}')}"  # noqa: PTH117
