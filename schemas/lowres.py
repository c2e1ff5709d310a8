"""What a recipe says about low-resolution pictures: how they are made, and how small."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, WithJsonSchema, model_validator

from faceloom.schemas.base import Model

Mode = Literal["askd", "fskd", "adaface", "area", "realistic"]
Side = Annotated[int, Field(ge=4, le=4096)]
Share = Annotated[float, Field(gt=0, le=1)]
Sides = Annotated[tuple[Side, ...], WithJsonSchema({"type": "array", "words": "list of whole numbers ≥ 4"})]
SideRange = Annotated[tuple[Side, Side], WithJsonSchema({"type": "array", "words": "[smallest, largest] ≥ 4"})]
ShareRange = Annotated[tuple[Share, Share], WithJsonSchema({"type": "array", "words": "[smallest, largest] ≤ 1"})]

DEFAULT_SIZES: dict[Mode, tuple[int, ...]] = {
    "askd": (14, 28, 56),
    "fskd": (14, 28, 56, 112),
    "area": (14, 28, 56),
    "realistic": (14, 28, 56),
}
DEFAULT_SHARE = (0.2, 1.0)
"""What the systems themselves draw from, on crops of 112 x 112; AdaFace a share of the crop."""


class LowRes(Model):
    """Low-resolution partners of the pictures. At most one key says how small; without one, it is as the mode's own
    system has it.

    Attributes:
        mode: how: `askd`, `fskd` and `adaface` as those systems do, `area` by averaging, `realistic` as a far camera.
        sizes: heights in pixels to draw from, all equally likely; one alone is fixed.
        size_range: smallest and largest height in pixels, and everything between.
        size_share: smallest and largest share of the crop's height, and everything between, cut to whole pixels.
        sizes_from: real heights to draw from, each as likely as it is common: a folder of pictures, such as TinyFace's,
            or a text file with a height on each line.
        native: write the picture at its own small size.
        upsampled: also write it enlarged to the crop's size again, as the mode's own system does.
    """

    mode: Mode = "area"
    sizes: Sides = ()
    size_range: SideRange | None = None
    size_share: ShareRange | None = None
    sizes_from: str | None = None
    native: bool = True
    upsampled: bool = False

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
