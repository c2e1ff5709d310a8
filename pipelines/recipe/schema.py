"""The JSON Schema of a recipe, with which editors complete and check YAML.

Written by `faceloom schema > recipes/recipe.schema.json`; the shipped recipes name that file in their first line.
"""

from __future__ import annotations

import json
from typing import Any

from faceloom.schemas.recipe import Recipe


def recipe_schema() -> dict[str, Any]:
    """JSON Schema, draft 2020-12."""
    schema = _cleaned(Recipe.model_json_schema(by_alias=True))
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "A recipe of faceloom"}


def schema_text() -> str:
    """The schema as the text of a file."""
    return json.dumps(recipe_schema(), indent=1, ensure_ascii=False) + "\n"


def _cleaned(node: Any) -> Any:
    """Without `words`, which is for our own reference, and without titles, which only repeat the keys."""
    if isinstance(node, list):
        return [_cleaned(item) for item in node]
    if not isinstance(node, dict):
        return node
    made = {key: _cleaned(value) for key, value in node.items() if key != "words"}
    if isinstance(made.get("title"), str):
        del made["title"]
    return made
