"""The reference of recipe keys: complete, true to the schema, and not stale."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from faceloom.pipelines.recipe.reference import (
    SECTIONS,
    describe_default,
    describe_type,
    meaning_of,
    reference,
)
from faceloom.schemas.face_options import Faces
from faceloom.schemas.morph import Morph
from faceloom.schemas.recipe import Align, Recipe

FILE = Path(__file__).parents[3] / "docs" / "recipe-reference.md"
KEYS = [(model, key) for _, model in SECTIONS for key in model.model_json_schema()["properties"]]
TEXT = reference()


def test_the_file_in_docs_is_what_the_schema_says_now() -> None:
    hint = "stale; run: python -m faceloom.pipelines.recipe.reference > docs/recipe-reference.md"
    assert FILE.read_text(encoding="utf-8") == TEXT, hint


@pytest.mark.parametrize(("model", "key"), KEYS, ids=lambda part: getattr(part, "__name__", part))
def test_every_key_has_a_row_with_a_meaning(model: type[BaseModel], key: str) -> None:
    meaning = meaning_of(model, key)
    assert len(meaning) > 3
    assert "\n" not in meaning
    assert f"| `{key}` |" in TEXT
    assert meaning in TEXT


def test_every_part_of_the_recipe_has_its_section() -> None:
    parts = set(Recipe.model_json_schema()["$defs"])
    assert {model.__name__ for _, model in SECTIONS} == parts | {"Recipe"}


def test_meanings_are_descriptions_of_fields() -> None:
    assert meaning_of(Faces, "min_size") == Faces.model_fields["min_size"].description
    assert meaning_of(Morph, "lambda") == Morph.model_fields["lambda_"].description


def test_a_key_without_a_description_is_an_error() -> None:
    class New(BaseModel):
        mystery: int = 0

    with pytest.raises(AssertionError, match=r"New\.mystery"):
        meaning_of(New, "mystery")


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ({"type": "string"}, "text"),
        ({"type": "integer", "minimum": 1, "maximum": 100}, "whole number ≥ 1, ≤ 100"),
        ({"type": "number", "exclusiveMinimum": 0}, "number > 0"),
        ({"type": "boolean"}, "true or false"),
        ({"enum": ["a", "b"], "type": "string"}, "`a`, `b`"),
        ({"const": "x", "type": "string"}, "`x`"),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "text"),
        ({"$ref": "#/$defs/Align"}, "mapping, below"),
        ({"type": "array", "items": {"type": "string"}}, "list of text"),
        ({"type": "array", "items": {"$ref": "#"}}, "list of mappings, below"),
        ({"type": "array", "prefixItems": [{}, {}]}, "[width, height]"),
        ({"type": "array", "prefixItems": [{}, {}], "words": "[low, high] from 0 to 1"}, "[low, high] from 0 to 1"),
    ],
)
def test_types_are_described_in_words(schema: dict[str, Any], text: str) -> None:
    assert describe_type(schema, "any") == text


def test_sizes_and_defaults_of_the_crop_are_in_the_reference() -> None:
    size = Align.model_json_schema()["properties"]["size"]
    assert describe_type(size, "size") == "whole number ≥ 16, ≤ 4,096 or [width, height]"
    assert describe_default(size, required=False) == "`112`"


@pytest.mark.parametrize(
    ("schema", "required", "text"),
    [
        ({}, True, "**needed**"),
        ({"default": None}, False, ""),
        ({"default": ""}, False, ""),
        ({"default": False}, False, "`false`"),
        ({"default": {"train": 0.8, "test": 0.2}}, False, "`train: 0.8, test: 0.2`"),
        ({"default": 5}, False, "`5`"),
    ],
)
def test_defaults_are_written_as_in_yaml(schema: dict[str, Any], required: bool, text: str) -> None:
    assert describe_default(schema, required) == text
