"""Cloth has the colour and the pattern that was asked for."""

from __future__ import annotations

import numpy as np
import pytest

from faceloom.transforms.masks import fabric
from faceloom.transforms.masks.canvas import Canvas

CANVAS = Canvas.over(np.array([(-1.0, 0.3), (1.0, 1.9)]), 60)
GREEN = np.array([40, 160, 80], np.float32)


def test_plain_cloth_is_one_colour():
    sheet = fabric.cloth(CANVAS, GREEN, "plain", np.random.default_rng(0))
    assert sheet.shape == (CANVAS.height, CANVAS.width, 3) and sheet.dtype == np.uint8
    assert (sheet == GREEN.astype(np.uint8)).all()


@pytest.mark.parametrize("pattern", fabric.PATTERNS)
def test_patterned_cloth_shows_its_ground_and_something_else(pattern):
    some = [fabric.cloth(CANVAS, GREEN, pattern, np.random.default_rng(seed)) for seed in range(4)]
    for sheet in some:
        assert sheet.shape == (CANVAS.height, CANVAS.width, 3) and sheet.dtype == np.uint8
        ground = (np.abs(sheet.astype(int) - GREEN.astype(int)).max(2) <= 2).mean()
        assert 0.005 < ground < 0.999
    assert any((some[0] != other).any() for other in some[1:])


@pytest.mark.parametrize("palette", ["any", *fabric.PALETTES])
def test_colours_are_colours(palette):
    rng = np.random.default_rng(5)
    colours = np.array([fabric.draw_colour(palette, rng) for _ in range(300)])
    assert colours.min() >= 0 and colours.max() <= 255
    assert colours.std(0).min() > 15, "colours must vary"


def test_surgical_masks_are_mostly_white_or_blue():
    rng = np.random.default_rng(6)
    colours = np.array([fabric.draw_colour("surgical", rng) for _ in range(500)])
    pale = (colours.min(1) > 215).mean()
    blue = ((colours[:, 2] > colours[:, 0] + 25) & (colours[:, 2] > 150)).mean()
    assert pale > 0.25 and blue > 0.25


def test_straps_contrast_little_with_dark_masks():
    rng = np.random.default_rng(7)
    dark = [fabric.draw_strap_colour(np.full(3, 30, np.float32), rng).mean() < 90 for _ in range(200)]
    assert np.mean(dark) > 0.8
