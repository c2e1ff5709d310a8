"""Load recipes from YAML files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from faceloom.schemas.base import Model
from faceloom.schemas.errors import RecipeError
from faceloom.schemas.recipe import Recipe, parse_recipe


def load_recipe(path: Path) -> Recipe:
    """Read and validate a recipe file (YAML). Paths in it are relative to the file's folder or absolute.

    Raises:
        RecipeError: the file is missing, is not YAML, or its content is wrong.
    """
    import yaml

    try:
        text = path.read_text(encoding="utf-8")
        _refuse_twice_named(yaml.compose(text, Loader=yaml.SafeLoader), "$")
        data = yaml.safe_load(text)
    except OSError as error:
        raise RecipeError("cannot read the recipe", where=str(path), value=error.strerror or error) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RecipeError("the recipe is not valid YAML", where=str(path), value=error) from None
    return _resolve_paths(parse_recipe(data, where=str(path)), path.parent)


def _refuse_twice_named(node: Any, path: str) -> None:
    """YAML lets the last of two equal keys win in silence; a recipe with two lists of masks is a mistake."""
    import yaml

    if isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            _refuse_twice_named(item, f"{path}[{number}]")
    elif isinstance(node, yaml.MappingNode):
        seen = set()
        for key, value in node.value:
            if key.value in seen:
                remedy = f"The second stands in line {key.start_mark.line + 1}"
                raise RecipeError("this key is given twice", where=f"{path}.{key.value}", remedy=remedy)
            seen.add(key.value)
            _refuse_twice_named(value, f"{path}.{key.value}")


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
