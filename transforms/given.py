"""Faces that the user gives: a box, 68 landmarks, or five points. No detector looks for them."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from faceloom.schemas.errors import PhotoError
from faceloom.transforms.align import ARCFACE_POINTS, five_points, warp_image
from faceloom.transforms.detect import ALIGNED_BOX, LANDMARK_WIDTH, FaceBox, box_of_landmarks
from faceloom.transforms.geometry import apply_affine, compose, invert, scale_of, translate, umeyama
from faceloom.transforms.landmarks import FaceLandmarks, find_landmarks, predict
from faceloom.transforms.types import Grey, Landmarks, Matrix, Points

_SMALLEST, _LARGEST = 1.0, 100
"""Sides of a given box that are possible: in pixels, and in longest sides of the picture."""
_NOWHERE = FaceBox(-0.5, -0.5, 0.5, 0.5)
"""Box of a face whose points make none."""
_SIZES = (1.0, 0.7, 1.3)
"""Sizes of a given box that are tried; with head boxes, one size misplaced every second face and these none of 90."""
_MARGIN = 0.6
"""Of the picture in which landmarks are searched from five points, around the ArcFace crop and in its sides."""


@dataclass(frozen=True, eq=False)
class Given:
    """A face in pixels of the upright photo, as the user gives it.

    Attributes:
        box: the face rectangle; that of the points if the user gives none.
        landmarks: float32 (68, 2), iBUG order; None if they are to be predicted.
        five: float32 (5, 2), eyes, nose tip and mouth corners from left to right; None if not given.
        loose: whether the box may be larger or smaller than the detector would draw it.
        by_user: whether the user gives the face; otherwise the detector found it.
        fault: why the points make no face; None if they may.
    """

    box: FaceBox
    landmarks: Landmarks | None = None
    five: Points | None = None
    loose: bool = False
    by_user: bool = True
    fault: PhotoError | None = None


def given_face(box: FaceBox | None, points: Points | None) -> Given:
    """The face of a box, points, or both.

    Args:
        box: used as it is.
        points: (68, 2) or (5, 2). If they make no face, the face has a `fault`, since a photo may hold others.

    Raises:
        ValueError: there are neither.
    """
    if points is None:
        if box is None:
            raise ValueError("a face needs a box or points")
        return Given(box, loose=True)
    try:
        if len(points) == 5:
            return Given(box or box_of_five(points), five=points)
        return Given(box or box_of_landmarks(points), landmarks=points)
    except PhotoError as error:
        return Given(_NOWHERE, fault=error)


def refuse_outside(box: FaceBox, grey: Grey) -> None:
    """Raise an error if a box can hold no face of a picture: the predictor would fail, or take all memory.

    Raises:
        PhotoError: `degenerate_points`, if the box has no pixel of the picture, or a side of it is shorter than a pixel
            or a hundred times as long as the picture.
    """
    height, width = grey.shape
    inside = box.left < width and box.top < height and box.right > 0 and box.bottom > 0
    sides = box.width, box.height
    if not inside or min(sides) < _SMALLEST or max(sides) > _LARGEST * max(width, height):
        edges = ", ".join(f"{edge:.4g}" for edge in (box.left, box.top, box.right, box.bottom))
        what = f"the face box lies outside the picture of {width} x {height} pixels, or no face has its size"
        raise PhotoError("degenerate_points", what, value=edges)


def box_of_five(points: Points) -> FaceBox:
    """The face box that the detector would draw around five points.

    Raises:
        PhotoError: `degenerate_points`, if the points coincide.
    """
    from_crop = invert(umeyama(points, ARCFACE_POINTS))
    left, top, right, bottom = np.multiply(ALIGNED_BOX, 112)
    ((x, y),) = apply_affine(from_crop, np.array([[(left + right) / 2 - 0.5, (top + bottom) / 2 - 0.5]])).tolist()
    half = scale_of(from_crop) * (right - left) / 2
    return FaceBox(x - half, y - half, x + half, y + half)


def predict_in_loose_box(grey: Grey, box: FaceBox, predictor: Any) -> FaceLandmarks:
    """The 68 iBUG landmarks of the face in a box of any kind, such as one around the head or the landmarks.

    The predictor needs a box like the detector's. Of guesses from several sizes of the box, the right one is that which
    changes least if the search starts again from its own five points.

    Arguments and result as `landmarks.find_landmarks`.
    """
    (x, y), side = box.centre, (box.width + box.height) / 4
    found: list[tuple[float, FaceLandmarks]] = []
    for half in (side * size for size in _SIZES):
        guess = predict(grey, FaceBox(x - half, y - half, x + half, y + half), predictor)
        with contextlib.suppress(PhotoError):  # a guess that makes no face
            again = predict_from_five(grey, five_points(guess), predictor)
            change = np.linalg.norm(again.points - guess, axis=1).mean() / np.ptp(again.points, axis=0).max()
            found.append((float(change), again))
    if not found:
        return FaceLandmarks(predict(grey, box, predictor), unsure=True)
    return min(found, key=lambda one: one[0])[1]


def predict_from_five(grey: Grey, points: Points, predictor: Any) -> FaceLandmarks:
    """The 68 iBUG landmarks of a face whose five points are known: it is searched upright, however it is turned.

    Args:
        grey: uint8 (H, W).
        points: (5, 2) in pixels of `grey`.
        predictor: dlib's 68-point shape predictor.

    Returns:
        float32 (68, 2), x and y in pixels of `grey`, and whether to trust them.

    Raises:
        PhotoError: `degenerate_points` or `crop_outside`, if the points cannot be those of a face in this picture.
    """
    left, top, right, bottom = ALIGNED_BOX
    side = LANDMARK_WIDTH / (right - left)
    edge = round(_MARGIN * side)
    to_crop: Matrix = compose(translate(edge, edge), umeyama(points, ARCFACE_POINTS * (side / 112)))
    crop = warp_image(grey, to_crop, (round(side) + 2 * edge,) * 2, border="replicate")
    box = FaceBox(left * side - 0.5, top * side - 0.5, right * side - 0.5, bottom * side - 0.5).moved(edge, edge)
    seen = find_landmarks(crop, box, predictor)
    return replace(seen, points=np.asarray(apply_affine(invert(to_crop), seen.points), np.float32))
