"""The mask frame lies on the face as it should, and refuses to lie on anything else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from faceloom.schemas.errors import PhotoError
from faceloom.transforms.masks import fit as fitting
from faceloom.transforms.masks.fit import JAW, FixedPoints, fit_face, gate, thin_plate
from faceloom.transforms.types import Landmarks

OUTLINE = FixedPoints(np.array([(0, 0.3), (1, 0.4), (0.9, 1.3), (0, 1.9), (-0.9, 1.3), (-1, 0.4)]))


def test_warp_meets_jaw_and_nose(landmarks: Callable[..., Landmarks]) -> None:
    points = landmarks(roll=0.2)
    fit = fit_face(points, OUTLINE)
    assert fit.kind == "warp" and fit.reason == ""
    assert np.abs(fit.to_image(JAW) - points[:17]).max() < 1.5
    assert np.abs(fit.to_image(np.array([(0.0, 0.518)])) - points[30]).max() < 1.5
    assert fit.unit == pytest.approx(45, rel=0.05)


@pytest.mark.parametrize("yaw", [-0.35, -0.2, 0.0, 0.2, 0.35])
def test_backward_map_undoes_forward_map(landmarks: Callable[..., Landmarks], yaw: float) -> None:
    fit = fit_face(landmarks(yaw=yaw), OUTLINE)
    inside = np.array([(-0.5, 0.6), (0.4, 0.5), (0.0, 1.0), (0.4, 1.4), (-0.3, 1.5)])
    assert np.abs(fit.to_mask(fit.to_image(inside)) - inside).max() < 0.15


@pytest.mark.parametrize("yaw", [-0.5, -0.4, 0.4, 0.5])
def test_backward_map_never_folds(landmarks: Callable[..., Landmarks], yaw: float) -> None:
    fit = fit_face(landmarks(yaw=yaw), OUTLINE)
    level = fit.to_image(np.array([(0.0, 1.0)]))[0, 1]
    jaw = np.sort(fit.to_image(JAW[[3, 13]])[:, 0])
    x = np.linspace(jaw[0], jaw[1], 40)
    assert (np.diff(fit.to_mask(np.stack([x, np.full(40, level)], 1))[:, 0]) > 0).all()


def test_places_give_what_plain_points_give(landmarks: Callable[..., Landmarks]) -> None:
    fit = fit_face(landmarks(), OUTLINE)
    np.testing.assert_allclose(fit.to_image(OUTLINE), fit.to_image(OUTLINE.points))


@given(scale=st.floats(0.2, 30), angle=st.floats(-3.1, 3.1), x=st.floats(-500, 500), y=st.floats(-500, 500))
def test_thin_plate_of_a_similarity_is_that_similarity(scale: float, angle: float, x: float, y: float) -> None:
    source = np.random.default_rng(3).uniform(0, 100, (9, 2))
    turn = scale * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    target = source @ turn + (x, y)
    probe = np.array([(10.0, 90.0), (50.0, 50.0), (-20.0, 130.0)])
    np.testing.assert_allclose(thin_plate(source, target)(probe), probe @ turn + (x, y), atol=1e-5 * scale * 100 + 1e-6)


QUAD = np.array([(0, 0), (100, 0), (90, 60), (10, 60)], float)


@pytest.mark.parametrize(
    ("quad", "covered", "reason"),
    [
        (QUAD, 6000, ""),
        (QUAD * (1, 0.2), 6000, "anchors_too_close"),
        (QUAD[[0, 1, 3, 2]], 6000, "not_convex"),
        (QUAD * (-1, 1), 6000, "not_convex"),
        (QUAD, 100, "area"),
        (QUAD, 99999, "area"),
        (QUAD * np.nan, 6000, "not_finite"),
    ],
)
def test_gate_says_why(quad: Any, covered: float, reason: str) -> None:
    assert gate(quad, covered, 100) == reason


def test_refused_warp_falls_back_to_a_similarity(landmarks: Callable[..., Landmarks]) -> None:
    points = landmarks()
    points[3:8] = points[9:14] = points[8]  # a collapsed jaw, with the four points of the similarity intact
    fit = fit_face(points, OUTLINE)
    assert fit.kind == "similarity" and fit.reason
    square = fit.to_image(np.array([(0.0, 0.0), (1.0, 0.0), (0.0, 1.0)]))
    across, down = square[1] - square[0], square[2] - square[0]
    assert abs(across @ down) < 1e-6 * (across @ across), "a similarity keeps right angles"
    np.testing.assert_allclose(fit.to_mask(square), [(0, 0), (1, 0), (0, 1)], atol=1e-9)


@pytest.mark.parametrize("broken", ["same", "nan", "few", "line"])
def test_hopeless_landmarks_are_refused(landmarks: Callable[..., Landmarks], broken: Any) -> None:
    points = landmarks()
    if broken == "same":
        points[:] = 50
    elif broken == "nan":
        points[5] = np.nan
    elif broken == "few":
        points = points[:10]
    else:
        points[:, 1] = 60
    with pytest.raises(PhotoError) as caught:
        fit_face(points, OUTLINE)
    assert caught.value.code == "mask_fit"


def test_stand_off_shows_only_on_a_turned_head(landmarks: Callable[..., Landmarks]) -> None:
    mouth = np.array([(0.0, 1.0)])
    ahead = [fit_face(landmarks(), OUTLINE, s).to_image(mouth) for s in (0.0, 0.5)]
    np.testing.assert_allclose(ahead[0], ahead[1], atol=0.5)
    turned = [fit_face(landmarks(yaw=0.5), OUTLINE, s).to_image(mouth)[0, 0] for s in (0.0, 0.5)]
    assert turned[1] > turned[0] + 3


def test_area_of_a_square() -> None:
    assert fitting.area(np.array([(0, 0), (2, 0), (2, 2), (0, 2)], float)) == 4


@given(scale=st.floats(0.2, 20), angle=st.floats(-3.1, 3.1), x=st.floats(-900, 900), yaw=st.floats(-0.4, 0.4))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
def test_a_face_that_is_turned_scaled_and_moved_takes_its_mask_along(
    landmarks: Callable[..., Landmarks], scale: float, angle: float, x: float, yaw: float
) -> None:
    points = landmarks(yaw=yaw).astype(np.float64)
    turn = scale * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    here, there = fit_face(points, OUTLINE), fit_face(points @ turn + (x, -x), OUTLINE)
    assert there.kind == here.kind
    assert there.unit == pytest.approx(scale * here.unit)
    assert there.yaw == pytest.approx(here.yaw, abs=1e-6)
    expected = here.to_image(OUTLINE) @ turn + (x, -x)
    np.testing.assert_allclose(there.to_image(OUTLINE), expected, atol=1e-6 * (1 + abs(x)) * scale * here.unit)


@given(yaw=st.floats(-0.6, 0.6))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
def test_a_mirrored_face_wears_a_mirrored_mask(landmarks: Callable[..., Landmarks], yaw: float) -> None:
    points = landmarks(yaw=yaw)
    mirror = points.copy()
    mirror[:17] = points[16::-1]
    mirror[:, 0] = 250 - mirror[:, 0]
    fit, other = fit_face(points, OUTLINE), fit_face(mirror, OUTLINE)
    assert other.kind == fit.kind
    assert other.yaw == pytest.approx(-fit.yaw, abs=1e-4)
    places = np.array([(-0.6, 0.5), (0.0, 0.9), (0.5, 0.6), (0.3, 1.5)])
    flipped = other.to_image(places * (-1, 1))
    np.testing.assert_allclose(flipped, (250, 0) + fit.to_image(places) * (-1, 1), atol=0.05)
    inside = fit.to_image(places)
    back = other.to_mask((250, 0) + inside * (-1, 1))
    np.testing.assert_allclose(back * (-1, 1), fit.to_mask(inside), atol=0.01)


@pytest.mark.parametrize("yaw", [-0.3, 0.0, 0.3])
def test_single_precision_is_precise_enough_on_a_large_photo(landmarks: Callable[..., Landmarks], yaw: float) -> None:
    fit = fit_face(landmarks((2500, 2100), 600, yaw), OUTLINE)
    pixels = fit.to_image(np.random.default_rng(0).uniform((-0.8, 0.2), (0.8, 1.6), (200, 2)))
    mapped = fit.to_mask(pixels.astype(np.float32))
    assert mapped.dtype == np.float32
    assert np.abs(mapped - fit.to_mask(pixels)).max() * fit.unit < 1, "less than a pixel"


@given(scale=st.floats(0.05, 50), x=st.floats(-300, 300), covered=st.floats(100, 20000), squash=st.floats(0.1, 1))
@settings(max_examples=40)
def test_the_gate_knows_no_units(scale: float, x: float, covered: float, squash: float) -> None:
    quad = QUAD * (1, squash)
    assert gate(quad * scale + x, covered * scale**2, 100 * scale) == gate(quad, covered, 100)


@given(st.lists(st.tuples(st.integers(-99, 99), st.integers(-99, 99)), min_size=3, max_size=9), st.integers(-50, 50))
@settings(max_examples=30)
def test_area_is_that_of_opencv_wherever_the_polygon_lies(corners: Any, shift: Any) -> None:
    import cv2

    polygon = np.array(corners, np.float32)
    expected = cv2.contourArea(polygon)
    for same in (polygon, polygon[::-1], np.roll(polygon, 1, axis=0), polygon + shift):
        assert fitting.area(same) == pytest.approx(expected, abs=1e-3)


def test_landmarks_without_a_faces_shape_are_refused_not_fitted_by_force(landmarks: Callable[..., Landmarks]) -> None:
    points = landmarks()
    points[:17] = points[16::-1].copy()  # left is right, so nose, jaw and chin contradict each other
    with pytest.raises(PhotoError, match="do not form a face"):
        fit_face(points, OUTLINE)


@pytest.mark.parametrize("yaw", [-0.9, 0.9])
def test_a_profile_gets_a_mask_that_lies_on_it_or_none(landmarks: Callable[..., Landmarks], yaw: float) -> None:
    points = landmarks(yaw=yaw)
    try:
        fit = fit_face(points, OUTLINE)
    except PhotoError:
        return
    middle = fit.to_image(np.array([(0.0, 1.0)]))[0]
    low, high = points.min(0) - 0.5 * fit.unit, points.max(0) + 0.5 * fit.unit
    assert (low < middle).all() and (middle < high).all()
