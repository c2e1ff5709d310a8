"""Surfaces of masks: finite, moderate, and different between kinds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from faceloom.transforms.masks import relief, shapes
from faceloom.transforms.masks.canvas import Canvas
from faceloom.transforms.masks.catalogue import TEMPLATES
from faceloom.transforms.masks.relief import _creases, draw_surface, surface


def make(name: str, seed: int = 0) -> Any:
    template = TEMPLATES[name]
    outline = shapes.spline(*shapes.mirrored(template.half))
    canvas = Canvas.over(outline, 60)
    return canvas, surface(canvas, template, outline, np.random.default_rng(seed))


@pytest.mark.parametrize("name", TEMPLATES)
@pytest.mark.parametrize("seed", range(3))
def test_surface_is_sane(name: str, seed: int) -> None:
    canvas, made = make(name, seed)
    for field in (made.normal_x, made.normal_y, made.ink, made.cast):
        assert field.shape == (canvas.height, canvas.width) and field.dtype == np.float32
        assert np.isfinite(field).all()
    assert np.abs(made.normal_x).mean() < 2 and np.abs(made.normal_y).mean() < 2
    assert made.ink.min() > 0 and made.ink.max() <= 1.19


def test_a_mask_bulges_towards_the_camera() -> None:
    slopes = [make("surgical", seed)[1].normal_x for seed in range(12)]
    mean = np.mean(slopes, axis=0)
    width = mean.shape[1]
    assert mean[:, : width // 4].mean() < -0.2 and mean[:, -width // 4 :].mean() > 0.2


def test_a_fold_runs_down_the_middle_of_a_kn95() -> None:
    slopes = np.mean([make("kn95", seed)[1].normal_x for seed in range(12)], axis=0)
    middle = slopes.shape[1] // 2
    jump = slopes[:, middle + 4].mean() - slopes[:, middle - 5].mean()
    assert jump > 2 * abs(slopes[:, middle + 14].mean() - slopes[:, middle + 5].mean())


def test_pleats_run_across() -> None:
    made = np.mean([np.abs(np.diff(make("surgical", s)[1].ink, axis=0)).mean() for s in range(8)])
    across = np.mean([np.abs(np.diff(make("surgical", s)[1].ink, axis=1)).mean() for s in range(8)])
    assert made > across


def test_a_duckbill_turns_over_several_rows_even_where_it_is_drawn_small() -> None:
    """One step would be a saw's edge along the slanting fold."""
    template = TEMPLATES["duckbill"]
    outline = shapes.spline(*shapes.mirrored(template.half))
    canvas = Canvas.over(outline, 45)
    top, bottom = outline[:, 1].min(), outline[:, 1].max()
    for seed in range(5):
        down = relief._base(canvas, template, top, bottom, np.random.default_rng(seed))[1]
        assert down[0].max() < -0.3 and down[-1].min() > 0.8
        assert np.diff(down, axis=0).max() < 0.6 * (down.max() - down.min())


def test_same_seed_same_surface() -> None:
    np.testing.assert_array_equal(make("cloth", 4)[1].normal_y, make("cloth", 4)[1].normal_y)


def test_creases_end_in_nothing() -> None:
    """Straps pull at the edge: there the cloth is creased, and it smooths out towards the mouth."""
    worn = shapes.spline(*shapes.mirrored(TEMPLATES["ffp_valve"].half))
    canvas = Canvas.over(worn, 60)
    corner = np.array([(0.9, 0.6)])  # all creases start here
    deep = np.mean([np.abs(_creases(canvas, 2, corner, np.random.default_rng(seed))) for seed in range(40)], axis=0)
    x = canvas.resized(*deep.shape).x
    assert deep[:, x > 0.5].max() > 1.5 * deep[:, abs(x) < 0.2].max() > 0


def test_creases_are_narrow() -> None:
    """A crease is a line, not a dent: most of the cloth between few of them stays flat."""
    template = TEMPLATES["cloth"]
    outline = shapes.spline(*shapes.mirrored(template.half))
    canvas = Canvas.over(outline, 60)
    shares = [(np.abs(_creases(canvas, 5, outline, np.random.default_rng(seed))) > 0.05).mean() for seed in range(30)]
    assert 0.005 < np.mean(shares) < 0.2


def test_what_was_drawn_before_changes_nothing() -> None:
    for kept in (relief._profile, relief._kept_layers, relief._kept_surface):
        kept.cache_clear()
    first = make("surgical", 7)[1]
    for seed in range(5):
        make("surgical", seed)
    np.testing.assert_array_equal(first.normal_y, make("surgical", 7)[1].normal_y)


