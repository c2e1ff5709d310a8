"""A crop by the box is close to the crop by landmarks, and turns with the head."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceloom.schemas.errors import PhotoError
from faceloom.schemas.recipe import Align
from faceloom.transforms.align import ARCFACE_POINTS, arcface_matrix, eye_level_matrix
from faceloom.transforms.box_alignment import (
    Squares,
    box_aligned_matrix,
    box_matrix,
    box_squares,
    share_outside,
    shares_outside,
)
from faceloom.transforms.detect import FaceBox, box_for_aligned
from faceloom.transforms.geometry import apply_affine, invert, scale_of

SIZES = [(112, 112), (96, 112), (64, 64), (160, 120)]


def landmarks_of_crop() -> np.ndarray:
    """68 points whose five points are those of the ArcFace template."""
    points = np.zeros((68, 2))
    for rows, point in zip(([*range(36, 42)], [*range(42, 48)], [30], [48], [54]), ARCFACE_POINTS, strict=True):
        points[rows] = point
    return points


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("mode", ["arcface", "eye_level"])
def test_an_average_face_is_cut_as_by_its_landmarks(mode: Any, size: tuple[int, int]) -> None:
    points = landmarks_of_crop()
    by_box = box_aligned_matrix(Align(mode=mode), box_for_aligned(112, 112), size)
    by_points = arcface_matrix(points, size[1], width=size[0]) if mode == "arcface" else eye_level_matrix(points, size)
    corners = np.array([[0, 0], [112, 0], [112, 112], [0, 112]], np.float64)
    assert apply_affine(by_box, corners) == pytest.approx(apply_affine(by_points, corners), abs=0.02 * max(size))


@given(st.integers(-180, 180), st.floats(10, 500), st.floats(-200, 900), st.sampled_from(SIZES))
def test_the_crop_turns_and_grows_with_the_head(turn: int, width: float, left: float, size: tuple[int, int]) -> None:
    upright, turned = (FaceBox(left, 5, left + width, 5 + width, turn=angle) for angle in (0, turn))
    for mode in ("arcface", "eye_level", "face_box"):
        align = Align.model_validate({"mode": mode})
        size = (size[1], size[1]) if mode == "face_box" else size
        straight, matrix = (box_aligned_matrix(align, box, size) for box in (upright, turned))
        middle = np.array([upright.centre])
        assert apply_affine(matrix, middle) == pytest.approx(apply_affine(straight, middle), abs=1e-6)
        assert scale_of(matrix) == pytest.approx(scale_of(straight))
        down = math.radians(turn + 90)  # from brow to chin of a head that is turned clockwise
        chin = middle + width / 2 * np.array([[math.cos(down), math.sin(down)]])
        moved = (apply_affine(matrix, chin) - apply_affine(matrix, middle))[0]
        assert moved[0] == pytest.approx(0, abs=1e-6) and moved[1] > 0


def test_a_box_without_a_size_is_refused() -> None:
    with pytest.raises(PhotoError, match="no size"):
        box_aligned_matrix(Align(), FaceBox(3, 3, 3, 3), (112, 112))


FIT = Align(mode="face_box", size=64, margin=0.7, beyond="fit")
KEEP = Align(mode="face_box", size=64, margin=0.7)
photos = st.tuples(st.integers(30, 900), st.integers(30, 900))


def squares(align: Align, box: FaceBox, photo: tuple[int, int]) -> tuple[Squares, np.ndarray]:
    edges = np.array([[box.left, box.top, box.right, box.bottom]])
    return box_squares(align, edges, np.array([box.turn]), np.array([photo])), np.array([photo])


@given(photos, st.floats(0, 1), st.floats(0, 1), st.floats(20, 300), st.sampled_from([0, 90, -90, 180]))
def test_a_fitted_crop_keeps_the_room_for_a_mask_and_lies_inside_where_that_can_be(
    photo: tuple[int, int], across: float, down: float, side: float, turn: int
) -> None:
    x, y = across * photo[0], down * photo[1]
    box = FaceBox(x - side / 2, y - side / 2, x + side / 2, y + side / 2, turn=turn)
    fitted, size = squares(FIT, box, photo)
    kept, _ = squares(KEEP, box, photo)
    half, (cx, cy) = float(fitted.half[0]), fitted.centre[0]
    assert side / 2 - 1e-6 <= half <= float(kept.half[0]) + 1e-6
    share, before = float(shares_outside(fitted, size)[0]), float(shares_outside(kept, size)[0])
    assert share <= before + 1e-9
    # The face box with its margins, as far as the photo shows it.
    beside, above, below = side * 0.6, side * 0.6, side * 0.75
    room = {0: (beside, above, beside, below), 180: (beside, below, beside, above)}
    room |= {90: (below, beside, above, beside), -90: (above, beside, below, beside)}
    left, top, right, bottom = room[turn]
    right, bottom = min(x + right, photo[0] - 0.5), min(y + bottom, photo[1] - 0.5)
    left, top = max(x - left, -0.5), max(y - top, -0.5)
    assert cx - half <= left + 1e-6 and cx + half >= right - 1e-6
    assert cy - half <= top + 1e-6 and cy + half >= bottom - 1e-6
    if max(right - left, bottom - top, side) <= min(photo):
        assert share < 1e-9, "there is a square in the photo that shows all of this"
    if before == 0:
        assert fitted.centre[0] == pytest.approx(kept.centre[0]) and half == pytest.approx(float(kept.half[0]))


def test_a_crop_is_shifted_before_it_is_shrunk() -> None:
    box = FaceBox(20, 20, 120, 120)
    fitted, _ = squares(FIT, box, (640, 480))
    assert fitted.half[0] == pytest.approx(120) and fitted.centre[0] == pytest.approx([119.5, 119.5])
    fitted, _ = squares(FIT, box, (640, 200))
    assert fitted.half[0] == pytest.approx(100) and fitted.centre[0] == pytest.approx([99.5, 99.5])


@given(photos, st.integers(-180, 180), st.floats(20, 300), st.sampled_from([FIT, KEEP]))
def test_the_share_outside_is_that_of_the_pixels(photo: tuple[int, int], turn: int, side: float, align: Align) -> None:
    box = FaceBox(10, 15, 10 + side, 15 + side, turn=turn)
    found, size = squares(align, box, photo)
    share = float(shares_outside(found, size)[0])
    matrix = box_matrix(align, box, (200, 200), photo)
    y, x = np.mgrid[:200, :200]
    there = apply_affine(invert(matrix), np.stack([x, y], -1).reshape(-1, 2).astype(np.float64))
    outside = (there < -0.5) | (there > np.array(photo) - 0.5)
    assert share == pytest.approx(outside.any(axis=1).mean(), abs=0.015)
    corners = np.array([(-0.5, -0.5), (199.5, -0.5), (199.5, 199.5), (-0.5, 199.5)])
    assert share_outside(apply_affine(invert(matrix), corners), photo) == pytest.approx(share, abs=2e-3)


def test_a_face_outside_the_photo_is_not_fitted_into_it() -> None:
    fitted, size = squares(FIT, FaceBox(900, 900, 1000, 1000), (300, 300))
    assert shares_outside(fitted, size)[0] > 0.5
    assert np.isfinite(box_matrix(FIT, FaceBox(900, 900, 1000, 1000), (64, 64), (300, 300))).all()


def test_without_the_size_of_the_photo_nothing_is_fitted() -> None:
    box = FaceBox(5, 5, 105, 105)
    assert np.array_equal(box_aligned_matrix(FIT, box, (64, 64)), box_aligned_matrix(KEEP, box, (64, 64), (110, 110)))
