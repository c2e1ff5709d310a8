"""A network's mask on the photo: in its place at any resolution, sharp, and nothing else touched."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceloom.transforms.geometry import apply_affine, invert, similarity
from faceloom.transforms.masks.learned import EDGE, PaintedCrop, paint_learned

SIDE = 32
GREEN = np.array([20, 200, 40], np.float32)


def crop(noise: int = 0, *, strapped: bool = False) -> PaintedCrop:
    """A network that paints a green disc and alters the rest of its output a little; a strap is on the left."""
    y, x = np.mgrid[:SIDE, :SIDE]
    alpha = (9.5 - np.hypot(x - 15.5, y - 18)).clip(0, 1).astype(np.float32)
    colour = np.broadcast_to(GREEN / 255, (SIDE, SIDE, 3)).astype(np.float32)
    rng = np.random.default_rng(noise)
    output = rng.integers(100, 120, (SIDE, SIDE, 3), np.uint8)
    output[alpha > 0.5] = GREEN
    straps = np.zeros_like(alpha)
    if strapped:
        straps[16:19, 1:9] = 1
    return PaintedCrop(colour, alpha, straps, output)


def photo(height: int = 200, width: int = 240) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8)


@given(st.floats(0.1, 1.0), st.floats(-0.5, 0.5), st.floats(60, 180), st.floats(60, 140))
def test_it_lies_where_the_crop_was_cut(scale: float, angle: float, x: float, y: float) -> None:
    image, matrix = photo(), similarity(scale, angle, (x, y), (15.5, 15.5))
    painted = paint_learned(image, matrix, crop(), "composite")
    expected = cv2.fillPoly(
        np.zeros((200, 240), np.uint8),
        [
            np.round(
                apply_affine(
                    invert(matrix),
                    np.column_stack([np.cos(a := np.linspace(0, 6.283, 90)), np.sin(a)]) * 9.0 + (15.5, 18),
                )
            ).astype(np.int32)
        ],
        1,
    )
    got = painted.alpha >= 0.5
    if expected.sum() > 200:
        assert (got & (expected > 0)).sum() / (got | (expected > 0)).sum() > 0.85


@pytest.mark.parametrize("scale", [1.0, 0.4, 0.1])
def test_composite_touches_nothing_outside_the_mask(scale: float) -> None:
    image, matrix = photo(), similarity(scale, 0.2, (120, 100), (15.5, 15.5))
    before = image.copy()
    painted = paint_learned(image, matrix, crop(), "composite")
    bare = painted.alpha == 0
    assert 0.3 < bare.mean() < 1
    assert np.array_equal(painted.image[bare], image[bare])
    assert np.abs(painted.image[painted.alpha == 1].astype(int) - GREEN.astype(int)).max() <= 2
    assert np.array_equal(image, before)


def test_straps_are_painted_and_are_not_part_of_the_mask() -> None:
    image, matrix = photo(), similarity(0.25, 0, (120, 100), (15.5, 15.5))
    bare, painted = (paint_learned(image, matrix, crop(strapped=strapped), "composite") for strapped in (False, True))
    assert bare.straps is None and painted.straps is not None
    assert np.array_equal(painted.alpha, bare.alpha)
    (x, y), *_ = apply_affine(invert(matrix), np.array([(4.0, 17.0)])).round().astype(int)
    assert painted.straps[y, x] == pytest.approx(1, abs=0.02) and painted.alpha[y, x] == 0
    assert np.abs(painted.image[y, x].astype(int) - GREEN.astype(int)).max() <= 6
    seam = painted.image[y, x : x + 24].astype(int)
    assert np.abs(seam - GREEN.astype(int)).max() <= 12, "no gap where it meets the mask"
    untouched = (painted.alpha == 0) & (painted.straps == 0)
    assert np.array_equal(painted.image[untouched], image[untouched])


def test_edges_stay_sharp_however_much_it_is_enlarged() -> None:
    """Measured as the area of half-covered pixels, per pixel of outline."""
    for scale in (0.5, 0.2, 0.1):
        painted = paint_learned(photo(400, 440), similarity(scale, 0, (220, 200), (15.5, 15.5)), crop(), "composite")
        soft = ((painted.alpha > 0.02) & (painted.alpha < 0.98)).sum()
        outline = 2 * np.pi * 9 / scale
        assert soft / outline < 2 * EDGE + 1


def test_raw_is_all_of_the_networks_output() -> None:
    image = photo(SIDE, SIDE)
    painted = paint_learned(image, np.array([[1.0, 0, 0], [0, 1, 0]]), crop(), "raw")
    assert np.array_equal(painted.image, crop().output)
    assert painted.alpha == pytest.approx(crop().alpha, abs=1e-6)


def test_straps_of_a_raw_picture_are_known_too() -> None:
    painted = paint_learned(photo(SIDE, SIDE), np.array([[1.0, 0, 0], [0, 1, 0]]), crop(strapped=True), "raw")
    assert painted.straps == pytest.approx(crop(strapped=True).straps, abs=1e-6)


def test_raw_leaves_what_lies_outside_the_crop() -> None:
    image, matrix = photo(), similarity(0.5, 0, (120, 100), (15.5, 15.5))
    painted = paint_learned(image, matrix, crop(), "raw")
    y, x = np.mgrid[:200, :240]
    inside = apply_affine(matrix, np.column_stack([x.ravel(), y.ravel()]).astype(float)).reshape(200, 240, 2)
    outside = ((inside < -0.6) | (inside > SIDE - 0.4)).any(axis=2)
    assert np.array_equal(painted.image[outside], image[outside])
    assert (painted.image[~outside] != image[~outside]).any(axis=1).mean() > 0.9


def test_what_was_done_is_said() -> None:
    painted = paint_learned(photo(), similarity(0.25, 0, (120, 100), (15.5, 15.5)), crop(), "composite")
    assert painted.parameters == {"blend": "composite", "enlarged": 4.0}
    assert painted.straps is None
    assert painted.alpha.dtype == np.float32