def test_masks_of_a_kind_have_many_creases() -> None:
    drawn = {relief._kept_layers(TEMPLATES["cloth"], number)[0].tobytes() for number in range(40)}
    assert len(drawn) > 32  # a few have none


def test_creases_on_a_large_face_do_not_show_the_grid_they_were_drawn_on() -> None:
    """Of the variation of slopes along a row next to nothing has the period of the small sheet."""
    template = TEMPLATES["gaiter"]
    outline = shapes.spline(*shapes.mirrored(template.half))
    canvas = Canvas.over(outline, 300)
    period = canvas.width / relief._SMALL[1]
    shares = []
    for seed in range(6):
        slope = surface(canvas, template, outline, np.random.default_rng(seed)).normal_x.astype(np.float64)
        power = (np.abs(np.fft.rfft(slope * np.hanning(canvas.width), axis=1)) ** 2).mean(axis=0)
        at = round(canvas.width / period)
        shares.append(power[at - 4 : at + 5].sum() / power[2:].sum())
    assert np.median(shares) < 1e-4


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_mask_has_the_same_shape_however_finely_it_is_drawn(name: str) -> None:
    """Slopes are heights over lengths, both in eye distances: twice the texels change neither."""
    import cv2

    template = TEMPLATES[name]
    outline = shapes.spline(*shapes.mirrored(template.half))
    coarse = Canvas.over(outline, 50)
    fine = coarse.resized(2 * coarse.height, 2 * coarse.width)
    one, other = (draw_surface(c, template, outline, np.random.default_rng(2)) for c in (coarse, fine))
    for field in ("normal_x", "normal_y", "ink"):
        here = getattr(one, field)
        there = cv2.resize(getattr(other, field), (coarse.width, coarse.height), interpolation=cv2.INTER_AREA)
        # The dome is the same anyway; what counts are creases and waves upon it.
        details = [sheet - cv2.GaussianBlur(sheet, (0, 0), 4) for sheet in (here, there)]
        assert details[1].std() == pytest.approx(details[0].std(), rel=0.35)
        assert np.abs(here - there).mean() < 0.5 * here.std() + 0.02


@pytest.mark.parametrize("density", [1, 2000])
def test_the_smallest_and_the_largest_sheet_are_sane(density: float) -> None:
    template = TEMPLATES["surgical"]
    outline = shapes.spline(*shapes.mirrored(template.half))
    canvas = Canvas.over(outline, density)
    made = surface(canvas, template, outline, np.random.default_rng(1))
    for field in (made.normal_x, made.normal_y, made.ink, made.cast):
        assert field.shape == (canvas.height, canvas.width) and np.isfinite(field).all()
    assert made.ink.min() > 0 and made.ink.max() < 1.2


@pytest.mark.parametrize("name", TEMPLATES)
def test_folds_and_seams_darken_and_little_shines(name: str) -> None:
    inks = [make(name, seed)[1].ink for seed in range(6)]
    assert 0.6 < np.mean([ink.mean() for ink in inks]) < 1.1
    assert min(ink.min() for ink in inks) < 0.95


def test_creases_lean_both_ways() -> None:
    """Of the creases that are kept, about as many rise as fall; else all masks would be lit from one side."""
    kept = np.array([relief._kept_layers(TEMPLATES["cloth"], number)[0].astype(np.float32) for number in range(60)])
    rising, falling = kept[kept > 0.05].sum(), -kept[kept < -0.05].sum()
    assert 0.5 < rising / falling < 2


@pytest.mark.parametrize("number", range(0, relief.VARIETY, 37))
def test_every_row_of_pleats_has_slopes_and_shadows_in_bounds(number: int) -> None:
    profile = relief._profile(number)
    assert np.isfinite(profile).all() and np.abs(profile.real).max() < 4
    assert profile.imag.min() >= 0 and 0 < profile.imag.max() <= 0.6 + 1e-6
    ends = np.abs(profile.real[[0, -1]])
    assert ends.max() < np.abs(profile.real).max() / 2, "the cloth above the first and below the last pleat is flat"


def test_a_small_mask_has_one_of_many_surfaces_mirrored_or_not() -> None:
    template = TEMPLATES["surgical"]
    outline = shapes.spline(*shapes.mirrored(template.half))
    canvas = Canvas.over(outline, 40)
    made = [surface(canvas, template, outline, np.random.default_rng(seed)) for seed in range(40)]
    assert len({one.ink.tobytes() for one in made}) == 40, "kept surfaces are varied too"
    numbers = {int(np.random.default_rng(seed).random(4)[0] * relief._KEPT) for seed in range(40)}
    assert len(numbers) > 20
    assert np.abs(np.mean([one.normal_x[:, ::-1] + one.normal_x for one in made])) < 0.1, "all bulge to both sides"
