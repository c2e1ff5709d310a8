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
from faceloom.transforms.box_alignment import box_aligned_matrix
from faceloom.transforms.detect import FaceBox, box_for_aligned
from faceloom.transforms.geometry import apply_affine, scale_of

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
