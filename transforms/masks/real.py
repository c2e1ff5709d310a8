"""Masks of pairs: the photo of a face with a real mask, and a map of the mask, drawn or found by comparison."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from faceloom.schemas.errors import PhotoError
from faceloom.schemas.labels import DRAWN, MASKED, LabelFiles
from faceloom.transforms.decode import MAX_PIXELS, decode_grey, decode_rgb, read_header, shrink
from faceloom.transforms.masks.painted import PaintedMask
from faceloom.transforms.types import BoolMask, Coverage, Grey, Image, Region, Size

LEAST_CHANGE = 16
"""Levels that a pixel must differ by, at least, to belong to a mask."""
SAME_EDGES = 0.45
"""Least correlation of the gradients of two aligned photos, outside the mask."""
_BAND = 256
_LESSER = 0.1
"""A smaller area of change is part of a mask too, or another mask, from this share of the largest one on."""


@dataclass(frozen=True, slots=True, eq=False)
class MaskedPhoto:
    """The photo of a face with a mask, in the frame of its bare photo.

    Attributes:
        image: uint8 (H, W, 3), RGB.
        cover: uint8 (H, W), 0..255: coverage by the mask.
        origin: `drawn`, or `difference` if the map comes from comparing the photos.
    """

    image: Image
    cover: Grey
    origin: Literal["drawn", "difference"]

    def cut(self, region: Region) -> MaskedPhoto:
        """A part of it."""
        return replace(self, image=self.image[region.slices], cover=self.cover[region.slices])

    def painted(self) -> PaintedMask:
        """It as the result of painting its mask."""
        return PaintedMask(self.image, _coverage(self.cover), None, {"map": self.origin})


def _coverage(cover: Grey) -> Coverage:
    return np.multiply(cover, np.float32(1 / 255), dtype=np.float32)


def decode_pair(
    files: LabelFiles, bare: Image, size: Size, reduction: int = 1, *, max_pixels: int = MAX_PIXELS
) -> MaskedPhoto:
    """Decode the masked photo of a pair, and its map.

    A drawn map is white where the mask is: pixels of half the brightness or more count. A map that holds nothing but 0
    and 1 counts where it is 1. Transparency is ignored, so a map that is white everywhere is refused.

    Args:
        files: of the pair.
        bare: uint8 (H, W, 3), RGB, the bare photo decoded `reduction` times smaller.
        size: (width, height) of the upright bare photo.
        reduction: 1, 2, 4 or 8.
        max_pixels: limit on the pixels of a photo.

    Raises:
        PhotoError: `bad_partner`, `pair_sizes`, `pair_unaligned`, `empty_map`.
    """
    found = dict(files.files)
    image = _decoded("masked photo", found[MASKED], size, reduction, max_pixels)
    if DRAWN not in found:
        return MaskedPhoto(image, find_mask(bare, image), "difference")
    values = _decoded("map", found[DRAWN], size, None, max_pixels)
    inside = values >= (1 if values.max(initial=0) == 1 else 128)
    if not inside.any():
        raise PhotoError("empty_map", "the map of the mask has no white pixel")
    if inside.all():
        remedy = "Draw the mask white on black; transparency is ignored"
        raise PhotoError("empty_map", "the map of the mask is white everywhere", remedy=remedy)
    return MaskedPhoto(image, shrink(inside.astype(np.uint8) * np.uint8(255), reduction), "drawn")


def _decoded(what: str, data: bytes, size: Size, reduction: int | None, max_pixels: int) -> Image:
    """A picture of a pair in colour, or in grey and full size without a reduction."""
    try:
        header = read_header(data, max_pixels=max_pixels)
        if header.size != size:
            shapes = f"{what} {header.size[0]} x {header.size[1]}, bare photo {size[0]} x {size[1]}"
            raise PhotoError("pair_sizes", "the files of a pair differ in size", value=shapes)
        if reduction is None:
            return decode_grey(data, max_pixels=max_pixels, header=header, check=False)
        return decode_rgb(data, reduction=reduction, max_pixels=max_pixels, header=header)
    except PhotoError as error:
        if error.code == "pair_sizes":
            raise
        raise PhotoError("bad_partner", f"the {what} cannot be read: {error.what}", value=error.value) from error


def find_mask(bare: Image, masked: Image) -> Grey:
    """Find the mask by which two photos differ that are otherwise the same, apart from JPEG noise.

    Pixels count whose largest difference among the channels, after a median filter of 5 pixels, is above three times
    its lower quartile over the photo plus 8, and above `LEAST_CHANGE`. Opening removes thin straps and specks, and
    closing joins what is near. The largest area is the mask, with those of a tenth of it or more; its holes are filled.

    Args:
        bare, masked: uint8 (H, W, 3), RGB, of equal size.

    Returns:
        uint8 (H, W), 255 where the mask is, else 0.

    Raises:
        PhotoError: `empty_map`, if nothing stands out from their difference; `pair_unaligned`, if the correlation of
            their gradients outside the mask is below `SAME_EDGES`.
    """
    import cv2

    change = cv2.medianBlur(cv2.absdiff(bare, masked).max(axis=2), 5)
    changed = (change > max(LEAST_CHANGE, 3 * float(np.quantile(change, 0.25)) + 8)).astype(np.uint8)
    radius = max(1, round(min(changed.shape) / 100))
    opening, closing = (cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * r + 1,) * 2) for r in (radius, 2 * radius))
    changed = cv2.morphologyEx(cv2.morphologyEx(changed, cv2.MORPH_OPEN, opening), cv2.MORPH_CLOSE, closing)
    _, areas, sizes, _ = cv2.connectedComponentsWithStats(changed)
    area = sizes[:, cv2.CC_STAT_AREA].copy()
    area[0] = 0
    inside = ((area > 0) & (area >= _LESSER * area.max()))[areas].astype(np.uint8)
    outlines, _ = cv2.findContours(inside, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(inside, outlines, -1, 255, cv2.FILLED)
    outside = cv2.dilate(inside, opening, iterations=2) == 0
    same = _same_edges(bare, masked, np.asarray(outside, np.bool_))
    if same < SAME_EDGES:
        what = "the photos of the pair differ in more than a mask"
        remedy = "Draw a map of the mask, and name the folder of maps under `maps` of the source"
        value = f"correlation of gradients {same:.2f}, least {SAME_EDGES}"
        raise PhotoError("pair_unaligned", what, value=value, remedy=remedy)
    if not area.any():
        what, remedy = "comparing the photos of the pair shows no mask", "Draw a map of the mask"
        raise PhotoError("empty_map", what, remedy=remedy)
    return np.asarray(inside, np.uint8) // 255 * np.uint8(255)


def _same_edges(one: Image, other: Image, where: BoolMask) -> float:
    """Correlation of the gradients of two pictures in some pixels; 1 if neither has any."""
    import cv2

    products = np.zeros(3)
    greys = [cv2.GaussianBlur(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), (0, 0), 1.0) for image in (one, other)]
    for across, down in ((1, 0), (0, 1)):
        slopes = [cv2.Sobel(grey, cv2.CV_32F, across, down) for grey in greys]
        for rows in range(0, len(where), _BAND):  # sums in double precision, without a copy of a large photo
            some = where[rows : rows + _BAND]
            first, second = (slope[rows : rows + _BAND][some].astype(np.float64) for slope in slopes)
            products += first @ second, first @ first, second @ second
    both, first_energy, second_energy = products.tolist()
    if not first_energy and not second_energy:
        return 1.0
    return float(both / max(1e-9, np.sqrt(first_energy * second_energy)))
