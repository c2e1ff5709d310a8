"""Low-resolution partners in a recipe: how they are made, and their size."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, WithJsonSchema, model_validator

from faceloom.schemas.base import Model, PathText

Mode = Literal["askd", "fskd", "adaface", "area", "realistic"]
Side = Annotated[int, Field(ge=4, le=4096)]
Share = Annotated[float, Field(gt=0, le=1)]
_SIDE = {"type": "integer", "minimum": 4, "maximum": 4096}
_SHARE = {"type": "number", "exclusiveMinimum": 0, "maximum": 1}
_TWO = {"minItems": 2, "maxItems": 2}
Sides = Annotated[
    tuple[Side, ...], WithJsonSchema({"type": "array", "items": _SIDE, "words": "list of whole numbers ≥ 4"})
]
SideRange = Annotated[
    tuple[Side, Side], WithJsonSchema({"type": "array", "items": _SIDE, **_TWO, "words": "[smallest, largest] ≥ 4"})
]
ShareRange = Annotated[
    tuple[Share, Share], WithJsonSchema({"type": "array", "items": _SHARE, **_TWO, "words": "[smallest, largest] ≤ 1"})
]

DEFAULT_SIZES: dict[Mode, tuple[int, ...]] = {
    "askd": (14, 28, 56),
    "fskd": (14, 28, 56, 112),
    "area": (14, 28, 56),
    "realistic": (14, 28, 56),
}
DEFAULT_SHARE = (0.2, 1.0)
"""What the systems themselves draw from, on crops of 112 x 112; AdaFace a share of the crop."""


class LowRes(Model):
    """Low-resolution partners of the pictures. At most one key sets their size; the default is that of the mode."""

    mode: Mode = Field(
        default="area",
        description="`askd`, `fskd`, `adaface`: as these systems do it; `area`: average; `realistic`: a distant camera",
    )
    sizes: Sides = Field(default=(), description="heights in pixels to draw from, all equally likely")
    size_range: SideRange | None = Field(default=None, description="smallest and largest height in pixels")
    size_share: ShareRange | None = Field(
        default=None, description="smallest and largest share of the crop's height, rounded down to whole pixels"
    )
    sizes_from: PathText | None = Field(
        default=None,
        description="real heights to draw from, by their frequency: a folder of pictures, such as TinyFace's, or a "
        "text file with a height on each line",
    )
    native: bool = Field(default=True, description="write the picture at its own small size")
    upsampled: bool = Field(
        default=False, description="also write it enlarged to the size of the crop, as the mode's own system does"
    )

    @model_validator(mode="after")
    def _makes_sense(self) -> LowRes:
        if not (self.native or self.upsampled):
            raise ValueError("ask for the native picture, the upsampled one, or both")
        given = [self.sizes or None, self.size_range, self.size_share, self.sizes_from]
        if sum(one is not None for one in given) > 1:
            raise ValueError("give one of sizes, size_range, size_share and sizes_from")
        for name in ("size_range", "size_share"):
            if (pair := getattr(self, name)) and pair[0] > pair[1]:
                raise ValueError(f"{name} is the smallest, then the largest")
        return self

    @property
    def largest(self) -> int:
        """The largest height in pixels that the recipe itself names; 0 if it is a share, or written elsewhere."""
        if self.size_range:
            return self.size_range[1]
        if self.size_share or self.sizes_from:
            return 0
        return max(self.sizes or DEFAULT_SIZES.get(self.mode, (0,)))
