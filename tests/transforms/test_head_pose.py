"""The pose of a turned head is found, with the documented signs."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from faceloom.transforms.geometry import apply_affine, similarity
from faceloom.transforms.head_pose import head_pose, jaw_yaw
from faceloom.transforms.types import Landmarks
from tests.transforms.heads import head

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


@given(yaw=st.floats(-0.7, 0.7), roll=st.floats(-0.5, 0.5), unit=st.floats(8, 900))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_yaw_from_the_jaw_has_the_right_sign_and_size(
    landmarks: Callable[..., Landmarks], yaw: float, roll: float, unit: float
) -> None:
    points = landmarks(unit=unit, yaw=yaw, roll=roll)
    assert jaw_yaw(points) == pytest.approx(yaw, abs=0.25)
