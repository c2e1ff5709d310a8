"""The recipes that ship with faceloom, by name."""

from __future__ import annotations

import os
from importlib.resources import files
from pathlib import Path

from faceloom.schemas.base import did_you_mean
from faceloom.schemas.errors import RecipeError


def recipe_folder() -> Path:
    """The folder of the installed package that holds them."""
    return Path(str(files("faceloom.recipes").joinpath("recipe.schema.json"))).parent


def recipe_names() -> list[str]:
    """Their names, sorted."""
    return sorted(path.stem for path in recipe_folder().glob("*.yaml"))


def shipped_recipe(name: str) -> Path:
    """The file of a recipe that ships with faceloom.

    Raises:
        RecipeError: there is none of this name.
    """
    names = recipe_names()
    if name in names:
        return recipe_folder() / f"{name}.yaml"
    hint = did_you_mean(name, names)
    raise RecipeError(
        f"no such recipe ships with faceloom{hint}", value=name, remedy=f"Choose from: {', '.join(names)}"
    )


def find_recipe(recipe: str | Path) -> Path:
    """The file of a recipe: the path of a file, or the name of a recipe that ships with faceloom. A file wins.

    Raises:
        RecipeError: there is neither.
    """
    path, text = Path(os.path.expanduser(recipe)), str(recipe)  # noqa: PTH111
    names = recipe_names()
    if _exists(path) and not (path.is_dir() and text in names):
        return path
    if text in names:
        return recipe_folder() / f"{text}.yaml"
    hint = did_you_mean(path.stem, names)
    remedy = f"Give the path of a YAML file, or the name of a recipe that ships with faceloom: {', '.join(names)}"
    raise RecipeError(f"there is no such recipe{hint}", value=text, remedy=remedy)


def _exists(path: Path) -> bool:
    """Whether there is such a file, readable or not."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return False
    except OSError as error:
        why, remedy = error.strerror or error, "Give the path of a YAML file"
        raise RecipeError(f"cannot read the recipe: {why}", where=str(path)[:200], remedy=remedy) from None
    return True
