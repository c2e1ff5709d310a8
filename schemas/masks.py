"""Masks in a recipe: their kinds, their appearance and how they are worn."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, WithJsonSchema

from faceloom.schemas.base import Colour, Model, PathText

PolygonShape = Literal["A", "B", "C", "D", "E", "F"]
TemplateName = Literal[
    "surgical", "surgical_child", "cloth", "cloth_patterned", "n95_fold", "kn95", "duckbill", "gaiter", "ffp_valve"
]
Wearing = Literal["correct", "nose_out", "under_chin", "chin_only"]
Pattern = Literal["plain", "stripes", "checks", "dots", "floral", "camouflage", "paisley", "print"]

_PICTURE = r"\.([pP][nN][gG]|[jJ][pP][eE]?[gG]|[wW][eE][bB][pP])$"


def _fabric_file(path: str) -> str:
    if not re.search(_PICTURE, path):
        raise ValueError("the file of a fabric ends in .png, .jpg, .jpeg or .webp")
    return path


_FABRIC_SCHEMA = {"type": "string", "pattern": _PICTURE, "words": "a picture file"}
FabricFile = Annotated[PathText, AfterValidator(_fabric_file), WithJsonSchema(_FABRIC_SCHEMA)]
"""Path or URL of a picture of cloth. Its suffix tells it from the name of a pattern, also without its folder."""


def _file_name(path: str) -> str:
    return path.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]


_WEIGHT = "relative frequency of this mask"
_WEARING = "over nose and mouth; nose out; under the chin; on the chin with nose and mouth out"


class PolygonMask(Model):
    """A solid polygon or ellipse of NISTIR 8311 (shapes A to F)."""

    kind: Literal["polygon"] = Field(description="a solid shape through landmarks, as in NISTIR 8311")
    shape: PolygonShape = Field(
        description="A, C, E follow the jaw: high, medium and low; B, D, F are ellipses: high, medium and low"
    )
    colour: Colour = Field(default=(110, 207, 254), description="colour of the shape")
    weight: float = Field(default=1.0, gt=0, le=1e6, description=_WEIGHT)

    @property
    def label(self) -> str:
        """Short name for counts and records, such as `polygon-A`."""
        return f"polygon-{self.shape}"


class TemplateMask(Model):
    """A built-in vector mask, fitted to the face."""

    kind: Literal["template"] = Field(description="a built-in vector mask, fitted to the face")
    template: TemplateName = Field(description="which built-in mask")
    colour: Colour | Literal["any"] = Field(
        default="any",
        description="`any`: drawn for each sample from the colours that such masks are sold in; a few masks take the "
        "colour of skin, hair or clothes",
    )
    pattern: Pattern | Literal["any"] | FabricFile = Field(
        default="any",
        description="`any`: drawn for each sample from the patterns that such masks are sold in; a picture file, by "
        "path or URL, is repeated over the cloth, one eye distance wide",
    )
    wearing: Wearing = Field(default="correct", description=_WEARING)
    spread: float = Field(
        default=1.0, ge=0, le=3, description="variation of size, place and tilt: 1 as people wear masks, 0 as designed"
    )
    straps: bool = Field(default=True, description="paint ear loops or head bands")
    weight: float = Field(default=1.0, gt=0, le=1e6, description=_WEIGHT)

    @property
    def label(self) -> str:
        """Short name for counts and records, such as `surgical` or `surgical-nose_out`."""
        return self.template if self.wearing == "correct" else f"{self.template}-{self.wearing}"

    @property
    def fabric(self) -> str | None:
        """Path or URL of the picture that is repeated over the cloth; None for a built-in pattern."""
        return self.pattern if re.search(_PICTURE, self.pattern) else None

    @property
    def pattern_name(self) -> str:
        """The pattern, of a file its name without folders, for records."""
        return _file_name(self.pattern) if self.fabric else self.pattern


class PictureMask(Model):
    """Any RGBA picture of a mask with an anchors file."""

    kind: Literal["picture"] = Field(description="an RGBA picture of a mask")
    path: PathText = Field(description="path of the picture, or its URL in an object store")
    anchors: PathText = Field(description="path or URL of a JSON or YAML file with its six anchor points")
    wearing: Wearing = Field(default="correct", description=_WEARING)
    straps: Literal["none", "auto"] = Field(
        default="none", description="`auto`: paint ear loops from the sides of the mask; for pictures without straps"
    )
    weight: float = Field(default=1.0, gt=0, le=1e6, description=_WEIGHT)

    @property
    def label(self) -> str:
        """Short name for counts and records: the file's stem."""
        return "picture-" + _file_name(self.path).rsplit(".", 1)[0]


