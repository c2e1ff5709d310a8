"""Augmentation steps of a recipe: transforms of Albumentations under their own names, within limits, and glasses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema
from pydantic_core.core_schema import no_info_after_validator_function

from faceloom.schemas.base import Model

BorderMode = Literal["constant", "reflect", "replicate"]


Range = tuple[float, float]
Whole = tuple[int, int]


@dataclass(frozen=True)
class Within:
    """Marks a range [low, high] whose ends lie between two limits."""

    low: float
    high: float

    def check(self, value: Range) -> Range:
        """Return the range, if it is one."""
        if not self.low <= value[0] <= value[1] <= self.high:
            raise ValueError(f"a range is [low, high], low first, from {self.low:g} to {self.high:g}")
        return value

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        ends = [{**end, "minimum": self.low, "maximum": self.high} for end in handler(schema)["prefixItems"]]
        return {**handler(schema), "prefixItems": ends, "words": f"[low, high] from {self.low:g} to {self.high:g}"}


class _Step(Model):
    p: float = Field(default=0.5, gt=0, le=1, description="probability of the step")

    @property
    def geometric(self) -> bool:
        """Whether the step moves pixels, masks and landmarks."""
        return isinstance(self, HorizontalFlip | Affine | Perspective)


class HorizontalFlip(_Step):
    """Mirror left and right. Landmarks are renumbered, so that 36..41 stay at the left of the picture, and parts of a
    guide that have a side change it: `l_eye` shows the left eye of the person in the flipped picture."""

    kind: Literal["HorizontalFlip"] = Field(description="mirror left and right")


class Affine(_Step):
    """Turn, scale, shift and shear about the centre of the crop."""

    kind: Literal["Affine"] = Field(description="turn, scale, shift and shear about the centre of the crop")
    scale: Annotated[Range, Within(0.5, 2)] = Field(default=(0.9, 1.1), description="scale factor")
    rotate: Annotated[Range, Within(-180, 180)] = Field(default=(-10.0, 10.0), description="angle in degrees")
    translate_percent: Annotated[Range, Within(-0.5, 0.5)] = Field(
        default=(-0.05, 0.05), description="shift across and down, as shares of width and height"
    )
    shear: Annotated[Range, Within(-30, 30)] = Field(
        default=(0.0, 0.0), description="angles in degrees, across and down"
    )
    border: BorderMode = Field(
        default="constant", description="fill outside the crop: black, its mirror image, or its edge pixels"
    )


class Perspective(_Step):
    """Move the four corners inwards, each by its own draw."""

    kind: Literal["Perspective"] = Field(description="move the four corners inwards, each by its own draw")
    scale: Annotated[Range, Within(0, 0.2)] = Field(
        default=(0.02, 0.06), description="spread of the corners, as a share of the crop"
    )
    border: BorderMode = Field(
        default="constant", description="fill outside the crop: black, its mirror image, or its edge pixels"
    )


class RandomBrightnessContrast(_Step):
    """Shift all levels and stretch them."""

    kind: Literal["RandomBrightnessContrast"] = Field(description="shift all levels and stretch them")
    brightness_limit: Annotated[Range, Within(-1, 1)] = Field(
        default=(-0.2, 0.2), description="added, as a share of 255"
    )
    contrast_limit: Annotated[Range, Within(-1, 1)] = Field(default=(-0.2, 0.2), description="added to a factor of 1")


class RandomGamma(_Step):
    """Raise levels to a power."""

    kind: Literal["RandomGamma"] = Field(description="raise levels to a power")
    gamma_limit: Annotated[Range, Within(10, 500)] = Field(
        default=(80.0, 120.0), description="gamma in percent; above 100 is darker"
    )


class HueSaturationValue(_Step):
    """Shift the colour."""

    kind: Literal["HueSaturationValue"] = Field(description="shift the colour")
    hue_shift_limit: Annotated[Range, Within(-180, 180)] = Field(
        default=(-5.0, 5.0), description="shift of hue; 180 is the full circle"
    )
    sat_shift_limit: Annotated[Range, Within(-255, 255)] = Field(
        default=(-20.0, 20.0), description="shift of saturation in levels"
    )
    val_shift_limit: Annotated[Range, Within(-255, 255)] = Field(
        default=(-20.0, 20.0), description="shift of brightness in levels"
    )


class GaussianBlur(_Step):
    """Out of focus."""

    kind: Literal["GaussianBlur"] = Field(description="out of focus")
    sigma_limit: Annotated[Range, Within(0.1, 20)] = Field(
        default=(0.5, 2.0), description="standard deviation in pixels"
    )


class MotionBlur(_Step):
    """Moved while the shutter was open."""

    kind: Literal["MotionBlur"] = Field(description="moved while the shutter was open")
    blur_limit: Annotated[Whole, Within(3, 99)] = Field(
        default=(3, 7), description="length in pixels; even numbers are rounded up"
    )
    angle_range: Annotated[Range, Within(0, 360)] = Field(default=(0.0, 360.0), description="direction in degrees")


class GaussNoise(_Step):
    """Sensor noise, each channel and pixel on its own."""

    kind: Literal["GaussNoise"] = Field(description="sensor noise, each channel and pixel on its own")
    std_range: Annotated[Range, Within(0, 0.5)] = Field(
        default=(0.01, 0.05), description="standard deviation, as a share of 255"
    )


class ImageCompression(_Step):
    """JPEG artefacts."""

    kind: Literal["ImageCompression"] = Field(description="JPEG artefacts")
    quality_range: Annotated[Whole, Within(1, 100)] = Field(default=(40, 90), description="JPEG quality")


class ToGray(_Step):
    """No colour, still three channels."""

    kind: Literal["ToGray"] = Field(description="no colour, still three channels")


class Glasses(_Step):
    """Draw glasses on the bare and on the masked face alike; they are in front of the mask, and its truth ends at their
    rims. Faces without landmarks get none."""

    kind: Literal["Glasses"] = Field(description="draw glasses, on the bare face too, in front of the mask")
    rim_range: Annotated[Range, Within(0.01, 0.2)] = Field(
        default=(0.02, 0.07), description="width of the rims, in distances of the eyes"
    )
    tint_range: Annotated[Range, Within(0, 0.9)] = Field(
        default=(0.0, 0.2), description="darkness of the lenses; from about 0.6 on sunglasses"
    )


Augment = Annotated[
    HorizontalFlip
    | Affine
    | Perspective
    | RandomBrightnessContrast
    | RandomGamma
    | HueSaturationValue
    | GaussianBlur
    | MotionBlur
    | GaussNoise
    | ImageCompression
    | ToGray
    | Glasses,
    Field(discriminator="kind"),
]
"""One step; the steps of a recipe are applied in their order, each with its own probability."""
