"""Valves, marks, trims and bands are drawn on the cloth and named."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from faceloom.transforms.masks import shapes
from faceloom.transforms.masks.canvas import Canvas, solid_colour
from faceloom.transforms.masks.catalogue import TEMPLATES
from faceloom.transforms.masks.details import add_details

WHITE = np.full(3, 240, np.float32)


def draw(name: str, seed: int, **changes: Any) -> Any:
    template = replace(TEMPLATES[name], **changes)
    outline = shapes.spline(*shapes.mirrored(template.half))
    canvas = Canvas.over(outline, 60)
    sheet = solid_colour(WHITE, (canvas.height, canvas.width))
    return canvas, sheet, add_details(sheet, canvas, template, outline, WHITE, np.random.default_rng(seed))


def test_plain_cloth_stays_plain() -> None:
    _, sheet, done = draw("cloth", 0, hem=0, valve=0, label=0)
    assert done == [] and (sheet == 240).all()


@pytest.mark.parametrize("seed", range(8))
def test_valve_sits_before_the_mouth(seed: int) -> None:
    canvas, sheet, done = draw("ffp_valve", seed, hem=0, label=0)
    assert done == ["valve"]
    rows, columns = np.nonzero((sheet != 240).any(2))
    assert 0.7 < canvas.y[rows].mean() < 1.5 and abs(canvas.x[columns].mean()) < 0.6
    share = len(rows) / sheet[..., 0].size
    assert 0.003 < share < 0.12


def test_labels_are_small() -> None:
    for seed in range(24):
        canvas, sheet, done = draw("kn95", seed, hem=0, valve=0, label=1)
        assert done == ["label"]
        changed = (sheet != 240).any(2)
        assert 0 < changed.mean() < 0.12
        assert np.ptp(np.nonzero(changed)[1]) < 0.4 * canvas.width


def test_trim_follows_the_edge() -> None:
    for seed in range(60):
        canvas, sheet, done = draw("cloth", seed, hem=1, valve=0, label=0)
        if done == ["trim"]:
            u, v = np.round(canvas.texels(np.array([(0.0, 0.25)]))[0]).astype(int)
            middle = sheet[canvas.height // 2, canvas.width // 2]
            assert (sheet[v, u] != middle).any() and (middle == 240).all()
            return
    pytest.fail("no seed drew a trim")
