"""The sheet's grid, its noise and its lines."""

from __future__ import annotations

import numpy as np
import pytest

from faceloom.transforms.masks.canvas import Canvas, flat, noise_window, pick, quantile, smooth_noise


@pytest.fixture
def canvas():
    return Canvas.over(np.array([(-1.0, 0.3), (1.0, 1.9)]), 50)


def test_canvas_covers_its_outline(canvas):
    assert canvas.x0 == pytest.approx(-1.05) and canvas.y1 == pytest.approx(1.95)
    assert (canvas.width, canvas.height) == (105, 85)
    assert canvas.scale == pytest.approx((50, 50))


def test_texels_agree_with_the_axes(canvas):
    at = canvas.texels(np.array([(canvas.x[7], canvas.y[11])]))
    np.testing.assert_allclose(at, [(7, 11)], atol=1e-4)


def test_canvas_size_is_bounded():
    big = Canvas.over(np.array([(-1.0, 0.3), (1.0, 1.9)]), 1e5)
    assert big.width == big.height == 1024
    small = Canvas.over(np.array([(-1.0, 0.3), (1.0, 1.9)]), 0.1)
    assert small.width == small.height == 24


def test_thin_lines_fade(canvas):
    ends = np.array([(-0.9, 1.0), (0.9, 1.0)])
    sheets = [np.zeros((canvas.height, canvas.width), np.uint8) for _ in range(2)]
    canvas.line(sheets[0], ends, 0.04)
    canvas.line(sheets[1], ends, 0.005)
    assert sheets[0].max() > 200 and 0 < sheets[1].max() < 100


def test_pick_follows_the_weights():
    rng = np.random.default_rng(0)
    drawn = np.bincount([pick([1, 0, 3], rng) for _ in range(4000)], minlength=3) / 4000
    np.testing.assert_allclose(drawn, [0.25, 0, 0.75], atol=0.03)


def test_flat_rounds_and_clips():
    sheet = flat(np.array([1.6, -3, 300]), (2, 3))
    assert sheet.shape == (2, 3, 3) and sheet.dtype == np.uint8
    assert (sheet == (2, 0, 255)).all()


def test_quantile():
    assert quantile(np.arange(100.0), 0.5) == 50
    assert quantile(np.arange(100.0), 1.0) == 99


@pytest.mark.parametrize("shape", [(5, 7), (300, 500), (700, 1100)])
def test_noise_is_white_and_repeatable(shape):
    noise = noise_window(shape, np.random.default_rng(1))
    assert noise.shape == shape
    np.testing.assert_array_equal(noise, noise_window(shape, np.random.default_rng(1)))
    if shape[0] > 100:
        assert abs(noise.mean()) < 0.02 and noise.std() == pytest.approx(1, abs=0.02)


def test_smooth_noise_is_smooth():
    noise = smooth_noise((200, 200), (4, 4), np.random.default_rng(2))
    assert noise.std() > 0.3
    assert np.abs(np.diff(noise)).max() < 0.25
