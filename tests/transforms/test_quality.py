"""Quality figures: they follow what was done to the picture, in the right direction and by the right amount."""

from __future__ import annotations

import math
from itertools import pairwise

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceloom.schemas.errors import PhotoError
from faceloom.transforms import quality
from faceloom.transforms.geometry import apply_affine, similarity
from faceloom.transforms.quality import head_pose, measure_face


def head(yaw: float = 0, pitch: float = 0, roll: float = 0, size: float = 2.0) -> np.ndarray:
    """68 landmarks of the average head that nods, turns and tilts; those that the model lacks lie on the eyes."""
    a, b, c = (math.radians(angle) for angle in (yaw, pitch, roll))
    about_y = np.array([[math.cos(a), 0, -math.sin(a)], [0, 1, 0], [math.sin(a), 0, math.cos(a)]])
    about_x = np.array([[1, 0, 0], [0, math.cos(b), math.sin(b)], [0, -math.sin(b), math.cos(b)]])
    about_z = np.array([[math.cos(c), -math.sin(c), 0], [math.sin(c), math.cos(c), 0], [0, 0, 1]])
    seen = quality._HEAD_SHAPE @ (about_z @ about_y @ about_x).T
    points = np.zeros((68, 2), np.float32)
    points[36:42], points[42:48] = seen[:2, :2].mean(axis=0), seen[2:4, :2].mean(axis=0)
    points[quality._HEAD_POINTS] = seen[:, :2]
    return (points * size + (300, 250)).astype(np.float32)


def picture(seed: int = 0) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(40, 200, (80, 80), dtype=np.uint8)
    return cv2.resize(coarse, (640, 640), interpolation=cv2.INTER_CUBIC)


angles = st.floats(-45, 45)


@given(angles, angles, angles, st.floats(0.2, 5))
def test_the_pose_of_a_turned_head_is_found(yaw: float, pitch: float, roll: float, size: float) -> None:
    assert head_pose(head(yaw, pitch, roll, size)) == pytest.approx((yaw, pitch, roll), abs=0.1)


def test_signs_of_the_pose() -> None:
    front, right, up, clockwise = head(), head(yaw=30), head(pitch=20), head(roll=15)
    nose = 30
    assert right[nose, 0] > front[nose, 0]  # the face looks to the right edge of the picture
    assert up[nose, 1] - up[36:48, 1].mean() < front[nose, 1] - front[36:48, 1].mean()  # the nose rises to the eyes
    assert clockwise[45, 1] > clockwise[36, 1]  # the eye at the right is lower
    assert head_pose(right)[0] > 25 and head_pose(up)[1] > 15 and head_pose(clockwise)[2] > 10


def test_moving_and_growing_keep_the_pose() -> None:
    points = head(20, 10, 0)
    moved = apply_affine(similarity(3, math.radians(12), dst=(50, -20)), points)
    assert head_pose(moved) == pytest.approx((20, 10, 12), abs=0.1)


def test_brightness_and_contrast_are_those_of_the_face() -> None:
    grey = picture()
    first = measure_face(grey, head())
    darker = measure_face((grey // 2).astype(np.uint8), head())
    assert darker.brightness == pytest.approx(first.brightness / 2, abs=1)
    assert darker.contrast == pytest.approx(first.contrast / 2, abs=1)
    flat = measure_face(np.full((640, 640), 90, np.uint8), head())
    assert (flat.brightness, flat.contrast, flat.sharpness) == pytest.approx((90, 0, 0), abs=1e-3)


def test_only_the_face_counts() -> None:
    grey, other = picture(), picture()
    other[:60], other[-30:], other[:, :60], other[:, -60:] = 0, 255, 0, 255
    assert measure_face(grey, head()) == measure_face(other, head())


def test_blur_lowers_the_sharpness_step_by_step() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (640, 640), dtype=np.uint8)
    sharpness = [measure_face(cv2.GaussianBlur(noise, (0, 0), blur), head()).sharpness for blur in (1, 2, 4, 8)]
    assert all(later < earlier * 0.7 for earlier, later in pairwise(sharpness))


def test_the_size_of_the_photo_changes_little() -> None:
    grey = picture()
    double = cv2.resize(grey, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
    first, second = measure_face(grey, head()), measure_face(double, (head() + 0.5) * 2 - 0.5)
    assert second.sharpness == pytest.approx(first.sharpness, rel=0.15)
    assert second.brightness == pytest.approx(first.brightness, rel=0.02)
    assert second.eye_distance == pytest.approx(2 * first.eye_distance)


def test_the_eye_distance_is_in_pixels_of_the_photo() -> None:
    points = head(size=2)
    assert measure_face(picture(), points).eye_distance == pytest.approx(124, abs=0.5)
    assert measure_face(picture(), points, reduction=4).eye_distance == pytest.approx(496, abs=2)


@pytest.mark.parametrize(
    ("points", "code"),
    [(np.zeros((68, 2), np.float32), "degenerate_points"), (head() + 9000, "crop_outside")],
    ids=["one point", "far away"],
)
def test_landmarks_that_are_no_face_are_refused(points: np.ndarray, code: str) -> None:
    with pytest.raises(PhotoError) as caught:
        measure_face(picture(), points)
    assert caught.value.code == code


def test_figures_are_plain_numbers() -> None:
    figures = vars(measure_face(picture(), head()))
    assert all(type(value) is float for value in figures.values())
