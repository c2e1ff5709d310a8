"""Cloth in a colour of the photo looks like the place that it was taken from."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from faceloom.schemas.masks import TemplateMask
from faceloom.transforms.masks import template
from faceloom.transforms.masks.catalogue import TEMPLATES
from faceloom.transforms.masks.photo_colour import SHARES, draw_photo_colour
from faceloom.transforms.masks.shade import Light
from faceloom.transforms.types import Image, Landmarks

SKIN, HAIR, CLOTHES = (200.0, 150.0, 120.0), (40, 28, 20), (60, 130, 70)


def dressed(points: Landmarks, size: int = 600) -> Image:
    """Skin over the whole picture, hair above the face, clothes below it."""
    image = np.full((size, size, 3), SKIN, np.uint8)
    eyes, chin = points[36:48, 1].mean(), points[8, 1]
    image[: round(eyes - 0.6 * (chin - eyes))] = HAIR
    image[round(chin + 0.3 * (chin - eyes)) :] = CLOTHES
    return image


def nearest(colour: np.ndarray, light: Light) -> int:
    """Which of skin, hair and clothes a cloth looks like in a light."""
    seen = colour * light.level / 255 * np.array(light.tint)
    return int(np.abs(np.array([SKIN, HAIR, CLOTHES]) - seen).sum(1).argmin())


@pytest.mark.parametrize("level", [200.0, 240.0])
def test_skin_hair_and_clothes_are_all_drawn(landmarks: Callable[..., Landmarks], level: float) -> None:
    points = landmarks(unit=60, centre=(300, 280))
    light = Light(level, (1.02, 1.0, 0.95), 0.0, SKIN)
    rng = np.random.default_rng(0)
    drawn = [draw_photo_colour(dressed(points), points, light, rng) for _ in range(200)]
    colours = [colour for colour in drawn if colour is not None]
    counts = np.bincount([nearest(colour, light) for colour in colours], minlength=3)
    assert counts.min() > 20, "each of the three places"
    assert all(colour.dtype == np.float32 and colour.min() >= 4 and colour.max() <= 254 for colour in colours)


def test_a_place_outside_the_photo_gives_no_colour(landmarks: Callable[..., Landmarks]) -> None:
    points = landmarks(unit=60, centre=(300, 280))
    left, top = np.floor(points.min(0)).astype(int)
    right, bottom = np.ceil(points.max(0)).astype(int)
    tight = dressed(points)[top:bottom, left:right]
    light = Light(230.0, (1.0, 1.0, 1.0), 0.0, SKIN)
    rng = np.random.default_rng(1)
    drawn = [draw_photo_colour(tight, points - (left, top), light, rng) for _ in range(100)]
    found = [nearest(colour, light) for colour in drawn if colour is not None]
    assert set(found) == {0}, "skin is always at hand"
    assert len(found) < 60, "hair and clothes are not"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(x=st.floats(-1e4, 1e4), y=st.floats(-1e4, 1e4), size=st.floats(1, 1e3), seed=st.integers(0, 9))
def test_faces_anywhere_give_a_colour_or_none(
    landmarks: Callable[..., Landmarks], x: float, y: float, size: float, seed: int
) -> None:
    points = (landmarks() - landmarks().mean(0)) / 100 * size + (x, y)
    image = np.zeros((40, 60, 3), np.uint8)
    light = Light(16.0, (2.5, 1.0, 0.3), 0.0, (0.0, 0.0, 0.0))
    colour = draw_photo_colour(image, points, light, np.random.default_rng(seed))
    assert colour is None or (colour.shape == (3,) and np.isfinite(colour).all())


@pytest.mark.parametrize("name", ["surgical", "cloth", "cloth_patterned"])
def test_masks_take_the_colour_at_the_stated_rate(
    landmarks: Callable[..., Landmarks], portrait: Callable[..., Image], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    points = landmarks()
    mine = np.array([11, 222, 33], np.float32)
    monkeypatch.setattr(template, "draw_photo_colour", lambda *_: mine)
    mask = TemplateMask.model_validate({"kind": "template", "template": name})
    drawn = [
        template.paint_template(portrait(points), points, mask, np.random.default_rng(seed)).parameters["colour"]
        for seed in range(120)
    ]
    share = np.mean([colour == mine.tolist() for colour in drawn])
    expected = SHARES[TEMPLATES[name].palette]
    assert abs(share - expected) < 4 * np.sqrt(expected * (1 - expected) / 120)


def test_every_palette_states_its_share() -> None:
    assert set(SHARES) >= {design.palette for design in TEMPLATES.values()}


def test_a_colour_that_was_asked_for_stays(
    landmarks: Callable[..., Landmarks], portrait: Callable[..., Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SHARES, "surgical", 1.0)
    points = landmarks()
    mask = TemplateMask.model_validate({"kind": "template", "template": "surgical", "colour": [10, 20, 30]})
    painted = template.paint_template(portrait(points), points, mask, np.random.default_rng(0))
    assert painted.parameters["colour"] == [10, 20, 30]
