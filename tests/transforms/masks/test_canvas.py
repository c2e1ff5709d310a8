"""The sheet's grid, its noise and its lines."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faceloom.transforms.masks.canvas import (
    Canvas,
    noise_tile,
    noise_window,
    quantile,
    smooth_noise,
    solid_colour,
    weighted_index,
)


@pytest.fixture
def canvas() -> Canvas:
    return Canvas.over(np.array([(-1.0, 0.3), (1.0, 1.9)]), 50)


def test_canvas_covers_its_outline(canvas: Canvas) -> None:
    assert canvas.x0 == pytest.approx(-1.05) and canvas.y1 == pytest.approx(1.95)
    assert (canvas.width, canvas.height) == (105, 85)
    assert canvas.scale == pytest.approx((50, 50))


def test_texels_agree_with_the_axes(canvas: Canvas) -> None:
    at = canvas.texels(np.array([(canvas.x[7], canvas.y[11])]))
    np.testing.assert_allclose(at, [(7, 11)], atol=1e-4)


def test_canvas_size_is_bounded() -> None:
    big = Canvas.over(np.array([(-1.0, 0.3), (1.0, 1.9)]), 1e5)
    assert big.width == big.height == 1024
    small = Canvas.over(np.array([(-1.0, 0.3), (1.0, 1.9)]), 0.1)
    assert small.width == small.height == 24


def test_thin_lines_fade(canvas: Canvas) -> None:
    ends = np.array([(-0.9, 1.0), (0.9, 1.0)])
    sheets = [np.zeros((canvas.height, canvas.width), np.uint8) for _ in range(2)]
    canvas.line(sheets[0], ends, 0.04)
    canvas.line(sheets[1], ends, 0.005)
    assert sheets[0].max() > 200 and 0 < sheets[1].max() < 100


def test_pick_follows_the_weights() -> None:
    rng = np.random.default_rng(0)
    drawn = np.bincount([weighted_index([1, 0, 3], rng) for _ in range(4000)], minlength=3) / 4000
    np.testing.assert_allclose(drawn, [0.25, 0, 0.75], atol=0.03)


def test_flat_rounds_and_clips() -> None:
    sheet = solid_colour(np.array([1.6, -3, 300]), (2, 3))
    assert sheet.shape == (2, 3, 3) and sheet.dtype == np.uint8
    assert (sheet == (2, 0, 255)).all()


def test_quantile() -> None:
    assert quantile(np.arange(100.0), 0.5) == 50
    assert quantile(np.arange(100.0), 1.0) == 99


@pytest.mark.parametrize("shape", [(5, 7), (300, 500), (700, 1100)])
def test_noise_is_white_and_repeatable(shape: Any) -> None:
    noise = noise_window(shape, np.random.default_rng(1))
    assert noise.shape == shape
    np.testing.assert_array_equal(noise, noise_window(shape, np.random.default_rng(1)))
    if shape[0] > 100:
        assert abs(noise.mean()) < 0.02 and noise.std() == pytest.approx(1, abs=0.02)


def test_smooth_noise_is_smooth() -> None:
    noise = smooth_noise((200, 200), (4, 4), np.random.default_rng(2))
    assert noise.std() > 0.3
    assert np.abs(np.diff(noise)).max() < 0.25


@given(
    st.lists(st.tuples(st.floats(-2, 2), st.floats(-1, 3)), min_size=3, max_size=8),
    st.floats(5, 200), st.integers(24, 300), st.integers(24, 300),
)  # fmt: skip
@settings(max_examples=30)
def test_a_place_stays_where_it_is_in_any_number_of_texels(
    corners: Any, density: float, height: int, width: int
) -> None:
    canvas = Canvas.over(np.array(corners), density)
    other = canvas.resized(height, width)
    assert (other.x0, other.y0, other.x1, other.y1) == (canvas.x0, canvas.y0, canvas.x1, canvas.y1)
    assert (len(other.x), len(other.y)) == (width, height)
    shares = [(c.texels(np.array(corners)) + 0.5) / (c.width, c.height) for c in (canvas, other)]
    np.testing.assert_allclose(shares[0], shares[1], atol=1e-9)
    assert ((shares[0] > 0) & (shares[0] < 1)).all(), "the outline lies on the sheet"


@pytest.mark.parametrize("width", [0.1, 0.2, 0.4])
def test_a_line_is_as_wide_as_asked_for(canvas: Canvas, width: float) -> None:
    sheet = np.zeros((canvas.height, canvas.width), np.uint8)
    canvas.line(sheet, np.array([(-0.9, 1.1), (0.9, 1.1)]), width)
    across = sheet[:, canvas.width // 2].astype(float).sum() / 255 / canvas.scale[1]
    assert across == pytest.approx(width, abs=3 / 50), "three texels off at most"
    assert canvas.y[sheet[:, canvas.width // 2].argmax()] == pytest.approx(1.1, abs=width)


def test_a_closed_line_comes_back_to_its_beginning(canvas: Canvas) -> None:
    corners = np.array([(-0.5, 0.6), (0.5, 0.6), (0.0, 1.6)])
    sheets = [np.zeros((canvas.height, canvas.width), np.uint8) for _ in range(2)]
    for sheet, closed in zip(sheets, (False, True)):
        canvas.line(sheet, corners, 0.04, closed)
    x, y = np.round(canvas.texels(np.array([(-0.25, 1.1)]))[0]).astype(int)
    assert sheets[0][y, x] == 0 < sheets[1][y, x]


@given(st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=60), st.floats(0, 1))
@settings(max_examples=30)
def test_a_quantile_is_a_value_with_as_many_below(values: Any, share: float) -> None:
    found = quantile(np.array(values, np.float32), share)
    assert found in values
    below, not_above = (sum(value < found for value in values), sum(value <= found for value in values))
    assert below <= share * len(values) and not_above >= min(len(values), share * len(values))


@given(st.lists(st.floats(0, 5), min_size=1, max_size=8).filter(lambda w: sum(w) > 0.01), st.integers(0, 99))
@settings(max_examples=30)
def test_nothing_without_weight_is_picked(weights: Any, seed: int) -> None:
    assert weights[weighted_index(weights, np.random.default_rng(seed))] > 0


@pytest.mark.parametrize("blur", [1.0, 3.0])
def test_coarse_noise_is_as_strong_as_white_noise_and_smoother(blur: float) -> None:
    coarse = noise_window((512, 512), np.random.default_rng(4), blur)
    assert coarse.std() == pytest.approx(1, abs=0.2)
    assert np.abs(np.diff(coarse)).mean() < 1 / blur


def test_a_window_beyond_the_tile_goes_on_at_its_other_side() -> None:
    tile = noise_tile()
    offsets = (np.random.default_rng(7).random(2) * len(tile)).astype(int)
    window = noise_window(tile.shape, np.random.default_rng(7))
    assert offsets.all(), "the window must leave the tile to show anything"
    assert np.array_equal(window, np.roll(tile, -offsets, axis=(0, 1)))
