"""Cloth has the colour and the pattern that was asked for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from faceloom.transforms.masks import fabric
from faceloom.transforms.masks.canvas import Canvas

CANVAS = Canvas.over(np.array([(-1.0, 0.3), (1.0, 1.9)]), 60)
GREEN = np.array([40, 160, 80], np.float32)


def test_plain_cloth_is_one_colour() -> None:
    sheet = fabric.cloth(CANVAS, GREEN, "plain", np.random.default_rng(0))
    assert sheet.shape == (CANVAS.height, CANVAS.width, 3) and sheet.dtype == np.uint8
    assert (sheet == GREEN.astype(np.uint8)).all()


@pytest.mark.parametrize("pattern", fabric.PATTERNS)
def test_patterned_cloth_shows_its_ground_and_something_else(pattern: str) -> None:
    some = [fabric.cloth(CANVAS, GREEN, pattern, np.random.default_rng(seed)) for seed in range(4)]
    for sheet in some:
        assert sheet.shape == (CANVAS.height, CANVAS.width, 3) and sheet.dtype == np.uint8
        ground = (np.abs(sheet.astype(int) - GREEN.astype(int)).max(2) <= 2).mean()
        assert 0.005 < ground < 0.999
    assert any((some[0] != other).any() for other in some[1:])


@pytest.mark.parametrize("palette", ["any", *fabric.PALETTES])
def test_colours_are_colours(palette: str) -> None:
    rng = np.random.default_rng(5)
    colours = np.array([fabric.draw_colour(palette, rng) for _ in range(300)])
    assert colours.min() >= 0 and colours.max() <= 255
    assert colours.std(0).min() > 15, "colours must vary"


def test_surgical_masks_are_mostly_white_or_blue() -> None:
    rng = np.random.default_rng(6)
    colours = np.array([fabric.draw_colour("surgical", rng) for _ in range(500)])
    pale = (colours.min(1) > 215).mean()
    blue = ((colours[:, 2] > colours[:, 0] + 25) & (colours[:, 2] > 150)).mean()
    assert pale > 0.25 and blue > 0.25


def test_straps_contrast_little_with_dark_masks() -> None:
    rng = np.random.default_rng(7)
    dark = [fabric.draw_strap_colour(np.full(3, 30, np.float32), rng).mean() < 90 for _ in range(200)]
    assert np.mean(dark) > 0.8


@pytest.mark.parametrize("pattern", fabric.PATTERNS)
def test_the_same_draw_is_the_same_cloth(pattern: str) -> None:
    one, other = (fabric.cloth(CANVAS, GREEN, pattern, np.random.default_rng(3)) for _ in range(2))
    assert np.array_equal(one, other)


@pytest.mark.parametrize("pattern", fabric.PATTERNS)
def test_a_pattern_is_as_large_on_the_mask_however_fine_the_sheet(pattern: str) -> None:
    """Figures are measured in eye distances: a finer sheet shows the same cloth, not smaller figures."""
    import cv2

    fine = CANVAS.resized(2 * CANVAS.height, 2 * CANVAS.width)
    alike = []
    for seed in range(4):
        coarse, detailed = (fabric.cloth(c, GREEN, pattern, np.random.default_rng(seed)) for c in (CANVAS, fine))
        shrunk = cv2.resize(detailed, (CANVAS.width, CANVAS.height), interpolation=cv2.INTER_AREA)
        alike.append(np.corrcoef((coarse - GREEN).ravel(), (shrunk - GREEN).ravel())[0, 1])
    assert np.median(alike) > 0.8


@pytest.mark.parametrize("pattern", ["stripes", "checks", "dots"])
def test_woven_patterns_mix_the_ground_with_one_other_colour(pattern: str) -> None:
    for seed in range(4):
        sheet = fabric.cloth(CANVAS, GREEN, pattern, np.random.default_rng(seed)).reshape(-1, 3)
        off = sheet - np.floor(GREEN)
        along = np.linalg.svd(off, full_matrices=False)[2][0]
        assert np.abs(off - np.outer(off @ along, along)).max() < 3, "all colours lie on a line from the ground"


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (200, 30, 90)])
def test_a_trim_is_of_the_same_dye(colour: Any) -> None:
    rng = np.random.default_rng(1)
    base = np.array(colour, np.float32)
    near = np.array([fabric.draw_colour_near(base, rng) for _ in range(200)])
    assert near.min() >= 0 and near.max() <= 255 and near.dtype == np.float32
    assert np.abs(near - base).max() < 60
    assert np.ptp(near.mean(1)) > 3, "it varies"


def test_any_colour_is_of_any_hue() -> None:
    rng = np.random.default_rng(2)
    strongest = np.bincount([int(fabric.any_colour(rng).argmax()) for _ in range(300)], minlength=3)
    assert strongest.min() > 60


def test_palettes_are_shares_of_colours_that_can_be_seen() -> None:
    for entries in fabric.PALETTES.values():
        assert sum(weight for weight, _ in entries) == pytest.approx(1)
        assert all(0 <= level <= 255 for _, (mean, _) in entries for level in mean)
        assert all(spread > 0 for _, (_, spread) in entries)


def test_respirators_are_mostly_light_and_cloth_masks_often_dark() -> None:
    rng = np.random.default_rng(8)
    light, dark = (
        np.array([fabric.draw_colour(palette, rng).mean() for _ in range(300)]) for palette in ("respirator", "cloth")
    )
    assert (light > 200).mean() > 0.6
    assert (dark < 100).mean() > 0.4


def test_straps_of_light_masks_are_mostly_light_and_some_are_not() -> None:
    rng = np.random.default_rng(9)
    shades = np.array([fabric.draw_strap_colour(np.full(3, 230, np.float32), rng).mean() for _ in range(300)])
    assert 0.7 < (shades > 150).mean() < 1


def noise_tile(height: int, width: int) -> Any:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize(("height", "width"), [(8, 8), (12, 8), (4, 8), (300, 200)])
@pytest.mark.parametrize("texels", [30, 60, 240])
def test_a_tile_repeats_at_its_period_on_faces_of_any_size(height: int, width: int, texels: float) -> None:
    canvas = Canvas.over(np.array([(-1.2, 0.0), (1.2, 2.2)]), texels)
    sheet = fabric.tiled(canvas, noise_tile(height, width), np.random.default_rng(1)).astype(float).mean(2)
    assert sheet.shape == (canvas.height, canvas.width)
    turn = np.random.default_rng(1).normal(0, 0.05)
    assert abs(turn) < 0.1
    for period, along in (
        (fabric.TILE, (np.cos(turn), np.sin(turn))),
        (fabric.TILE * height / width, (-np.sin(turn), np.cos(turn))),
    ):
        dx, dy = (round(period * step * scale) for step, scale in zip(along, canvas.scale, strict=True))
        alike = [shifted(sheet, round(part * dx), round(part * dy)) for part in (1, 0.5)]
        assert alike[0] > 0.6 > 0.3 > alike[1], (period, alike)


def shifted(sheet: Any, dx: int, dy: int) -> float:
    """Correlation of a sheet with itself, moved by dx and dy >= 0."""
    height, width = sheet.shape
    left, right = (max(0, dx), max(0, -dx))
    one, other = sheet[dy:, left : width - right], sheet[: height - dy, right : width - left]
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])


def test_cloth_of_a_tile_has_its_colours_alone() -> None:
    tile = np.empty((10, 10, 3), np.uint8)
    tile[:, :5], tile[:, 5:] = (250, 10, 20), (10, 10, 120)
    sheet = fabric.tiled(CANVAS, tile, np.random.default_rng(2))
    assert sheet.dtype == np.uint8 and sheet.shape == (CANVAS.height, CANVAS.width, 3)
    assert np.abs(sheet.mean((0, 1)) - tile.mean((0, 1))).max() < 25
    for colour in ((250, 10, 20), (10, 10, 120)):
        assert (sheet == colour).all(2).mean() > 0.3
    assert (sheet[..., 1] == 10).all()


@pytest.mark.parametrize("shape", [(1, 512), (512, 1), (1, 1)])
def test_tiles_of_any_shape_are_drawn(shape: tuple[int, int]) -> None:
    sheet = fabric.tiled(CANVAS, noise_tile(*shape), np.random.default_rng(3))
    assert sheet.shape == (CANVAS.height, CANVAS.width, 3)


def test_a_weave_finer_than_a_texel_becomes_its_mean() -> None:
    tile = np.zeros((512, 512, 3), np.uint8)
    tile[:, ::2] = 200
    sheet = fabric.tiled(CANVAS, tile, np.random.default_rng(4))
    assert np.abs(sheet.astype(int) - 100).max() < 25


def test_cloth_begins_anywhere_in_a_tile_and_the_same_draw_is_the_same_cloth() -> None:
    sheets = [fabric.tiled(CANVAS, noise_tile(40, 40), np.random.default_rng(seed)) for seed in (1, 1, 2)]
    assert np.array_equal(sheets[0], sheets[1])
    assert not np.array_equal(sheets[0], sheets[2])
