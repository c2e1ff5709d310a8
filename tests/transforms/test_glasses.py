"""Drawn glasses sit on the eyes of any face, and change nothing else."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from faceloom.transforms.geometry import apply_affine, similarity
from faceloom.transforms.glasses import Glasses, draw_glasses
from faceloom.transforms.types import Image, Landmarks

SIZE = (400, 400)
ODD = st.sampled_from([float("nan"), float("inf"), -float("inf")])
anywhere = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def glasses(points: Landmarks, seed: int = 0, rim: float = 0.06, tint: float = 0.5) -> Glasses:
    return draw_glasses(points, SIZE, rim, tint, np.random.default_rng(seed))


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("pose", [{}, {"roll": 0.5}, {"yaw": 0.5}])
def test_each_eye_is_behind_a_lens_within_its_rim(
    landmarks: Callable[..., Landmarks], seed: int, pose: dict[str, float]
) -> None:
    points = landmarks(**pose)
    worn = glasses(points, seed)
    assert worn.rims.dtype == worn.lenses.dtype == np.float32 and worn.rims.shape == SIZE
    assert worn.rims.min() >= 0 and worn.rims.max() == 1 and worn.lenses.max() == pytest.approx(0.5)
    for eye in (points[36:42], points[42:48]):
        x, y = np.rint(eye.mean(0)).astype(int)
        assert worn.rims[y, x] == 0 and worn.lenses[y, x] == pytest.approx(0.5)
    count, _ = cv2.connectedComponents((worn.lenses > 0.25).astype(np.uint8))
    assert count == 3, "two lenses"
    for mouth in points[48:68]:
        x, y = np.rint(mouth).astype(int)
        assert worn.rims[y, x] == worn.lenses[y, x] == 0


@anywhere
@given(turn=st.floats(-3, 3), scale=st.floats(0.5, 1.5))
def test_glasses_move_with_the_face(landmarks: Callable[..., Landmarks], turn: float, scale: float) -> None:
    points = landmarks() + np.float32(0)
    matrix = similarity(scale, turn, tuple(points.mean(0)), (200.0, 200.0))
    moved = cv2.warpAffine(glasses(points).lenses, matrix, SIZE)
    drawn = glasses(apply_affine(matrix, points).astype(np.float32)).lenses
    one, other = moved > 0.25, drawn > 0.25
    assert (one & other).sum() > 0.9 * (one | other).sum()


def test_thicker_rims_cover_more(landmarks: Callable[..., Landmarks]) -> None:
    covered = [glasses(landmarks(), rim=rim).rims.sum() for rim in (0.02, 0.05, 0.1, 0.2)]
    assert all(more > 1.2 * less for less, more in itertools.pairwise(covered))


@pytest.mark.parametrize("grey", [False, True])
def test_only_pixels_under_the_glasses_change(
    landmarks: Callable[..., Landmarks], portrait: Callable[..., Image], grey: bool
) -> None:
    points = landmarks()
    picture = portrait(points)
    if grey:
        picture = np.repeat(picture[..., :1], 3, axis=2)
    before = picture.copy()
    worn = draw_glasses(points, picture.shape[1::-1], 0.06, 0.3, np.random.default_rng(1))
    after = worn.put_on(picture)
    np.testing.assert_array_equal(picture, before)
    outside = (worn.rims == 0) & (worn.lenses == 0)
    np.testing.assert_array_equal(after[outside], picture[outside])
    assert (after != picture).any()
    assert not grey or (after == after[..., :1]).all()


def test_glasses_are_darker_on_dim_faces(landmarks: Callable[..., Landmarks]) -> None:
    worn = Glasses(np.ones((4, 4), np.float32), np.zeros((4, 4), np.float32), (200, 100, 50), (0, 0, 0))
    bright, dim = (worn.put_on(np.full((4, 4, 3), (level, level, level - 1), np.uint8))[0, 0] for level in (200, 30))
    assert bright.tolist() == [200, 100, 50] and abs(dim - np.array([40, 20, 10])).max() <= 1


@anywhere
@given(
    seed=st.integers(0, 2**32 - 1),
    points=st.lists(
        st.floats(-1e9, 1e9, width=32) | st.sampled_from([float("nan"), float("inf"), -float("inf")]),
        min_size=136,
        max_size=136,
    ),
)
def test_any_landmarks_give_glasses_or_none(seed: int, points: list[float]) -> None:
    picture = np.full((30, 40, 3), 90, np.uint8)
    worn = draw_glasses(np.array(points, np.float32).reshape(68, 2), (40, 30), 0.05, 0.2, np.random.default_rng(seed))
    assert np.isfinite(worn.rims).all() and np.isfinite(worn.lenses).all()
    assert worn.put_on(picture).shape == picture.shape


def test_the_same_state_draws_the_same_glasses(landmarks: Callable[..., Landmarks]) -> None:
    one, again, other = (glasses(landmarks(), seed) for seed in (1, 1, 2))
    assert (one.rims == again.rims).all() and one.frame == again.frame and one.lens == again.lens
    assert (one.rims != other.rims).any()
