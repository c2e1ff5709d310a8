"""Straps end at the ears and vanish behind a turned head."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from faceloom.transforms.geometry import invert
from faceloom.transforms.masks import shapes
from faceloom.transforms.masks.catalogue import TEMPLATES
from faceloom.transforms.masks.fit import FaceFit, FixedPoints, fit_face
from faceloom.transforms.masks.straps import HIGH, LOW, Strap, draw_straps
from faceloom.transforms.types import Landmarks

FIXED = np.array([(0.99, 0.4), (0.9, 1.27), (-0.99, 0.4), (-0.9, 1.27)])
OUTLINE = FixedPoints(shapes.spline(*shapes.mirrored(TEMPLATES["surgical"].half)))


def straps(
    landmarks: Callable[..., Landmarks], yaw: float = 0.0, name: str = "surgical", seed: int = 0, roll: float = 0.0
) -> tuple[Landmarks, list[Strap]]:
    points = landmarks(yaw=yaw, roll=roll)
    kind: Any = TEMPLATES[name].straps
    return points, draw_straps(kind, FIXED, fit_face(points, OUTLINE), points, np.random.default_rng(seed))


def test_a_frontal_face_shows_two_straps_a_side(landmarks: Callable[..., Landmarks]) -> None:
    _, shown = straps(landmarks)
    assert sorted(s.side for s in shown) == [-1, -1, 1, 1]


@pytest.mark.parametrize("seed", range(6))
def test_loops_end_at_the_ears(landmarks: Callable[..., Landmarks], seed: int) -> None:
    points, shown = straps(landmarks, seed=seed)
    for strap in shown:
        ear = points[16] if strap.side > 0 else points[0]
        end = strap.line[-1] - ear
        assert abs(end[0]) < 0.25 * 45 and -0.45 * 45 < end[1] < 0.95 * 45
        start = strap.line[0]
        assert abs(start[0] - 125) < abs(strap.line[-1][0] - 125), "straps run outwards"


@pytest.mark.parametrize(("yaw", "seen"), [(0.5, -1), (-0.5, 1)])
def test_the_far_ear_is_hidden(landmarks: Callable[..., Landmarks], yaw: float, seen: Any) -> None:
    _, shown = straps(landmarks, yaw)
    assert {s.side for s in shown} == {seen}


def test_bands_run_above_and_below_the_ears(landmarks: Callable[..., Landmarks]) -> None:
    for seed in range(20):
        points, shown = straps(landmarks, name="ffp_valve", seed=seed)
        ends = sorted(s.line[-1][1] for s in shown)
        if ends[0] < points[0, 1] - 0.2 * 45:
            assert ends[-1] > points[0, 1] + 0.5 * 45
            return
    pytest.fail("no seed drew head bands")


def test_lower_bands_vanish_behind_the_jaw(landmarks: Callable[..., Landmarks]) -> None:
    """A band that ended beside the neck would end in the air."""
    for seed in range(20):
        points, shown = straps(landmarks, name="ffp_valve", seed=seed)
        for strap in shown:
            x, y = strap.line[-1]
            if y > points[0, 1] + 0.7 * 45:
                jaw = points[16:8:-1] if strap.side > 0 else points[:8]
                edge = np.interp(y, jaw[:, 1], jaw[:, 0])
                assert strap.side * (x - edge) < 0.12 * 45


def from_ears(points: Landmarks, fit: FaceFit, shown: list[Strap]) -> np.ndarray:
    """Ends of straps from the end of the jaw at their side: outwards and down, eye distances (N, 2)."""
    to_mask = invert(fit.matrix)[:, :2] @ np.eye(2)
    rows = []
    for strap in shown:
        off = to_mask @ (strap.line[-1] - points[16 if strap.side > 0 else 0])
        rows.append((strap.side * off[0], off[1]))
    return np.array(rows)


@pytest.mark.parametrize("yaw", [-0.8, -0.5, -0.2, 0.0, 0.1, 0.4, 0.7])
@pytest.mark.parametrize(("unit", "roll"), [(60.0, 0.0), (6.0, 0.0), (9.0, 0.6)])
def test_no_loop_hangs_in_the_air_or_ends_on_the_cheek(
    landmarks: Callable[..., Landmarks], yaw: float, unit: float, roll: float
) -> None:
    """Whatever is drawn, the ends lie between the upper and the lower root of an ear, just behind the jaw's end."""
    points = landmarks(unit=unit, yaw=yaw, roll=roll)
    fit = fit_face(points, OUTLINE)
    for seed in range(40):
        shown = draw_straps("loops", FIXED, fit, points, np.random.default_rng(seed))
        out, down = from_ears(points, fit, shown).T
        assert out.min() >= -0.011 and out.max() <= 0.031 + 0.3 * abs(np.sin(fit.yaw))
        assert down.min() >= HIGH[0] - 1e-6 and down.max() <= LOW[1] + 1e-6
        far = np.array([strap.side for strap in shown]) * fit.yaw > 0
        assert (out[far] <= 0.031).all(), "beyond the far cheek there is air"


def test_loops_end_at_the_ears_of_a_face_on_which_the_mask_does_not_fit_well(
    landmarks: Callable[..., Landmarks],
) -> None:
    """The plain fit misses the ends of the jaw; straps do not."""
    points = landmarks()
    flat = replace(fit_face(points, OUTLINE), kind="similarity", reason="area", _forward=None, _backward=None)
    wide = points.copy()
    wide[[0, 16], 0] += (-14, 14)
    shown = draw_straps("bands", FIXED, flat, wide, np.random.default_rng(1))
    out, down = from_ears(wide, flat, shown).T
    assert len(shown) == 4 and (abs(out - 0.025) < 0.01).all()
    assert down.min() >= HIGH[0] and down.max() <= LOW[1], "bands need the warp"


@pytest.mark.parametrize("yaw", [-0.5, 0.5])
def test_a_turned_head_has_no_band_that_ends_on_its_side(landmarks: Callable[..., Landmarks], yaw: float) -> None:
    points = landmarks(yaw=yaw)
    fit = fit_face(points, OUTLINE)
    for seed in range(20):
        _, down = from_ears(points, fit, draw_straps("bands", FIXED, fit, points, np.random.default_rng(seed))).T
        assert down.min() >= HIGH[0] - 1e-6 and down.max() <= LOW[1] + 1e-6


def test_a_mask_without_cloth_at_a_corner_has_no_strap_there(landmarks: Callable[..., Landmarks]) -> None:
    points, fixed = landmarks(), FIXED.copy()
    fixed[1] = np.nan
    shown = draw_straps("loops", fixed, fit_face(points, OUTLINE), points, np.random.default_rng(0))
    assert sorted(strap.side for strap in shown) == [-1, -1, 1]
    assert all(np.isfinite(strap.line).all() for strap in shown)
