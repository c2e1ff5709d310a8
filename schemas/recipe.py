"""The recipe: all settings that decide the content of a build, validated before any work."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError, WithJsonSchema, model_validator

from faceloom.schemas.augment import Augment
from faceloom.schemas.base import Model, did_you_mean
from faceloom.schemas.errors import RecipeError
from faceloom.schemas.guide import Guide
from faceloom.schemas.lowres import LowRes
from faceloom.schemas.masks import Mask, serves_with_landmarks
from faceloom.schemas.morph import Morph
from faceloom.schemas.source_spec import SourceSpec

_NAME = r"^[a-z0-9][a-z0-9_-]*$"
_QUOTED = "'([^']*)'"
_UNITS = {"": 1, "b": 1, "kib": 2**10, "mib": 2**20, "gib": 2**30, "kb": 10**3, "mb": 10**6, "gb": 10**9}


def _byte_count(value: object) -> object:
    if isinstance(value, str):
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", value.lower())
        if not match or match[2] not in _UNITS:
            raise ValueError("a size is a number of bytes or text such as '256MiB' or '1GB'")
        return int(float(match[1]) * _UNITS[match[2]])
    return value


_BYTES = r"^\s*\d+(\.\d+)?\s*([kKmMgG]([iI]?[bB])|[bB])?\s*$"
ByteCount = Annotated[
    int,
    BeforeValidator(_byte_count),
    Field(gt=0),
    WithJsonSchema(
        {
            "anyOf": [{"type": "integer", "exclusiveMinimum": 0}, {"type": "string", "pattern": _BYTES}],
            "words": "whole number > 0, or text",
        }
    ),
]
"""Bytes, as a number or as text such as '256MiB'."""


class Faces(Model):
    """Selection and detection of the faces of a photo."""

    select: Literal["largest", "all", "centre"] = Field(
        default="largest", description="which faces of a photo to use when it has several"
    )
    min_size: int = Field(default=40, ge=0, description="minimum width of a face box, in pixels of the photo")
    assume: Literal["photo", "aligned"] = Field(
        default="photo", description="`aligned`: the photos are ArcFace crops, such as 112 x 112; no detector runs"
    )
    landmark_model: str | None = Field(
        default=None, description="path of a dlib 68-point landmark model; the packaged one by default"
    )
    max_pixels: int = Field(
        default=100_000_000, gt=0, description="photos with more pixels are rejected before they are decoded"
    )


class Align(Model):
    """The crop of every sample."""

    mode: Literal["eye_level", "arcface", "face_box"] = Field(
        default="arcface",
        description="eyes level and centred; the ArcFace template on five points; or a square around the face box",
    )
    size: (
        Annotated[int, Field(ge=16, le=4096)]
        | tuple[Annotated[int, Field(ge=16, le=4096)], Annotated[int, Field(ge=16, le=4096)]]
    ) = Field(default=112, description="size of the crop in pixels: one number, or width and height")
    margin: float = Field(
        default=0.0, ge=0, le=2, description="face_box only: margin on each side, as a share of the box"
    )
    border: Literal["constant", "reflect", "replicate"] = Field(
        default="constant", description="fill outside the photo: black, its mirror image, or its edge pixels"
    )

    @property
    def width_height(self) -> tuple[int, int]:
        """Crop size in pixels, (width, height)."""
        return (self.size, self.size) if isinstance(self.size, int) else self.size

    @model_validator(mode="after")
    def _box_is_square(self) -> Align:
        if self.mode == "face_box" and len(set(self.width_height)) > 1:
            raise ValueError("a face_box crop is square; give one number as its size")
        if self.mode != "face_box" and self.margin:
            raise ValueError("only mode face_box has a margin")
        return self


class Split(Model):
    """How samples are divided into train, val and test."""

    by: Literal["identity", "source", "per_identity"] = Field(
        default="identity",
        description="`identity`: whole people by hash; `source`: the source's own split; `per_identity`: a share of "
        "each person's photos (Lee 2022)",
    )
    shares: dict[Literal["train", "val", "test"], Annotated[float, Field(ge=0, le=1)]] = Field(
        default={"train": 0.8, "val": 0.1, "test": 0.1},
        description="`identity` only: share of the people in each split; the shares add up to 1",
    )
    per_identity: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="share of each person's photos for train, the rest for test; implies `by: per_identity`",
    )

    @model_validator(mode="before")
    @classmethod
    def _per_identity_implies_by(cls, data: Any) -> Any:
        if isinstance(data, Mapping) and data.get("per_identity") is not None and "by" not in data:
            return {**data, "by": "per_identity"}
        return data

    @model_validator(mode="after")
    def _shares_add_up(self) -> Split:
        if self.by == "identity" and abs(sum(self.shares.values()) - 1) > 1e-6:
            raise ValueError(f"shares must add up to 1, not {sum(self.shares.values()):g}")
        if (self.by == "per_identity") != (self.per_identity is not None):
            raise ValueError("`by: per_identity` and a share `per_identity: 0.7` belong together")
        return self


class Shards(Model):
    """Target size of a shard. A shard that exceeds either limit is divided."""

    samples: int = Field(default=5000, gt=0, description="maximum number of samples in a shard")
    bytes: ByteCount = Field(
        default=256 * 2**20, description="maximum size of a shard: a number of bytes, or text such as `256MiB` or `1GB`"
    )


class Halves(Model):
    """The crop cut into an upper and a lower part (Anti-Mask, JATIT 2022: 96 and 128 of 224 rows)."""

    split_row: int | None = Field(
        default=None, ge=1, description="first row of the lower part; default: 96 of 224 rows, in proportion"
    )


class Features(Model):
    """Features of each face from your own network, stored in the sample as `features.npy`."""

    model: str = Field(description="path of a TorchScript file that maps float32 (N, 3, H, W), RGB, 0..1, to (N, D)")
    size: int | None = Field(
        default=None, ge=16, le=1024, description="side of the network's input in pixels; default: that of the crop"
    )


class Output(Model):
    """Content and encoding of a sample."""

    image: Literal["jpg", "png", "webp"] = Field(
        default="jpg", description="format of pictures; png and webp are lossless"
    )
    quality: int = Field(default=95, ge=1, le=100, description="JPEG quality")
    mask: Literal["png", "webp"] = Field(default="png", description="format of masks, always lossless")
    alpha: bool = Field(default=False, description="also write the mask's coverage, 0 to 255")
    straps: bool = Field(default=False, description="include the straps in the ground-truth mask")
    halves: Halves | None = Field(default=None, description="also write the upper and the lower part of the face")
    features: Features | None = Field(default=None, description="also write features of the face from your own network")
    shards: Shards = Field(default=Shards(), description="target size of a shard")


class Recipe(Model):
    """A recipe: all settings that decide the content of a build. Every key except `name` has a default."""

    name: str = Field(pattern=_NAME, description="name of the build: lower-case letters, digits, `-` and `_`")
    description: str = Field(default="", description="text for people")
    seed: int = Field(default=0, ge=0, description="seed of every random draw")
    sources: tuple[SourceSpec, ...] = Field(
        default=(), description="where photos come from; `--source` on the command line replaces them"
    )
    faces: Faces = Field(default=Faces(), description="which faces are used, and how they are found")
    masks: tuple[Mask, ...] = Field(
        default=(), description="masks to draw from; without any, a build holds aligned faces only"
    )
    per_face: int = Field(default=1, ge=1, le=1000, description="number of masked variants of each face")
    align: Align = Field(default=Align(), description="the crop of every sample")
    morph: Morph | None = Field(default=None, description="add morphs of each face with similar faces")
    augment: tuple[Augment, ...] = Field(
        default=(), description="augmentation steps, applied to every sample in this order"
    )
    guide: Guide | None = Field(default=None, description="add a guide mask of some parts of the face")
    lowres: LowRes | None = Field(default=None, description="add low-resolution partners of the pictures")
    split: Split = Field(default=Split(), description="how samples are divided")
    output: Output = Field(default=Output(), description="what a sample holds, and how it is encoded")

    @model_validator(mode="after")
    def _faces_have_masks(self) -> Recipe:
        if self.masks and not any(map(serves_with_landmarks, self.masks)):
            raise ValueError("every mask is for photos without landmarks; add one for those with them (`when: always`)")
        return self

    @model_validator(mode="after")
    def _parts_fit_the_crop(self) -> Recipe:
        height = self.align.width_height[1]
        if self.output.halves and (self.output.halves.split_row or 0) >= height:
            raise ValueError(f"output.halves.split_row must lie inside the crop, below {height}")
        if self.lowres and (self.lowres.sizes or self.lowres.size_range) and self.lowres.largest > height:
            raise ValueError(f"lowres cannot make {self.lowres.largest} rows of a crop with {height}")
        return self


def _path_of(data: Any, fault: Mapping[str, Any]) -> str:
    """Turn pydantic's location of an error into a path in the recipe, without the names of union branches."""
    loc, path, here = list(fault["loc"]), "$", data
    for position, step in enumerate(loc):
        if isinstance(here, Mapping) and position and isinstance(loc[position - 1], int) and step == here.get("kind"):
            continue  # the tag of a union, not a key
        inside = (isinstance(here, Mapping) and step in here) or (
            isinstance(here, (list, tuple)) and isinstance(step, int) and step < len(here)
        )
        if inside or (position == len(loc) - 1 and fault["type"] == "missing"):
            path += f"[{step}]" if isinstance(step, int) else f".{step}"
            here = here[step] if inside else None
    extra = {"unknown_key": fault.get("ctx", {}).get("key"), "union_tag_not_found": "kind", "union_tag_invalid": "kind"}
    return f"{path}.{extra[fault['type']]}" if fault["type"] in extra else path


