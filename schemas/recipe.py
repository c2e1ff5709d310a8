"""The recipe: all settings that decide the content of a build, validated before any work."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from faceloom.schemas.augment import Augment
from faceloom.schemas.base import NAME, Model, PathText
from faceloom.schemas.checked import InvalidDataError, checked
from faceloom.schemas.errors import RecipeError
from faceloom.schemas.face_options import Faces
from faceloom.schemas.frame_rules import check_frames, with_all_faces
from faceloom.schemas.guide import Guide
from faceloom.schemas.lowres import LowRes
from faceloom.schemas.masks import Mask, lies_behind, serves_pairs, serves_with_landmarks
from faceloom.schemas.morph import Morph
from faceloom.schemas.parser import Parser
from faceloom.schemas.source_spec import SourceSpec

_UNITS = {"": 1, "b": 1, "kib": 2**10, "mib": 2**20, "gib": 2**30, "kb": 10**3, "mb": 10**6, "gb": 10**9}


def _byte_count(value: object) -> object:
    if isinstance(value, str):
        match = re.fullmatch(r"\s*([0-9]{1,20}(?:\.[0-9]{1,20})?)\s*([a-z]*)\s*", value.lower())
        if not match or match[2] not in _UNITS:
            raise ValueError("a size is a number of bytes or text such as '256MiB' or '1GB'")
        return int(float(match[1]) * _UNITS[match[2]])
    return value


_BYTES = r"^\s*\d+(\.\d+)?\s*([kKmMgG]([iI]?[bB])|[bB])?\s*$"
ByteCount = Annotated[
    int,
    BeforeValidator(_byte_count),
    Field(gt=0, le=2**50),
    WithJsonSchema(
        {
            "anyOf": [{"type": "integer", "exclusiveMinimum": 0}, {"type": "string", "pattern": _BYTES}],
            "words": "whole number > 0, or text",
        }
    ),
]
"""Bytes, as a number or as text such as '256MiB'."""


class Align(Model):
    """The crop of every sample."""

    mode: Literal["eye_level", "arcface", "face_box", "frame"] = Field(
        default="arcface",
        description="eyes level and centred; the ArcFace template on five points; a square around the face box; or "
        "`frame`: no crop, the whole photo with all its faces",
    )
    max_side: int = Field(
        default=1024, ge=64, le=4096, description="frame only: a photo with a longer side is shrunk to this one"
    )
    masked_share: float = Field(
        default=1.0, ge=0, le=1, description="frame only: share of the faces that wear a mask, drawn for each face"
    )
    size: (
        Annotated[int, Field(ge=16, le=4096)]
        | tuple[Annotated[int, Field(ge=16, le=4096)], Annotated[int, Field(ge=16, le=4096)]]
    ) = Field(default=112, description="size of the crop in pixels: one number, or width and height")
    margin: float = Field(
        default=0.0, ge=0, le=2, description="face_box only: margin on each side, as a share of the box"
    )
    beyond: Literal["keep", "fit"] = Field(
        default="keep",
        description="face_box only: `fit` shifts and then shrinks a crop that reaches outside the photo, as far as the "
        "face keeps the room for a mask; `keep` leaves it where it is",
    )
    reject_beyond: float | None = Field(
        default=None, ge=0, le=1, description="face_box only: maximum share of the crop that may lie outside the photo"
    )
    border: Literal["constant", "reflect", "replicate", "blur"] = Field(
        default="constant",
        description="fill outside the photo: black, its mirror image, its edge pixels, or its mirror image, more "
        "blurred the further out; `blur` by default with `beyond: fit`",
    )

    @property
    def width_height(self) -> tuple[int, int]:
        """Crop size in pixels, (width, height); of frames, which differ in size, the largest."""
        if self.mode == "frame":
            return self.max_side, self.max_side
        return (self.size, self.size) if isinstance(self.size, int) else self.size

    @model_validator(mode="before")
    @classmethod
    def _fit_implies_blur(cls, data: Any) -> Any:
        if isinstance(data, Mapping) and data.get("beyond") == "fit" and "border" not in data:
            return {**data, "border": "blur"}
        return data

    @model_validator(mode="after")
    def _box_is_square(self) -> Align:
        if self.mode == "face_box" and len(set(self.width_height)) > 1:
            raise ValueError("a face_box crop is square; give one number as its size")
        if self.mode != "face_box" and self.margin:
            raise ValueError("only mode face_box has a margin")
        if self.mode != "face_box" and (self.beyond == "fit" or self.reject_beyond is not None):
            raise ValueError("only mode face_box has `beyond: fit` and `reject_beyond`")
        if self.mode == "frame" and (self.size != 112 or self.border != "constant"):
            raise ValueError("a frame has the size of its photo, up to max_side, and no border")
        if self.mode != "frame" and (self.max_side != 1024 or self.masked_share < 1):
            raise ValueError("only mode frame has max_side and masked_share")
        return self


def _in_order(shares: dict[str, float]) -> dict[str, float]:
    """Shares in the order in which draws meet them: the order that a recipe is written in decides nothing."""
    return {name: shares[name] for name in ("train", "val", "test") if name in shares}


class Split(Model):
    """How samples are divided into train, val and test."""

    by: Literal["identity", "source", "per_identity"] = Field(
        default="identity",
        description="`identity`: whole people by hash; `source`: the source's own split; `per_identity`: a share of "
        "each person's photos (Lee 2022)",
    )
    shares: Annotated[
        dict[Literal["train", "val", "test"], Annotated[float, Field(ge=0, le=1)]], AfterValidator(_in_order)
    ] = Field(
        default={"train": 0.8, "val": 0.1, "test": 0.1},
        description="`identity` only: share of the people in each split, in any order; the shares add up to 1",
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

    samples: int = Field(default=5000, gt=0, le=10**9, description="maximum number of samples in a shard")
    min_per_split: int = Field(
        default=1,
        ge=1,
        le=100_000,
        description="minimum number of shards in each split, if it has as many faces; a training job that reads with "
        "plain webdataset needs one for each of its workers on all ranks",
    )
    bytes: ByteCount = Field(
        default=256 * 2**20, description="maximum size of a shard: a number of bytes, or text such as `256MiB` or `1GB`"
    )


class Halves(Model):
    """The crop cut into an upper and a lower part (Anti-Mask, JATIT 2022: 96 and 128 of 224 rows)."""

    split_row: int | None = Field(
        default=None, ge=1, le=4096, description="first row of the lower part; default: 96 of 224 rows, in proportion"
    )


class Features(Model):
    """Features of each face from a network, stored in the sample as `features.npy`."""

    model: PathText = Field(
        description="path or URL of a TorchScript file that maps float32 (N, 3, H, W), RGB, 0..1, to (N, D); or "
        "`dlib`: 128 features of dlib's face network"
    )
    size: int | None = Field(
        default=None,
        ge=16,
        le=1024,
        description="side of the input of a TorchScript network in pixels; default: that of the crop",
    )

    @property
    def file(self) -> str | None:
        """Path or URL of the network; None for dlib's, which is installed."""
        return None if self.model == "dlib" else self.model


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
    features: Features | None = Field(default=None, description="also write features of the face from a network")
    shards: Shards = Field(default=Shards(), description="target size of a shard")


