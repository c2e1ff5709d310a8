"""What a recipe may say about masks: the kinds, their looks and the ways of wearing them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from faceloom.schemas.base import Colour, Model

PolygonShape = Literal["A", "B", "C", "D", "E", "F"]
TemplateName = Literal[
    "surgical", "surgical_child", "cloth", "cloth_patterned", "n95_fold", "kn95", "duckbill", "gaiter", "ffp_valve"
]
Wearing = Literal["correct", "nose_out", "under_chin", "chin_only"]
Pattern = Literal["plain", "stripes", "checks", "dots", "floral", "camouflage", "paisley", "print"]


class PolygonMask(Model):
    """A solid polygon or ellipse of NISTIR 8311 (shapes A to F)."""

    kind: Literal["polygon"]
    shape: PolygonShape
    colour: Colour = (110, 207, 254)
    weight: float = Field(default=1.0, gt=0)

    @property
    def label(self) -> str:
        """Short name for counts and records, such as `polygon-A`."""
        return f"polygon-{self.shape}"


class TemplateMask(Model):
    """One of our own vector masks, fitted to the face.

    `colour` and `pattern` left at `any` are drawn per sample from what such masks are sold in. `spread` scales how
    much size, place and tilt vary from sample to sample: 1 as people wear masks, 0 as designed. `straps: false` leaves
    the straps out.
    """

    kind: Literal["template"]
    template: TemplateName
    colour: Colour | Literal["any"] = "any"
    pattern: Pattern | Literal["any"] = "any"
    wearing: Wearing = "correct"
    spread: float = Field(default=1.0, ge=0, le=3)
    straps: bool = True
    weight: float = Field(default=1.0, gt=0)

    @property
    def label(self) -> str:
        """Short name for counts and records, such as `surgical` or `surgical-nose_out`."""
        return self.template if self.wearing == "correct" else f"{self.template}-{self.wearing}"


class PictureMask(Model):
    """Any RGBA picture of a mask with an anchors file."""

    kind: Literal["picture"]
    path: str
    anchors: str
    wearing: Wearing = "correct"
    weight: float = Field(default=1.0, gt=0)

    @property
    def label(self) -> str:
        """Short name for counts and records: the file's stem."""
        return "picture-" + self.path.replace("\\", "/").rsplit("/", 1)[-1].rsplit(".", 1)[0]


class AutoencoderMask(Model):
    """A mask by a network that `faceloom train autoencoder` trained (Lee 2022, or our own that also gives coverage).

    `checkpoint` is the folder of the run. `blend: composite` lays the mask's colour over the photo by its coverage, at
    the photo's own resolution; `raw` takes the network's whole output, enlarged, as Lee does. `when: always` paints
    faces whose landmarks are known, as other masks do; `landmarks_missing` paints what those cannot: photos in which
    no face was found, each taken as one face that fills it.
    """

    kind: Literal["autoencoder"]
    checkpoint: str
    blend: Literal["raw", "composite"] = "composite"
    when: Literal["always", "landmarks_missing"] = "always"
    weight: float = Field(default=1.0, gt=0)

    @property
    def label(self) -> str:
        """Short name for counts and records: the run's folder."""
        name = "autoencoder-" + self.checkpoint.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]
        return name if self.when == "always" else f"{name}-no_landmarks"


Mask = Annotated[PolygonMask | TemplateMask | PictureMask | AutoencoderMask, Field(discriminator="kind")]


def serves_with_landmarks(mask: Mask) -> bool:
    """Whether a mask is for faces whose landmarks are known."""
    return not serves_without_landmarks(mask)


def serves_without_landmarks(mask: Mask) -> bool:
    """Whether a mask is for photos in which no face was found."""
    return isinstance(mask, AutoencoderMask) and mask.when == "landmarks_missing"
