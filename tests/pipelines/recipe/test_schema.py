"""The JSON Schema of a recipe: the shipped file is up to date, and the schema accepts what faceloom accepts."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from faceloom.pipelines.recipe.schema import recipe_schema, schema_text
from faceloom.pipelines.recipe.shipped import find_recipe, recipe_folder, recipe_names
from faceloom.pipelines.recipe.yaml_text import parse_yaml
from faceloom.schemas.recipe import Recipe

CHECK = Draft202012Validator(recipe_schema())


def test_the_shipped_file_is_up_to_date() -> None:
    hint = "stale; run: faceloom schema > recipes/recipe.schema.json"
    assert (recipe_folder() / "recipe.schema.json").read_text(encoding="utf-8") == schema_text(), hint


def test_it_is_a_schema_and_names_every_key() -> None:
    schema = recipe_schema()
    Draft202012Validator.check_schema(schema)
    assert set(schema["properties"]) == set(Recipe.model_fields)
    assert '"words"' not in json.dumps(schema)


def test_every_key_has_a_description() -> None:
    schema = recipe_schema()
    for model in (schema, *schema["$defs"].values()):
        silent = [key for key, value in model.get("properties", {}).items() if "description" not in value]
        assert silent == []


@pytest.mark.parametrize("name", recipe_names())
def test_shipped_recipes_name_the_schema_and_are_valid_by_it(name: str) -> None:
    data = find_recipe(name).read_bytes()
    assert data.startswith(b"# yaml-language-server: $schema=recipe.schema.json\n")
    CHECK.validate(parse_yaml(data))


@pytest.mark.parametrize(
    "more",
    [{"masks": [{"kind": "polygon", "shape": "A", "colour": colour}]} for colour in ("black", "#aabbcc", [0, 128, 255])]
    + [
        {"output": {"shards": {"bytes": "256MiB"}}},
        {"output": {"shards": {"bytes": 1000}}},
        {"lowres": {"sizes": [14, 28]}},
        {"lowres": {"size_range": [8, 16]}},
        {"lowres": {"size_share": [0.1, 0.5]}},
        {"morph": {"lambda": 3, "weights": "uniform"}},
        {"augment": [{"kind": "Affine", "rotate": [-8, 8]}]},
    ],
)
def test_what_a_recipe_may_hold_is_valid(more: dict[str, Any]) -> None:
    assert CHECK.is_valid({"name": "x", **more})


@pytest.mark.parametrize(
    "more",
    [
        {"name": "Not a name"},
        {"per_fase": 2},
        {"masks": [{"kind": "polygon", "shape": "A", "colour": "blakc"}]},
        {"masks": [{"kind": "polygon", "shape": "A", "colour": [0, 0, 256]}]},
        {"output": {"shards": {"bytes": "many"}}},
        {"lowres": {"sizes": [2]}},
        {"lowres": {"size_share": [0.1]}},
        {"augment": [{"kind": "Affine", "rotate": [-8, 800]}]},
        {"align": {"size": "large"}},
    ],
)
def test_what_a_recipe_may_not_hold_is_invalid(more: dict[str, Any]) -> None:
    assert not CHECK.is_valid({"name": "x", **more})
