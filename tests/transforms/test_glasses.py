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
from faceloom.transforms.types import Coverage, Image, Landmarks

SIZE = (400, 400)
SKIN = np.full((*SIZE, 3), (200, 150, 120), np.uint8)
ODD = st.sampled_from([float("nan"), float("inf"), -float("inf")])
anywhere = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def glasses(points: Landmarks, seed: int = 0, rim: float = 0.06, tint: float = 0.5, on: Image = SKIN) -> Glasses:
    drawn = draw_glasses(on, points, rim, tint, np.random.default_rng(seed))
    assert drawn is not None
    return drawn


def whole(worn: Glasses, cover: Coverage) -> Coverage:
    """Rims or lenses in the whole picture."""
    out = np.zeros(SIZE, np.float32)
    out[worn.region.slices] = cover
    return out


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("pose", [{}, {"roll": 0.5}, {"yaw": 0.5}])
def test_each_eye_is_behind_a_lens_within_its_rim(
    landmarks: Callable[..., Landmarks], seed: int, pose: dict[str, float]
) -> None:
    points = landmarks(**pose)
    worn = glasses(points, seed)
    rims, lenses = whole(worn, worn.rims), whole(worn, worn.lenses)
    assert worn.rims.dtype == worn.lenses.dtype == np.float32
    assert rims.min() >= 0 and rims.max() == 1 and lenses.max() == pytest.approx(0.5)
    for eye in (points[36:42], points[42:48]):
        x, y = np.rint(eye.mean(0)).astype(int)
        assert rims[y, x] == 0 and lenses[y, x] == pytest.approx(0.5)
    count, _ = cv2.connectedComponents((lenses > 0.25).astype(np.uint8))
    assert count == 3, "two lenses"
    for mouth in points[48:68]:
        x, y = np.rint(mouth).astype(int)
        assert rims[y, x] == lenses[y, x] == 0


@anywhere
@given(turn=st.floats(-3, 3), scale=st.floats(0.5, 1.5))
def test_glasses_move_with_the_face(landmarks: Callable[..., Landmarks], turn: float, scale: float) -> None:
    points = landmarks() + np.float32(0)
    matrix = similarity(scale, turn, tuple(points.mean(0)), (200.0, 200.0))
    before, after = glasses(points), glasses(apply_affine(matrix, points).astype(np.float32))
    moved = cv2.warpAffine(whole(before, before.lenses), matrix, SIZE)
    drawn = whole(after, after.lenses)
    one, other = moved > 0.25, drawn > 0.25
    assert (one & other).sum() > 0.9 * (one | other).sum()


def test_thicker_rims_cover_more(landmarks: Callable[..., Landmarks]) -> None:
    covered = [glasses(landmarks(), rim=rim).rims.sum() for rim in (0.02, 0.05, 0.1, 0.2)]
    assert all(more > 1.2 * less for less, more in itertools.pairwise(covered))


@pytest.mark.parametrize("grey", [False, True])
def test_only_pixels_under_the_glasses_change(
    landmarks: Callable[..., Landmarks], portrait: Callable[..., Image], grey: bool
) -> None:
    points = landmarks(unit=60, centre=(200, 180))
    picture = portrait(points, SIZE)
    if grey:
        picture = np.repeat(picture[..., :1], 3, axis=2)
    before = picture.copy()
    worn = glasses(points, 1, 0.06, 0.3, picture)
    after = worn.put_on(picture)
    np.testing.assert_array_equal(picture, before)
    outside = (whole(worn, worn.rims) == 0) & (whole(worn, worn.lenses) == 0)
    np.testing.assert_array_equal(after[outside], picture[outside])
    assert (after != picture).any()
    assert not grey or (after == after[..., :1]).all()


def test_glasses_are_darker_on_dim_faces(landmarks: Callable[..., Landmarks]) -> None:
    bright, dim = (glasses(landmarks(), on=(SKIN * share).astype(np.uint8)) for share in (1, 0.2))
    np.testing.assert_allclose(np.array(dim.rim_ink) / bright.rim_ink, 0.2, rtol=0.1)


def test_a_mask_ends_at_the_rims_and_is_seen_through_the_lenses(landmarks: Callable[..., Landmarks]) -> None:
    worn = glasses(landmarks())
    ended = worn.end_mask(np.ones(SIZE, np.float32))
    np.testing.assert_array_equal(ended, 1 - whole(worn, worn.rims))


def test_faces_outside_the_picture_wear_none(landmarks: Callable[..., Landmarks]) -> None:
    assert draw_glasses(SKIN, landmarks() + np.float32(1000), 0.05, 0.1, np.random.default_rng(0)) is None


@anywhere
@given(
    seed=st.integers(0, 2**32 - 1),
    points=st.lists(st.floats(-1e9, 1e9, width=32) | ODD, min_size=136, max_size=136),
)
def test_any_landmarks_give_glasses_or_none(seed: int, points: list[float]) -> None:
    picture = np.full((30, 40, 3), 90, np.uint8)
    odd = np.array(points, np.float32).reshape(68, 2)
    worn = draw_glasses(picture, odd, 0.05, 0.2, np.random.default_rng(seed))
    if worn is not None:
        assert np.isfinite(worn.rims).all() and np.isfinite(worn.lenses).all()
        assert worn.put_on(picture).shape == picture.shape


def test_the_same_state_draws_the_same_glasses(landmarks: Callable[..., Landmarks]) -> None:
    one, again, other = (glasses(landmarks(), seed) for seed in (1, 1, 2))
    assert (one.rims == again.rims).all() and (one.rim_ink, one.lens_ink) == (again.rim_ink, again.lens_ink)
    assert one.rims.shape != other.rims.shape or (one.rims != other.rims).any()
