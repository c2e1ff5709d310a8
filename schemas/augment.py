"""What a recipe may say about augmentation: transforms of Albumentations under their own names, within sane limits."""

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
    """Marks a range [low, high] whose ends lie between two limits, low first."""

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
        return {**handler(schema), "words": f"[low, high] from {self.low:g} to {self.high:g}"}


class _Step(Model):
    p: float = Field(default=0.5, gt=0, le=1, description="how often it is applied")

    @property
    def geometric(self) -> bool:
        """Whether pixels move, and masks and landmarks with them."""
        return isinstance(self, HorizontalFlip | Affine | Perspective)


class HorizontalFlip(_Step):
    """Mirror left and right; landmarks are renumbered, so that the left of the picture stays 36..41."""

    kind: Literal["HorizontalFlip"]


class Affine(_Step):
    """Turn, scale, shift and shear about the centre of the crop."""

    kind: Literal["Affine"]
    scale: Annotated[Range, Within(0.5, 2)] = Field(default=(0.9, 1.1), description="factor of size")
    rotate: Annotated[Range, Within(-180, 180)] = Field(default=(-10.0, 10.0), description="degrees")
    translate_percent: Annotated[Range, Within(-0.5, 0.5)] = Field(
        default=(-0.05, 0.05), description="shift across and down, as shares of width and height"
    )
    shear: Annotated[Range, Within(-30, 30)] = Field(default=(0.0, 0.0), description="degrees, across and down")
    border: BorderMode = Field(default="constant", description="what comes in from outside: black, mirrored, drawn out")


class Perspective(_Step):
    """Move the four corners inwards, each by its own draw."""

    kind: Literal["Perspective"]
    scale: Annotated[Range, Within(0, 0.2)] = Field(
        default=(0.02, 0.06), description="spread of the corners, as a share of the crop"
    )
    border: BorderMode = Field(default="constant", description="what comes in from outside: black, mirrored, drawn out")


class RandomBrightnessContrast(_Step):
    """Shift all levels and stretch them."""

    kind: Literal["RandomBrightnessContrast"]
    brightness_limit: Annotated[Range, Within(-1, 1)] = Field(
        default=(-0.2, 0.2), description="added, as a share of 255"
    )
    contrast_limit: Annotated[Range, Within(-1, 1)] = Field(default=(-0.2, 0.2), description="added to the factor 1")


class RandomGamma(_Step):
    """Raise levels to a power."""

    kind: Literal["RandomGamma"]
    gamma_limit: Annotated[Range, Within(10, 500)] = Field(
        default=(80.0, 120.0), description="percent; above 100 is darker"
    )


class HueSaturationValue(_Step):
    """Shift the colour."""

    kind: Literal["HueSaturationValue"]
    hue_shift_limit: Annotated[Range, Within(-180, 180)] = Field(
        default=(-5.0, 5.0), description="of 180 around the circle"
    )
    sat_shift_limit: Annotated[Range, Within(-255, 255)] = Field(default=(-20.0, 20.0), description="levels")
    val_shift_limit: Annotated[Range, Within(-255, 255)] = Field(default=(-20.0, 20.0), description="levels")


class GaussianBlur(_Step):
    """Out of focus."""

    kind: Literal["GaussianBlur"]
    sigma_limit: Annotated[Range, Within(0.1, 20)] = Field(default=(0.5, 2.0), description="pixels")


class MotionBlur(_Step):
    """Moved while the shutter was open."""

    kind: Literal["MotionBlur"]
    blur_limit: Annotated[Whole, Within(3, 99)] = Field(
        default=(3, 7), description="length in pixels; even numbers count as the odd one above"
    )
    angle_range: Annotated[Range, Within(0, 360)] = Field(default=(0.0, 360.0), description="degrees")


class GaussNoise(_Step):
    """Sensor noise, each channel and pixel on its own."""

    kind: Literal["GaussNoise"]
    std_range: Annotated[Range, Within(0, 0.5)] = Field(default=(0.01, 0.05), description="strength, as a share of 255")


class ImageCompression(_Step):
    """JPEG artefacts."""

    kind: Literal["ImageCompression"]
    quality_range: Annotated[Whole, Within(1, 100)] = Field(default=(40, 90), description="JPEG quality")


class ToGray(_Step):
    """No colour, still three channels."""

    kind: Literal["ToGray"]


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
    | ToGray,
    Field(discriminator="kind"),
]
"""One step; the steps of a recipe are applied in their order, each with its own probability."""