class AutoencoderMask(Model):
    """A mask from a network that `faceloom train autoencoder` trained (Lee 2022, or our own with coverage)."""

    kind: Literal["autoencoder"] = Field(description="a mask from a trained network")
    checkpoint: PathText = Field(description="folder that `faceloom train autoencoder` wrote, or its URL")
    blend: Literal["raw", "composite"] = Field(
        default="composite",
        description="`composite`: blend the mask over the photo by its coverage, at the photo's resolution; `raw`: "
        "take the network's whole output, enlarged (Lee 2022)",
    )
    when: Literal["always", "landmarks_missing"] = Field(
        default="always",
        description="`always`: every face, also those without trusted landmarks; `landmarks_missing`: only faces "
        "without trusted landmarks, and photos in which no face was found, each taken as one face",
    )
    weight: float = Field(default=1.0, gt=0, le=1e6, description=_WEIGHT)

    @property
    def label(self) -> str:
        """Short name for counts and records: the run's folder."""
        name = "autoencoder-" + _file_name(self.checkpoint)
        return name if self.when == "always" else f"{name}-no_landmarks"


class RealMask(Model):
    """The mask in the masked photo of a pair; only faces of a source with `kind: pairs` wear it."""

    kind: Literal["real"] = Field(description="the mask in the masked photo of a pair, see `sources[]`, `kind: pairs`")
    weight: float = Field(default=1.0, gt=0, le=1e6, description=_WEIGHT)

    @property
    def label(self) -> str:
        """Short name for counts and records."""
        return "real"


Mask = Annotated[PolygonMask | TemplateMask | PictureMask | AutoencoderMask | RealMask, Field(discriminator="kind")]


def named_files(mask: Mask) -> dict[str, str]:
    """The files and folders that a mask names, each a path or a URL, by key."""
    if isinstance(mask, PictureMask):
        return {"path": mask.path, "anchors": mask.anchors}
    if isinstance(mask, AutoencoderMask):
        return {"checkpoint": mask.checkpoint}
    return {"pattern": mask.fabric} if isinstance(mask, TemplateMask) and mask.fabric else {}


def serves_pairs(mask: Mask) -> bool:
    """Whether a mask is for faces of pairs alone, whatever their landmarks."""
    return isinstance(mask, RealMask)


def serves_with_landmarks(mask: Mask) -> bool:
    """Whether a mask is for all faces whose landmarks are trusted."""
    return not serves_without_landmarks(mask) and not serves_pairs(mask)


def serves_unsure_landmarks(mask: Mask) -> bool:
    """Whether a mask is for all faces whose landmarks cannot be trusted."""
    return isinstance(mask, AutoencoderMask)


def serves_without_landmarks(mask: Mask) -> bool:
    """Whether a mask is for photos in which no face was found."""
    return isinstance(mask, AutoencoderMask) and mask.when == "landmarks_missing"


def lies_behind(mask: Mask) -> bool:
    """Whether parts of the face stay in front of a mask. Masks that follow a publication lie over everything."""
    return isinstance(mask, TemplateMask | PictureMask) or (
        isinstance(mask, AutoencoderMask) and mask.blend == "composite"
    )
