"""The reference of every recipe key, made from the descriptions of the fields.

Run as `python -m faceloom.pipelines.recipe.reference > docs/recipe-reference.md`.
"""

from __future__ import annotations

import sys
from typing import Any, get_args

from pydantic import BaseModel

from faceloom.schemas.augment import Augment
from faceloom.schemas.base import NAMED_COLOURS
from faceloom.schemas.face_options import Faces, MaskedFaces, OnnxDetector
from faceloom.schemas.guide import Guide
from faceloom.schemas.lowres import LowRes
from faceloom.schemas.masks import AutoencoderMask, PictureMask, PolygonMask, RealMask, TemplateMask
from faceloom.schemas.morph import Morph, Weights
from faceloom.schemas.parser import Parser
from faceloom.schemas.recipe import Align, Features, Halves, Output, Recipe, ReleaseLimits, Shards, Split
from faceloom.schemas.source_spec import SourceSpec, TableColumns

SECTIONS: tuple[tuple[str, type[BaseModel]], ...] = (
    ("The recipe", Recipe),
    ("sources[]", SourceSpec),
    ("sources[].columns", TableColumns),
    ("faces", Faces),
    ("faces.detector as a mapping", OnnxDetector),
    ("faces.masked", MaskedFaces),
    ("faces.parser as a mapping", Parser),
    ("masks[] with kind: template", TemplateMask),
    ("masks[] with kind: polygon", PolygonMask),
    ("masks[] with kind: picture", PictureMask),
    ("masks[] with kind: autoencoder", AutoencoderMask),
    ("masks[] with kind: real", RealMask),
    ("align", Align),
    ("morph", Morph),
    ("morph.weights", Weights),
    *((f"augment[] with kind: {step.__name__}", step) for step in get_args(get_args(Augment)[0])),
    ("guide", Guide),
    ("lowres", LowRes),
    ("split", Split),
    ("output", Output),
    ("output.halves", Halves),
    ("output.features", Features),
    ("output.shards", Shards),
    ("release", ReleaseLimits),
)
"""Title and model of each section."""

_PLAIN_TYPES = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false"}
_LIMITS = (("minimum", "≥"), ("exclusiveMinimum", ">"), ("gt", ">"), ("maximum", "≤"), ("exclusiveMaximum", "<"))


def meaning_of(model: type[BaseModel], key: str) -> str:
    """The description of a key's field."""
    by_key = {field.alias or name: field for name, field in model.model_fields.items()}
    description = by_key[key].description
    assert description, f"{model.__name__}.{key} has no description"
    return description


def describe_type(schema: dict[str, Any], key: str) -> str:
    """A JSON schema as words: allowed values, type and limits."""
    if "words" in schema:
        return str(schema["words"])
    if "$ref" in schema:
        return "mapping, below"
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "anyOf" in schema:
        parts = [describe_type(part, key) for part in schema["anyOf"] if part.get("type") != "null"]
        return " or ".join(parts)
    if "prefixItems" in schema:
        if key in ("size_range", "size_share"):
            return "[smallest, largest]"
        return "[width, height]" if len(schema["prefixItems"]) == 2 else "three numbers"
    if schema.get("type") == "array":
        items = schema["items"]
        if "$ref" in items or "oneOf" in items:
            return "list of mappings, below"
        if "enum" in items:
            return "list of " + ", ".join(f"`{value}`" for value in items["enum"])
        return "list of text" if items["type"] == "string" else f"list: {describe_type(items, key)}"
    if schema.get("type") == "object":
        return "mapping of " + ", ".join(f"`{name}`" for name in schema["propertyNames"]["enum"])
    limits = ", ".join(f"{sign} {schema[limit]:,.12g}" for limit, sign in _LIMITS if limit in schema)
    return _PLAIN_TYPES[schema["type"]] + (f" {limits}" if limits else "")


def describe_default(schema: dict[str, Any], required: bool) -> str:
    """The default value of a key, as YAML."""
    default = schema.get("default")
    if required:
        return "**needed**"
    if default is None or default in ("", []) or "$ref" in schema:
        return ""
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if isinstance(default, dict):
        return "`" + ", ".join(f"{name}: {value:g}" for name, value in default.items()) + "`"
    return f"`{default}`"


def reference() -> str:
    """The whole reference as Markdown."""
    colours = ", ".join(f"`{name}`" for name in NAMED_COLOURS)
    parts = [
        "# Every key of a recipe",
        "Written by `python -m faceloom.pipelines.recipe.reference`; do not edit. "
        "An unknown key, a wrong type or an impossible value is refused before any work, with its path in the recipe.",
        f"A colour is `[r, g, b]`, `'#rrggbb'` or one of {colours}. Paths are relative to the recipe's folder.",
    ]
    for title, model in SECTIONS:
        schema = model.model_json_schema()
        rows = ["| key | value | default | meaning |", "|---|---|---|---|"]
        for key, of_key in schema["properties"].items():
            default = describe_default(of_key, key in schema.get("required", []))
            rows.append(f"| `{key}` | {describe_type(of_key, key)} | {default} | {meaning_of(model, key)} |")
        parts += [f"## {title}", "\n".join(rows)]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    sys.stdout.write(reference())
