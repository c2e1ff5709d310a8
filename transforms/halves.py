"""Upper and lower part of a face (Anti-Mask, JATIT 2022): the visible part and the part that a mask hides."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from faceloom.schemas.errors import FaceloomError
from faceloom.transforms.types import Image, Landmarks

SPLIT = 96 / 224
"""Anti-Mask splits 224 rows into 96 and 128."""


class Halves(NamedTuple):
    """The two parts of a crop.

    Attributes:
        upper: uint8 (row, W, 3), RGB.
        lower: uint8 (H - row, W, 3), RGB.
        lower_landmarks: float32 (68, 2), pixels of `lower`; points of the upper part have a negative y. None as given.
    """

    upper: Image
    lower: Image
    lower_landmarks: Landmarks | None


def split_row(height: int) -> int:
    """First row of the lower part of a crop, in Anti-Mask's proportion.

    >>> split_row(224), split_row(112)
    (96, 48)
    """
    return round(height * SPLIT)


def halves(crop: Image, landmarks: Landmarks | None, row: int | None = None) -> Halves:
    """Split a crop in two without resampling.

    Args:
        crop: uint8 (H, W, 3), RGB.
        landmarks: float32 (68, 2), pixels of the crop; None if no face was found.
        row: the first row of the lower part; `split_row` of the height by default.

    Raises:
        FaceloomError: a part would be empty.
    """
    height = len(crop)
    row = split_row(height) if row is None else row
    if not 0 < row < height:
        remedy = "Both parts need a row"
        raise FaceloomError(f"a crop of {height} rows cannot be cut there", value=row, remedy=remedy)
    below = None if landmarks is None else (landmarks - np.array([0, row], np.float32)).astype(np.float32)
    return Halves(crop[:row].copy(), crop[row:].copy(), below)
