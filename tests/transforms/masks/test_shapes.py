"""Outlines are closed, symmetric and stay where the way of wearing puts them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceloom.transforms.masks import shapes
from faceloom.transforms.masks.catalogue import TEMPLATES
from faceloom.transforms.masks.fit import area

HALF = ((0.0, 0.3, False), (1.0, 0.4, True), (0.9, 1.3, True), (0.0, 1.9, False))


def test_mirrored_outline_is_symmetric() -> None:
    points, corner = shapes.mirrored(HALF)
    assert len(points) == len(corner) == 6
    np.testing.assert_allclose(points[4:], points[1:3][::-1] * (-1, 1))
    assert corner[1] and corner[-1]


def test_spline_goes_through_its_points_and_bends_only_where_smooth() -> None:
    points, corner = shapes.mirrored(HALF)
    curve = shapes.spline(points, corner)
    np.testing.assert_allclose(curve[::8], points)
    side = curve[8:17]  # between two corners: straight
    chord = (side[-1] - side[0]) / np.hypot(*(side[-1] - side[0]))
    off = (side - side[0]) @ np.array([-chord[1], chord[0]])
    assert np.abs(off).max() < 1e-9
    bottom = curve[16:33]
    assert bottom[:, 1].max() > 1.89


@given(st.floats(0.3, 3), st.floats(-2, 2))
def test_spline_follows_scale_and_shift(scale: float, shift: Any) -> None:
    points, corner = shapes.mirrored(HALF)
    moved = shapes.spline(points * scale + shift, corner)
    np.testing.assert_allclose(moved, shapes.spline(points, corner) * scale + shift, atol=1e-9)


@pytest.mark.parametrize("name", TEMPLATES)
def test_ways_of_wearing_leave_free_what_they_should(name: str) -> None:
    points, corner = shapes.mirrored(TEMPLATES[name].half)
    for wearing, free, covered in (
        ("correct", -0.1, 0.518),  # eyes free, nose tip covered
        ("nose_out", 0.72, 1.03),  # nose free, mouth covered
        ("chin_only", 1.23, 1.60),  # lower lip free, chin covered
        ("under_chin", 1.50, 1.90),
    ):
        curve = shapes.spline(shapes.wear(points, wearing), corner)
        assert curve[:, 1].min() > free, wearing
        assert curve[:, 1].min() < covered < curve[:, 1].max(), wearing


@pytest.mark.parametrize("name", TEMPLATES)
@given(shift=st.floats(-0.2, 0.6))
def test_a_mask_that_slipped_is_pulled_over_the_nose_by_its_upper_part_alone(name: str, shift: Any) -> None:
    points, _ = shapes.mirrored(TEMPLATES[name].half)
    points = points + np.array([0, shift])
    held = shapes.cover_nose(points)
    assert held[0, 1] == pytest.approx(min(points[0, 1], shapes.COVERS_NOSE)) and held[0, 1] < 0.518
    np.testing.assert_allclose(held[points[:, 1].argmax()], points[points[:, 1].argmax()])
    np.testing.assert_array_equal(held[:, 0], points[:, 0])
    lifted = points[:, 1] - held[:, 1]
    assert (lifted >= 0).all() and (np.diff(lifted[np.argsort(points[:, 1])]) <= 1e-12).all()


def test_hug_keeps_the_outline_at_the_jaw() -> None:
    points = np.array([(2.0, 0.4), (-2.0, 0.4), (2.0, 1.5), (0.5, 1.0), (3.0, 2.4)])
    held = shapes.hug(points, 0.1)
    assert held[0, 0] == -held[1, 0] == pytest.approx(1.18, abs=0.03)
    assert 0.6 < held[2, 0] < 0.9
    assert held[3, 0] == 0.5
    assert held[4, 0] == pytest.approx(0.72)


@pytest.mark.parametrize("name", TEMPLATES)
def test_designs_have_the_size_of_masks(name: str) -> None:
    outline = shapes.spline(*shapes.mirrored(TEMPLATES[name].half))
    share = area(outline) / 2.24**2
    assert (0.28 if name != "surgical_child" else 0.2) <= share <= (0.6 if name != "gaiter" else 0.9)
