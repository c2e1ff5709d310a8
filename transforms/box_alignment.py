"""Alignment by the face box, for faces whose landmarks are not known."""

from __future__ import annotations

import math

from faceloom.schemas.recipe import Align
from faceloom.transforms.align import box_side, face_box_matrix
from faceloom.transforms.detect import ALIGNED_BOX, FaceBox
from faceloom.transforms.geometry import similarity
from faceloom.transforms.types import Matrix, Size

_EYES = 0.461
"""Row of the eyes in an eye-level crop, in heights of the crop."""


def box_aligned_matrix(align: Align, box: FaceBox, size: Size) -> Matrix:
    """The crop of a face without landmarks, close to that which `align` would cut by landmarks.

    Uses where dlib's box lies in aligned crops on average, and the angle at which the head was found.

    Args:
        align: which crop; its size is not used.
        box: face box in the photo.
        size: (width, height) of the crop.

    Returns:
        Matrix 2x3, photo to crop.

    Raises:
        PhotoError: `degenerate_points`, when the box has no size or is not finite.
    """
    width, height = size
    if align.mode == "face_box":
        return face_box_matrix(box, None, width, margin=align.margin)
    left, top, right, bottom = ALIGNED_BOX
    # ArcFace crops grow with their height. Eye-level crops grow with their width, and keep the row of the eyes.
    unit = height if align.mode == "arcface" else width
    x = width / 2 + ((left + right) / 2 - 0.5) * unit - 0.5
    y = _EYES * height + ((top + bottom) / 2 - _EYES) * unit - 0.5
    return similarity((right - left) * unit / box_side(box), math.radians(-box.turn), box.centre, (x, y))
