"""Write the reference of every recipe key from the schema itself.

Run as `python -m faceloom.pipelines.recipe.reference > docs/recipe-reference.md`.
"""

from __future__ import annotations

import inspect
import re
import sys
from typing import Any, get_args

from pydantic import BaseModel

from faceloom.schemas.augment import Augment
from faceloom.schemas.base import NAMED_COLOURS
from faceloom.schemas.guide import Guide
from faceloom.schemas.lowres import LowRes
from faceloom.schemas.masks import AutoencoderMask, PictureMask, PolygonMask, TemplateMask
from faceloom.schemas.morph import Morph, Weights
from faceloom.schemas.recipe import Align, Faces, Features, Halves, Output, Recipe, Shards, Split
from faceloom.schemas.source_spec import SourceSpec, TableColumns

SECTIONS: tuple[tuple[str, type[BaseModel]], ...] = (
    ("The recipe", Recipe),
    ("sources[]", SourceSpec),
    ("sources[].columns", TableColumns),
    ("faces", Faces),
    ("masks[] with kind: template", TemplateMask),
    ("masks[] with kind: polygon", PolygonMask),
    ("masks[] with kind: picture", PictureMask),
    ("masks[] with kind: autoencoder", AutoencoderMask),
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
)
"""Title and model of each section."""

_WEARING = "over nose and mouth; with the nose out; pulled under the chin; on the chin, with the mouth out too"
_WEIGHT = "how often it is drawn, against the other masks' weights"

MEANINGS = {
    "Recipe.name": "what the build is called: lower-case letters, digits, `-` and `_`",
    "Recipe.description": "for people to read",
    "Recipe.seed": "of every random draw; another seed gives another choice of masks and of their looks",
    "Recipe.sources": "where photos come from; `--source` on the command line replaces them",
    "Recipe.faces": "which faces are used, and how they are found",
    "Recipe.masks": "what is drawn from; without masks a build holds aligned faces alone",
    "Recipe.align": "the crop that every sample gets",
    "Recipe.split": "how samples are divided",
    "Recipe.output": "what a sample holds and how it is encoded",
    "TableColumns.uri": "path of the photo; the only column that a table must have",
    "TableColumns.identity": "who is in it",
    "TableColumns.split": "the source's own split",
    "TableColumns.landmarks": "68 pairs x, y in pixels of the upright photo; in a CSV as JSON",
    "TableColumns.attributes": "an object of further facts; in a CSV as JSON",
    "TableColumns.licence": "terms of use",
    "TableColumns.consent": "what the subject agreed to",
    "Faces.select": "of several faces in a photo",
    "Faces.assume": "`aligned`: the photos are ArcFace crops, such as 112 x 112 ones, and no detector runs",
    "TemplateMask.kind": "one of our own vector masks, fitted to the face",
    "TemplateMask.template": "which one",
    "TemplateMask.colour": "`any` draws from what such masks are sold in",
    "TemplateMask.pattern": "`any` draws from what such masks are sold in",
    "TemplateMask.wearing": _WEARING,
    "TemplateMask.spread": "how much size, place and tilt vary: 1 as people wear masks, 0 as designed",
    "TemplateMask.straps": "whether ear loops or head bands are painted",
    "TemplateMask.weight": _WEIGHT,
    "PolygonMask.kind": "a solid shape through landmarks, as in NISTIR 8311",
    "PolygonMask.shape": "A, C, E follow the jaw, high, medium and low; B, D, F are ellipses, likewise",
    "PolygonMask.colour": "of the whole shape",
    "PolygonMask.weight": _WEIGHT,
    "PictureMask.kind": "any RGBA picture of a mask",
    "PictureMask.path": "the picture, relative to the recipe",
    "PictureMask.anchors": "file with its six anchor points, relative to the recipe",
    "PictureMask.wearing": _WEARING,
    "PictureMask.weight": _WEIGHT,
    "AutoencoderMask.kind": "a mask by a trained network",
    "AutoencoderMask.checkpoint": "folder that `faceloom train autoencoder` wrote, relative to the recipe",
    "AutoencoderMask.blend": "lay the mask over the photo by its coverage, or take the network's whole output",
    "AutoencoderMask.when": "faces with landmarks, or photos in which no face was found, each taken whole",
    "AutoencoderMask.weight": _WEIGHT,
    "Align.mode": "eyes level and centred; the ArcFace template on five points; or a square around the face box",
    "Align.size": "of the crop in pixels: one number, or width and height",
    "Split.by": "whole people by hash; as the source says; or a share of each person's photos",
    "Split.shares": "by `identity` only; they add up to 1",
    "Split.per_identity": "share of each person's photos that goes to train, the rest to test; implies its `by`",
    "Output.shards": "target size of one shard; whichever limit is met first divides it",
    "Shards.samples": "samples in one shard at most",
    "Shards.bytes": "a number, or text such as `256MiB` or `1GB`",
}
"""What keys mean whose schema does not say it itself."""

_PLAIN_TYPES = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false"}
_LIMITS = (("minimum", "≥"), ("exclusiveMinimum", ">"), ("gt", ">"), ("maximum", "≤"), ("exclusiveMaximum", "<"))


def meaning_of(model: type[BaseModel], key: str) -> str:
    """What a key means: from its field, else from its model's docstring, else from `MEANINGS`.

    Raises:
        KeyError: nobody says it.
    """
    by_key = {field.alias or name: field for name, field in model.model_fields.items()}
    if description := by_key[key].description:
        return description
    documented = re.search(rf"^    {key}: (.+(?:\n {{8}}.+)*)", inspect.cleandoc(model.__doc__ or ""), re.MULTILINE)
    name = f"{model.__name__}.{key}"
    if key == "kind" and not documented and name not in MEANINGS:  # one of many small models: what it is says it all
        return (model.__doc__ or "").splitlines()[0].rstrip(".")
    text = documented[1] if documented else MEANINGS[name]
    return re.sub(r"\s+", " ", text).rstrip(".")


def describe_type(schema: dict[str, Any], key: str) -> str:
    """A JSON schema as words: allowed values, type and limits."""
    if "$ref" in schema:
        return "mapping, below"
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "anyOf" in schema:
        parts = [describe_type(part, key) for part in schema["anyOf"] if part.get("type") != "null"]
        return " or ".join(parts)
    if "words" in schema:
        return str(schema["words"])
    if "prefixItems" in schema:
        if key in ("size_range", "size_share"):
            return "[smallest, largest]"
        return "a colour" if key == "colour" else "[width, height]"
    if schema.get("type") == "array":
        items = schema["items"]
        if "$ref" in items or "oneOf" in items:
            return "list of mappings, below"
        if "enum" in items:
            return "list of " + ", ".join(f"`{value}`" for value in items["enum"])
        return "list of text" if items["type"] == "string" else f"list: {describe_type(items, key)}"
    if schema.get("type") == "object":
        return "mapping of " + ", ".join(f"`{name}`" for name in schema["propertyNames"]["enum"])
    limits = ", ".join(f"{sign} {schema[limit]:g}" for limit, sign in _LIMITS if limit in schema)
    return _PLAIN_TYPES[schema["type"]] + (f" {limits}" if limits else "")


def describe_default(schema: dict[str, Any], required: bool) -> str:
    """The value that a key has if it is left out."""
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
