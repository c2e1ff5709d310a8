"""The mask frame lies on the face as it should, and refuses to lie on anything else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from faceloom.schemas.errors import PhotoError
from faceloom.transforms.masks import fit as fitting
from faceloom.transforms.masks.fit import JAW, Places, fit_face, gate, head_yaw, thin_plate

OUTLINE = Places(np.array([(0, 0.3), (1, 0.4), (0.9, 1.3), (0, 1.9), (-0.9, 1.3), (-1, 0.4)]))


def test_warp_meets_jaw_and_nose(landmarks):
    points = landmarks(roll=0.2)
    fit = fit_face(points, OUTLINE)
    assert fit.kind == "warp" and fit.reason == ""
    assert np.abs(fit.to_image(JAW) - points[:17]).max() < 1.5
    assert np.abs(fit.to_image(np.array([(0.0, 0.518)])) - points[30]).max() < 1.5
    assert fit.unit == pytest.approx(45, rel=0.05)


@pytest.mark.parametrize("yaw", [-0.35, -0.2, 0.0, 0.2, 0.35])
def test_backward_map_undoes_forward_map(landmarks, yaw):
    fit = fit_face(landmarks(yaw=yaw), OUTLINE)
    inside = np.array([(-0.5, 0.6), (0.4, 0.5), (0.0, 1.0), (0.4, 1.4), (-0.3, 1.5)])
    assert np.abs(fit.to_mask(fit.to_image(inside)) - inside).max() < 0.15


@pytest.mark.parametrize("yaw", [-0.5, -0.4, 0.4, 0.5])
def test_backward_map_never_folds(landmarks, yaw):
    fit = fit_face(landmarks(yaw=yaw), OUTLINE)
    level = fit.to_image(np.array([(0.0, 1.0)]))[0, 1]
    jaw = np.sort(fit.to_image(JAW[[3, 13]])[:, 0])
    x = np.linspace(jaw[0], jaw[1], 40)
    assert (np.diff(fit.to_mask(np.stack([x, np.full(40, level)], 1))[:, 0]) > 0).all()


def test_places_give_what_plain_points_give(landmarks):
    fit = fit_face(landmarks(), OUTLINE)
    np.testing.assert_allclose(fit.to_image(OUTLINE), fit.to_image(OUTLINE.points))


@given(yaw=st.floats(-0.7, 0.7), roll=st.floats(-0.5, 0.5), unit=st.floats(8, 900))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_yaw_has_the_right_sign_and_size(landmarks, yaw, roll, unit):
    points = landmarks(unit=unit, yaw=yaw, roll=roll)
    assert head_yaw(points) == pytest.approx(yaw, abs=0.25)


@given(scale=st.floats(0.2, 30), angle=st.floats(-3.1, 3.1), x=st.floats(-500, 500), y=st.floats(-500, 500))
def test_thin_plate_of_a_similarity_is_that_similarity(scale, angle, x, y):
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
def test_gate_says_why(quad, covered, reason):
    assert gate(quad, covered, 100) == reason


def test_refused_warp_falls_back_to_a_similarity(landmarks):
    points = landmarks()
    points[3:8] = points[9:14] = points[8]  # a collapsed jaw, with the four points of the similarity intact
    fit = fit_face(points, OUTLINE)
    assert fit.kind == "similarity" and fit.reason
    square = fit.to_image(np.array([(0.0, 0.0), (1.0, 0.0), (0.0, 1.0)]))
    across, down = square[1] - square[0], square[2] - square[0]
    assert abs(across @ down) < 1e-6 * (across @ across), "a similarity keeps right angles"
    np.testing.assert_allclose(fit.to_mask(square), [(0, 0), (1, 0), (0, 1)], atol=1e-9)


@pytest.mark.parametrize("broken", ["same", "nan", "few", "line"])
def test_hopeless_landmarks_are_refused(landmarks, broken):
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


def test_stand_off_shows_only_on_a_turned_head(landmarks):
    mouth = np.array([(0.0, 1.0)])
    ahead = [fit_face(landmarks(), OUTLINE, s).to_image(mouth) for s in (0.0, 0.5)]
    np.testing.assert_allclose(ahead[0], ahead[1], atol=0.5)
    turned = [fit_face(landmarks(yaw=0.5), OUTLINE, s).to_image(mouth)[0, 0] for s in (0.0, 0.5)]
    assert turned[1] > turned[0] + 3


def test_area_of_a_square():
    assert fitting.area(np.array([(0, 0), (2, 0), (2, 2), (0, 2)], float)) == 4
