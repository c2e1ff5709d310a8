"""Coverage is exact to a fraction of a pixel, and the cloth lands where the mask frame says."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from faceloom.transforms.masks.canvas import Canvas
from faceloom.transforms.masks.fit import FixedPoints, area, fit_face
from faceloom.transforms.masks.raster import coverages, ribbons, silhouette, warp_cloth
from faceloom.transforms.types import Field, Landmarks, Region

OUTLINE = np.array([(0, 0.3), (1, 0.4), (0.9, 1.3), (0, 1.9), (-0.9, 1.3), (-1, 0.4)])


def coverage(outline: NDArray[np.float64], region: Region) -> Field:
    return np.asarray(coverages([outline], region)[0])


@given(x=st.floats(20, 40), y=st.floats(20, 40), w=st.floats(5, 60), h=st.floats(5, 60), turn=st.floats(0, 1.5))
def test_coverage_adds_up_to_the_area(x: float, y: float, w: float, h: float, turn: float) -> None:
    spin = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    box = np.array([(0, 0), (w, 0), (w, h), (0, h)]) @ spin + np.array([x + 40, y])
    alpha = coverage(box, Region(0, 0, 200, 200))
    assert float(alpha.sum()) == pytest.approx(area(box), rel=1e-3)
    assert alpha.min() >= 0 and alpha.max() <= 1 + 1e-6


def test_coverage_moves_with_the_region() -> None:
    box = np.array([(10.3, 12.6), (40.2, 11.9), (38.8, 44.4), (9.1, 40.0)])
    whole = coverage(box, Region(0, 0, 64, 64))
    part = coverage(box, Region(20, 10, 50, 60))
    np.testing.assert_allclose(whole[10:60, 20:50], part, atol=1e-6)


def test_outlines_that_are_drawn_together_are_those_drawn_apart() -> None:
    """Also where some reach far beyond the region, and where they overlap."""
    box = np.array([(10.0, 10.0), (30, 12), (33, 30), (10, 30)])
    region, outlines = Region(4, 3, 64, 50), [box, 3 * box - 50, box[::-1] + 5, box - 1000]
    together = coverages(outlines, region)
    assert together.shape == (4, 47, 60) and together.dtype == np.float32
    for one, outline in zip(together, outlines, strict=True):
        np.testing.assert_allclose(one, coverage(outline, region), atol=1e-6)


@pytest.mark.parametrize("width", [0.1, 0.4, 1.0, 2.5, 6.0])
def test_ribbons_are_as_wide_as_asked(width: float) -> None:
    alpha = coverage(ribbons(np.array([[(10.0, 50.0), (190.0, 50.0)]]), width), Region(0, 0, 200, 100))
    assert float(alpha[:, 100].sum()) == pytest.approx(width, rel=1e-3)


def test_ribbons_are_a_union() -> None:
    one, two = (
        np.array([(10.0, 20.0), (35.0, 22.5), (60.0, 25.0)]),
        np.array([(90.0, 80.0), (40.0, 85.0), (20.0, 60.0)]),
    )
    region = Region(0, 0, 100, 100)
    apart = coverages([ribbons(one[None], 3), ribbons(two[None], 3)], region).max(axis=0)
    np.testing.assert_allclose(coverage(ribbons(np.array([one, two]), 3), region), apart, atol=1e-5)


def test_cloth_lands_on_its_place(landmarks: Callable[..., Landmarks]) -> None:
    fit = fit_face(landmarks(roll=0.3), FixedPoints(OUTLINE))
    canvas = Canvas.over(OUTLINE, 60)
    sheet = np.zeros((canvas.height, canvas.width, 3), np.uint8)
    spot = np.array([(0.4, 1.1)])
    u, v = np.round(canvas.texels(spot)[0]).astype(int)
    sheet[v - 1 : v + 2, u - 1 : u + 2] = 255
    region = Region.around(fit.to_image(OUTLINE), 4, (250, 250))
    laid = warp_cloth(sheet, canvas, fit, region)
    assert laid.shape[:2] == region.shape
    rows, columns = np.nonzero(laid[..., 0] > 60)
    seen = np.array([columns.mean() + region.left, rows.mean() + region.top])
    assert np.abs(seen - fit.to_image(spot)[0]).max() < 1.5


def test_turned_head_covers_to_the_ridge(landmarks: Callable[..., Landmarks]) -> None:
    for yaw in (0.5, -0.5):
        fit = fit_face(landmarks(yaw=yaw), FixedPoints(OUTLINE), 0.4)
        polygons = silhouette(OUTLINE, fit, 0.3, 1.9)
        assert len(polygons) == 2
        mouth = fit.to_image(np.array([(0.0, 1.0)]))[0]
        alpha = coverages(polygons, Region(0, 0, 250, 250)).max(axis=0)
        assert alpha[round(mouth[1]), round(mouth[0])] > 0.5
    assert len(silhouette(OUTLINE, fit_face(landmarks(), FixedPoints(OUTLINE)), 0.3, 1.9)) == 1
