"""Alignment by the face box: crops that stay inside the photo, and crops of faces whose landmarks are not known."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from faceloom.schemas.recipe import Align
from faceloom.transforms.align import box_side, face_box_matrix
from faceloom.transforms.detect import ALIGNED_BOX, FaceBox
from faceloom.transforms.geometry import apply_affine, similarity
from faceloom.transforms.types import Matrix, Points, Size

KEPT_BESIDE, KEPT_ABOVE, KEPT_BELOW = 0.1, 0.1, 0.25
"""Margins of the face box, in sides of it, that a fitted crop keeps: nearly all masks lie in them, without straps."""

_EYES = 0.461
"""Row of the eyes in an eye-level crop, in heights of the crop."""


Floats = npt.NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class Squares:
    """The squares that N crops cut from their photos.

    Attributes:
        centre: (N, 2), pixels of the photo.
        half: (N,), half a side.
        turn: (N,), radians by which they are turned, clockwise on screen.
    """

    centre: Floats
    half: Floats
    turn: Floats


def box_squares(align: Align, box: Floats, turn: Floats, photo: Floats) -> Squares:
    """The squares around face boxes that `align` cuts in mode `face_box`.

    With `beyond: fit` a square that reaches outside the photo is shifted, then shrunk, until it lies inside, as far as
    the face box keeps its margins for a mask; what the photo itself cuts off is not kept. A square that is turned by
    other than right angles keeps them nearly.

    Args:
        align: mode, margin and `beyond`.
        box: (N, 4), left, top, right, bottom in the photo.
        turn: (N,), degrees clockwise by which the heads are turned.
        photo: (N, 2), widths and heights of the photos.
    """
    side = np.maximum(box[:, 2] - box[:, 0], box[:, 3] - box[:, 1])
    centre, half, angle = (box[:, :2] + box[:, 2:]) / 2, side * (0.5 + align.margin), np.radians(turn)
    if align.beyond == "keep":
        return Squares(centre, half, angle)
    # Everything as boxes along the axes of the photo: a turned square lies inside one that is `wider`.
    cos, sin = np.cos(angle), np.sin(angle)
    wider = np.abs(cos) + np.abs(sin)
    beside, above, below = (side * (0.5 + min(kept, align.margin)) for kept in (KEPT_BESIDE, KEPT_ABOVE, KEPT_BELOW))
    corners = np.stack(
        [(x * cos - y * sin, x * sin + y * cos) for x in (-beside, beside) for y in (-above, below)]
    )  # (4, 2, N)
    low, high, end = centre + corners.min(0).T, centre + corners.max(0).T, photo - 0.5
    cut_low, cut_high = np.maximum(low, -0.5), np.minimum(high, end)
    there = (cut_low < cut_high).all(axis=1, keepdims=True)  # else the face lies outside the photo
    low, high = np.where(there, cut_low, low), np.where(there, cut_high, high)
    least = np.maximum((high - low).max(axis=1), side * wider) / 2
    reach = np.minimum(half * wider, np.maximum(least, photo.min(axis=1) / 2))
    most = reach[:, None]
    first, last = np.maximum(most - 0.5, high - most), np.minimum(end - most, low + most)
    over = 2 * most > photo + 1e-9  # then the square spans the photo
    first, last = np.where(over, end - most, first), np.where(over, most - 0.5, last)
    return Squares(np.clip(centre, first, np.maximum(first, last)), reach / wider, angle)


def box_matrix(align: Align, box: FaceBox, size: Size, photo: Size | None) -> Matrix:
    """The crop around a face box in mode `face_box`.

    Args:
        align: margin and `beyond`; its size is not used.
        box: face box in the photo. A head that was found turned is turned back.
        size: (width, height) of the crop, equal.
        photo: (width, height) of the photo; without it the crop is not fitted.

    Returns:
        Matrix 2x3, photo to crop.

    Raises:
        PhotoError: `degenerate_points`, when the box has no size or is not finite.
    """
    if align.beyond == "keep" or photo is None:
        return face_box_matrix(box, None, size[0], margin=align.margin)
    box_side(box)
    edges = np.array([[box.left, box.top, box.right, box.bottom]])
    square = box_squares(align, edges, np.array([box.turn]), np.array([photo]))
    middle = (size[0] - 1) / 2
    return similarity(size[0] / (2 * float(square.half[0])), -float(square.turn[0]), square.centre[0], (middle, middle))


def shares_outside(squares: Squares, photo: Floats) -> Floats:
    """Share of the area of each square that lies outside its photo, (N,).

    Args:
        squares: of N crops.
        photo: (N, 2), widths and heights of the photos.
    """
    half = squares.half[:, None]
    low, high = np.maximum(squares.centre - half, -0.5), np.minimum(squares.centre + half, photo - 0.5)
    shares: Floats = 1 - np.maximum(high - low, 0).prod(axis=1) / (2 * squares.half) ** 2
    straight = np.abs(np.sin(2 * squares.turn)) < 1e-6
    for at in np.flatnonzero(~straight).tolist():
        turned = similarity(float(squares.half[at]), float(squares.turn[at]), dst=squares.centre[at])
        shares[at] = share_outside(apply_affine(turned, _UNIT), (int(photo[at, 0]), int(photo[at, 1])))
    return np.clip(shares, 0, 1)


_UNIT = np.array([(-1.0, -1), (1, -1), (1, 1), (-1, 1)])


def share_outside(corners: Points, photo: Size) -> float:
    """Share of the area of a convex polygon, corners (N, 2) in the photo, that lies outside the photo."""
    import cv2

    width, height = photo
    edge = np.array([(-0.5, -0.5), (width - 0.5, -0.5), (width - 0.5, height - 0.5), (-0.5, height - 0.5)], np.float32)
    polygon = corners.astype(np.float32)
    inside = cv2.intersectConvexConvex(polygon, edge)[0]
    return float(min(max(0.0, 1 - inside / cv2.contourArea(polygon)), 1.0))


def box_aligned_matrix(align: Align, box: FaceBox, size: Size, photo: Size | None = None) -> Matrix:
    """The crop of a face without landmarks, close to that which `align` would cut by landmarks.

    Uses where dlib's box lies in aligned crops on average, and the angle at which the head was found.

    Args:
        align: which crop; its size is not used.
        box: face box in the photo.
        size: (width, height) of the crop.
        photo: (width, height) of the photo; without it the crop is not fitted.

    Returns:
        Matrix 2x3, photo to crop.

    Raises:
        PhotoError: `degenerate_points`, when the box has no size or is not finite.
    """
    width, height = size
    if align.mode == "face_box":
        return box_matrix(align, box, (width, height), photo)
    left, top, right, bottom = ALIGNED_BOX
    # ArcFace crops grow with their height. Eye-level crops grow with their width, and keep the row of the eyes.
    unit = height if align.mode == "arcface" else width
    x = width / 2 + ((left + right) / 2 - 0.5) * unit - 0.5
    y = _EYES * height + ((top + bottom) / 2 - _EYES) * unit - 0.5
    return similarity((right - left) * unit / box_side(box), math.radians(-box.turn), box.centre, (x, y))