def _message_of(fault: Mapping[str, Any]) -> str:
    if fault["type"] == "union_tag_not_found":
        return "missing; every entry needs its kind"
    if fault["type"] == "union_tag_invalid":
        tags, tag = fault["ctx"]["expected_tags"], fault["ctx"]["tag"]
        return f"allowed: {tags}{did_you_mean(tag, re.findall(_QUOTED, tags))} (got {tag!r})"
    if fault["type"] == "literal_error":
        return fault["msg"] + did_you_mean(fault["input"], re.findall(_QUOTED, fault["ctx"]["expected"]))
    if fault["type"] == "string_pattern_mismatch" and fault["ctx"]["pattern"] == _NAME:
        return f"{fault['msg']}: lower-case letters, digits, - and _, the first a letter or digit"
    if fault["type"] in ("model_type", "model_attributes_type", "dict_type"):
        return "expected a mapping of keys"
    if fault["type"] == "tuple_type":
        return "expected a list"
    return str(fault["msg"]).removeprefix("Value error, ")


def _with_tuples(data: Any) -> Any:
    """Lists as tuples, which strict validation of the frozen models requires."""
    if isinstance(data, Mapping):
        return {key: _with_tuples(value) for key, value in data.items()}
    return tuple(map(_with_tuples, data)) if isinstance(data, (list, tuple)) else data


