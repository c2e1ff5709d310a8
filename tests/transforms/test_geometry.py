"""Similarities: exact where they can be, least squares where they cannot."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceloom.schemas.errors import PhotoError
from faceloom.transforms.geometry import (
    apply_affine,
    compose,
    invert,
    rotate,
    scale_about_corner,
    scale_of,
    similarity,
    translate,
    umeyama,
)

coordinates = st.floats(-2000, 2000)
points = st.tuples(coordinates, coordinates)
similarities = st.builds(similarity, st.floats(0.02, 50), st.floats(-math.pi, math.pi), points, points)
clouds = st.lists(points, min_size=2, max_size=12).map(np.array).filter(lambda cloud: np.ptp(cloud, axis=0).max() > 1)


@given(similarities, clouds)
def test_umeyama_finds_a_similarity_exactly(matrix: np.ndarray, cloud: np.ndarray) -> None:
    target = apply_affine(matrix, cloud)
    assert np.allclose(apply_affine(umeyama(cloud, target), cloud), target, atol=1e-6 * (1 + np.abs(target).max()))


@given(clouds, clouds)
def test_umeyama_is_a_similarity_without_reflection(source: np.ndarray, target: np.ndarray) -> None:
    count = min(len(source), len(target))
    try:
        (a, b), (c, d) = umeyama(source[:count], target[:count])[:, :2]
    except PhotoError as error:
        assert error.code == "degenerate_points"
    else:
        assert a == pytest.approx(d) and b == pytest.approx(-c) and a * d - b * c > 0


def test_umeyama_is_the_best_of_its_neighbours() -> None:
    rng = np.random.default_rng(1)
    source, target = rng.normal(size=(2, 5, 2)) * 30

    def cost(matrix: np.ndarray) -> float:
        return float(((apply_affine(matrix, source) - target) ** 2).sum())

    best = umeyama(source, target)
    turns, shifts = (rotate(0.01), rotate(-0.01)), (translate(0.1, 0), translate(0, -0.1))
    for nudge in (*turns, *shifts, similarity(1.01, 0), similarity(0.99, 0)):
        assert cost(best) < cost(compose(nudge, best))
        assert cost(best) < cost(compose(best, nudge))


def test_umeyama_keeps_the_centroid() -> None:
    rng = np.random.default_rng(2)
    source, target = rng.normal(size=(2, 68, 2))
    assert np.allclose(apply_affine(umeyama(source, target), source).mean(axis=0), target.mean(axis=0))


@pytest.mark.parametrize(
    "source",
    [np.ones((5, 2)), np.full((5, 2), np.nan), np.array([[0, 0], [np.inf, 1]])],
    ids=["same", "nan", "infinite"],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_umeyama_refuses_points_that_fix_nothing(source: np.ndarray) -> None:
    with pytest.raises(PhotoError) as caught:
        umeyama(source, np.arange(2 * len(source)).reshape(-1, 2))
    assert caught.value.code == "degenerate_points"


@given(similarities, clouds)
def test_invert_leads_back(matrix: np.ndarray, cloud: np.ndarray) -> None:
    there = apply_affine(matrix, cloud)
    assert np.allclose(apply_affine(invert(matrix), there), cloud, atol=1e-4)


@given(similarities, similarities, clouds)
def test_compose_applies_the_second_after_the_first(second: np.ndarray, first: np.ndarray, cloud: np.ndarray) -> None:
    in_turn = apply_affine(second, apply_affine(first, cloud))
    assert np.allclose(apply_affine(compose(second, first), cloud), in_turn, rtol=1e-6, atol=1e-4)


@given(similarities, similarities)
def test_scales_multiply(first: np.ndarray, second: np.ndarray) -> None:
    assert scale_of(compose(second, first)) == pytest.approx(scale_of(first) * scale_of(second))


@given(st.floats(0.01, 100), st.floats(-math.pi, math.pi))
def test_scale_of_a_similarity_is_its_scale(scale: float, angle: float) -> None:
    assert scale_of(similarity(scale, angle)) == pytest.approx(scale)


def test_invert_refuses_a_flat_map() -> None:
    with pytest.raises(PhotoError):
        invert(np.array([[1.0, 2, 3], [2, 4, 5]]))


def test_rotation_is_clockwise_to_the_eye_and_keeps_its_centre() -> None:
    quarter = rotate(math.pi / 2, (10, 20))
    assert np.allclose(apply_affine(quarter, np.array([[10.0, 20], [11, 20]])), [[10, 20], [10, 21]])


def test_scaling_about_the_corner_keeps_pixel_edges() -> None:
    doubled = scale_about_corner(2)
    before, after = [[-0.5, -0.5], [0, 0], [9.5, 4.5]], [[-0.5, -0.5], [0.5, 0.5], [19.5, 9.5]]
    assert np.allclose(apply_affine(doubled, np.array(before)), after)


def test_points_keep_their_precision() -> None:
    assert apply_affine(translate(1, 1), np.zeros((3, 2), np.float32)).dtype == np.float32
    assert apply_affine(translate(1, 1), np.zeros((3, 2))).dtype == np.float64
