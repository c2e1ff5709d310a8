"""Straps end at the ears and vanish behind a turned head."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from faceloom.transforms.masks import shapes
from faceloom.transforms.masks.catalogue import TEMPLATES
from faceloom.transforms.masks.fit import FixedPoints, fit_face
from faceloom.transforms.masks.straps import Strap, draw_straps
from faceloom.transforms.types import Landmarks

FIXED = np.array([(0.99, 0.4), (0.9, 1.27), (-0.99, 0.4), (-0.9, 1.27)])
OUTLINE = FixedPoints(shapes.spline(*shapes.mirrored(TEMPLATES["surgical"].half)))


def straps(
    landmarks: Callable[..., Landmarks], yaw: float = 0.0, name: str = "surgical", seed: int = 0, roll: float = 0.0
) -> tuple[Landmarks, list[Strap]]:
    points = landmarks(yaw=yaw, roll=roll)
    return points, draw_straps(TEMPLATES[name], FIXED, fit_face(points, OUTLINE), np.random.default_rng(seed))


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