def parse_recipe(data: object, *, where: str = "") -> Recipe:
    """Validate a recipe.

    Args:
        data: content of the YAML file.
        where: name of the file, for messages.

    Raises:
        RecipeError: lists the path of every error, such as `$.masks[1].shape`, and the allowed values there.
    """
    if not isinstance(data, Mapping):
        raise RecipeError("a recipe is a mapping of keys", where=where or "$", value=type(data).__name__)
    data = _with_tuples(data)
    try:
        return Recipe.model_validate(data, strict=True)
    except ValidationError as error:
        faults: dict[str, list[str]] = {}
        for fault, path in _all_faults(data, error):
            message = _message_of(fault)
            if not isinstance(fault["input"], (Mapping, list, tuple)):
                message += f" (got {fault['input']!r})"
            faults.setdefault(path, []).append(message)
        # If one branch of a union fails deep inside, messages of the other branches about the whole only confuse.
        deepest = [path for path in faults if not any(other.startswith((path + ".", path + "[")) for other in faults)]
        lines = [f"{path}: {'; or: '.join(dict.fromkeys(faults[path]))}" for path in deepest]
        first, rest = lines[0].split(": ", 1)[1], "\n".join(lines[1:])
        raise RecipeError(first, where=deepest[0], remedy=f"\n{rest}" if rest else "") from None


def _all_faults(data: Any, error: ValidationError) -> Iterator[tuple[Mapping[str, Any], str]]:
    """Every error with its path. An unknown key hides other errors beside it, so it is removed to find them."""
    known: set[str] = set()
    while True:
        unknown = set()
        for fault in error.errors():
            path = _path_of(data, fault)
            if fault["type"] == "unknown_key":
                unknown.add(path)
            yield fault, path
        if unknown <= known:
            return
        known |= unknown
        data = _without(data, unknown)
        try:
            Recipe.model_validate(data, strict=True)
            return
        except ValidationError as next_error:
            error = next_error


def _without(node: Any, paths: Collection[str], path: str = "$") -> Any:
    """A copy of a recipe's data without the values at some paths."""
    if isinstance(node, Mapping):
        kept = {key: value for key, value in node.items() if f"{path}.{key}" not in paths}
        return {key: _without(value, paths, f"{path}.{key}") for key, value in kept.items()}
    if isinstance(node, tuple):
        return tuple(_without(value, paths, f"{path}[{number}]") for number, value in enumerate(node))
    return node