class ReleaseLimits(Model):
    """What `faceloom release create` allows. Decides nothing about samples."""

    near_duplicates: float = Field(
        default=0.01,
        ge=0,
        le=1,
        description="share of the photos that may have a near-duplicate in another split, by perceptual hash",
    )


class Recipe(Model):
    """A recipe: all settings that decide the content of a build. Every key except `name` has a default."""

    name: str = Field(
        pattern=NAME, max_length=200, description="name of the build: lower-case letters, digits, `-` and `_`"
    )
    description: str = Field(default="", description="text for people")
    seed: int = Field(default=0, ge=0, lt=2**53, description="seed of every random draw")
    sources: tuple[SourceSpec, ...] = Field(
        default=(), description="where photos come from; `--source` on the command line replaces them"
    )
    faces: Faces = Field(default=Faces(), description="which faces are used, and how they are found")
    masks: tuple[Mask, ...] = Field(
        default=(), description="masks to draw from; without any, a build holds aligned faces only"
    )
    per_face: int = Field(default=1, ge=1, le=1000, description="number of masked variants of each face")
    min_mask_area: float = Field(
        default=0.001, ge=0, le=1, description="minimum share of the crop that a mask must cover, else it is a reject"
    )
    align: Align = Field(default=Align(), description="the crop of every sample")
    morph: Morph | None = Field(default=None, description="add morphs of each face with similar faces")
    augment: tuple[Augment, ...] = Field(
        default=(), description="augmentation steps, applied to every sample in this order"
    )
    guide: Guide | None = Field(default=None, description="add a guide mask of some parts of the face")
    lowres: LowRes | None = Field(default=None, description="add low-resolution partners of the pictures")
    split: Split = Field(default=Split(), description="how samples are divided")
    output: Output = Field(default=Output(), description="what a sample holds, and how it is encoded")
    release: ReleaseLimits = Field(default=ReleaseLimits(), description="what a release of the build may hold")

    @property
    def layers_masks(self) -> bool:
        """Whether parts of a face stay in front of its masks."""
        return bool(self.faces.in_front) and any(map(lies_behind, self.masks))

    @property
    def wears_real(self) -> bool:
        """Whether faces of pairs wear the masks of their masked photos."""
        return any(map(serves_pairs, self.masks))

    @property
    def pair_sources(self) -> frozenset[str]:
        """Names of the sources of pairs."""
        return frozenset(spec.source_name for spec in self.sources if spec.kind == "pairs")

    def reads_labels(self, source: str) -> bool:
        """Whether samples depend on the files that a source has beside its photos: part maps, or masked photos."""
        return self.wears_real if source in self.pair_sources else self.needs_labels

    @property
    def needs_labels(self) -> bool:
        """Whether samples depend on part maps, where there are any."""
        return self.requires_labels or self.layers_masks

    @property
    def requires_labels(self) -> bool:
        """Whether a photo whose part maps cannot be used is rejected; other recipes go on without them."""
        return self.guide is not None or self.faces.occluded == "reject"

    @property
    def used_parser(self) -> Parser | None:
        """The face parser; None if no sample depends on it."""
        return self.faces.parser if self.needs_labels else None

    @model_validator(mode="before")
    @classmethod
    def _frames_show_all_faces(cls, data: Any) -> Any:
        return with_all_faces(data)

    @model_validator(mode="after")
    def _frames_are_whole(self) -> Recipe:
        check_frames(self)
        return self

    @model_validator(mode="after")
    def _faces_have_masks(self) -> Recipe:
        if self.masks and not any(map(serves_with_landmarks, self.masks)) and not self.wears_real:
            raise ValueError("every mask is for photos without landmarks; add one for those with them (`when: always`)")
        return self

    @model_validator(mode="after")
    def _real_masks_have_pairs(self) -> Recipe:
        if self.wears_real and self.sources and not self.pair_sources:
            raise ValueError("a mask with `kind: real` needs a source with `kind: pairs`")
        if self.wears_real and self.morph and not any(map(serves_with_landmarks, self.masks)):
            raise ValueError("no masked photo shows a morph; add a mask of another kind than `real`")
        return self

    @model_validator(mode="after")
    def _no_drawn_glasses_where_they_are_learned(self) -> Recipe:
        if self.guide and self.guide.attribute == "Eyeglasses" and any(step.kind == "Glasses" for step in self.augment):
            raise ValueError("augment: glasses contradict the attribute Eyeglasses of `guide`; remove one of them")
        return self

    @model_validator(mode="after")
    def _parts_fit_the_crop(self) -> Recipe:
        height = self.align.width_height[1]
        if self.output.halves and (self.output.halves.split_row or 0) >= height:
            raise ValueError(f"output.halves.split_row must lie inside the crop, below {height}")
        if self.lowres and (self.lowres.sizes or self.lowres.size_range) and self.lowres.largest > height:
            raise ValueError(f"lowres cannot make {self.lowres.largest} rows of a crop with {height}")
        return self


_HELD: dict[type, str] = {str: "text", list: "a list", tuple: "a list"}


def parse_recipe(data: object, *, where: str = "") -> Recipe:
    """Validate a recipe.

    Args:
        data: content of the YAML file.
        where: name of the file, for messages.

    Raises:
        RecipeError: names the path of the first faults, such as `$.masks[1].shape`, and the allowed values there.
    """
    file = f"{where}: " if where else ""
    if not isinstance(data, Mapping):
        held = _HELD.get(type(data), "one value")
        what = f"the recipe holds {held}, not a mapping of keys" if data is not None else "the recipe is empty"
        raise RecipeError(what, where=where or "$", remedy="Start with `name: my-recipe`")
    try:
        return checked(Recipe, data)
    except InvalidDataError as error:
        first, *rest = error.faults
        remedy = "; ".join([f"Also: {rest[0]}", *map(str, rest[1:])]) if rest else ""
        raise RecipeError(first.what, where=f"{file}{first.path}", value=first.value, remedy=remedy) from None
