"""The catalogue holds what recipes may name, and every entry makes sense."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import pytest

from faceloom.schemas.masks import Pattern, TemplateName
from faceloom.transforms.masks.catalogue import TEMPLATES
from faceloom.transforms.masks.fabric import PALETTES, PATTERNS
from faceloom.transforms.masks.fit import JAW, area
from faceloom.transforms.masks.shapes import mirrored, spline


def test_every_recipe_name_has_a_template() -> None:
    assert set(TEMPLATES) == set(get_args(TemplateName))
    assert len(TEMPLATES) >= 9


def test_every_pattern_of_a_recipe_can_be_drawn() -> None:
    assert set(get_args(Pattern)) == {"plain", *PATTERNS}


@pytest.mark.parametrize("name", TEMPLATES)
def test_template_is_consistent(name: str) -> None:
    template = TEMPLATES[name]
    x, y, _ = zip(*template.half)
    assert x[0] == x[-1] == 0 and min(x[1:-1]) > 0
    assert y[0] == min(y) and y[-1] == max(y)
    assert 0 < template.upper < template.lower < len(x) - 1
    assert template.palette == "any" or template.palette in PALETTES
    assert all(pattern == "plain" or pattern in PATTERNS for pattern, _ in template.patterns)
    assert 0 <= template.hem <= 1 and 0 <= template.valve <= 1 and 0 <= template.label <= 1


def test_templates_differ_in_outline() -> None:
    assert len({template.half for template in TEMPLATES.values()}) == len(TEMPLATES)


def _worn(name: str) -> Any:
    return spline(*mirrored(TEMPLATES[name].half))


@pytest.mark.parametrize("name", TEMPLATES)
def test_outlines_are_full_and_run_round(name: str) -> None:
    """Worn masks seen from the front fill 0.64 to 0.80 of their box: they follow the jaw and do not end in a wedge."""
    outline = _worn(name)
    assert 0.64 < area(outline) / np.prod(np.ptp(outline, axis=0)) < 0.84


def test_a_gaiter_goes_round_the_neck() -> None:
    """It ends on the neck and is as wide there, instead of hanging over the collar."""
    outline = _worn("gaiter")
    chin = JAW[8, 1]
    assert chin + 0.2 < outline[:, 1].max() < chin + 0.5
    end = outline[outline[:, 1] > chin + 0.1]
    assert end[:, 0].max() > 0.62
