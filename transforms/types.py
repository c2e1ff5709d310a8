"""The array and geometry types of the project, each defined once.

Pictures have rows first (height, width); points, sizes and matrices have x first. Colour pictures are RGB everywhere;
BGR exists only in the line that calls OpenCV. Integer coordinates are pixel centres.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
"""A colour picture, uint8 (H, W, 3), RGB, 0..255, sRGB-encoded."""
Grey = NDArray[np.uint8]
"""A grey picture, uint8 (H, W), 0..255."""
Pixels = NDArray[np.uint8]
"""A picture that may be colour or grey, uint8 (H, W, 3) RGB or (H, W)."""
Mask = NDArray[np.uint8]
"""A stored mask, uint8 (H, W), 255 inside and 0 outside; values between only where the edge is soft."""
BoolMask = NDArray[np.bool_]
"""Which pixels belong to something, bool (H, W)."""
Coverage = NDArray[np.float32]
"""How much of each pixel something covers (alpha), float32 (H, W), 0..1; 0.5 and above is the binary mask."""
Field = NDArray[np.float32]
"""A value per pixel without a fixed range, such as a height or noise, float32 (H, W)."""
Landmarks = NDArray[np.float32]
"""The 68 landmarks of a face, float32 (68, 2), x and y in pixels, iBUG order; (N, 68, 2) for N faces."""
Points = NDArray[np.floating]
"""Points (N, 2), x and y."""
Point = Sequence[float] | Points
"""One point: x, y."""
Outline = NDArray[np.float64]
"""The corners of a closed polygon, float64 (N, 2), x and y."""
Matrix = NDArray[np.float64]
"""An affine map, float64 2x3: a point p becomes M[:, :2] @ p + M[:, 2]."""
Size = tuple[int, int]
"""Width and height in pixels."""
Border = Literal["reflect", "replicate", "constant", "blur"]
"""What lies outside a picture: its mirror image, its edge pixels repeated, black, or a mirror image to be blurred."""


class Region(NamedTuple):
    """A rectangle of whole pixels; may be empty.

    A detected face has edges between pixels and a score: see `detect.FaceBox`.

    Attributes:
        left, top: the first column and row.
        right, bottom: one past the last column and row.
    """

    left: int
    top: int
    right: int
    bottom: int

    @classmethod
    def around(cls, points: Points, margin: float, shape: tuple[int, ...]) -> Region:
        """The bounding box of points (N, 2) with a margin, clipped to a picture of shape (H, W, ...); may be empty."""
        height, width = shape[:2]
        (left, top), (right, bottom) = points.min(0).tolist(), points.max(0).tolist()
        x0, y0 = (min(max(0, math.floor(v - margin)), most) for v, most in ((left, width), (top, height)))
        x1, y1 = (min(max(0, math.ceil(v + margin) + 1), most) for v, most in ((right, width), (bottom, height)))
        return cls(x0, y0, max(x0, x1), max(y0, y1))

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.bottom - self.top, self.right - self.left

    @property
    def slices(self) -> tuple[slice, slice]:
        """The index of these pixels in a picture."""
        return slice(self.top, self.bottom), slice(self.left, self.right)
