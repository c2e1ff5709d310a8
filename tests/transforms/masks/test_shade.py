"""Light is read from the skin and laid on the cloth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest

from faceloom.transforms.masks.canvas import Canvas, solid_colour
from faceloom.transforms.masks.catalogue import TEMPLATES
from faceloom.transforms.masks.fit import FixedPoints, fit_face
from faceloom.transforms.masks.relief import Surface, surface
from faceloom.transforms.masks.shade import Lamp, Light, contact_shadow, draw_lamp, light_cloth, measure_light, tone
from faceloom.transforms.masks.shapes import mirrored, spline
from faceloom.transforms.types import Image, Landmarks

OUTLINE = FixedPoints(spline(*mirrored(TEMPLATES["surgical"].half)))
LIGHT = Light(200.0, (1.0, 1.0, 1.0), 0.0, (200.0, 150.0, 130.0))
LAMP = Lamp(0.0, 0.0, 0.5, 1.0, 0.0, (1.0, 1.0, 1.0), (0.0, 0.0), 0.0)
FLAT = Surface(*(np.full((40, 60), v, np.float32) for v in (0, 0, 1, 0)))


def test_brighter_skin_means_more_light(landmarks: Callable[..., Landmarks], portrait: Callable[..., Image]) -> None:
    points = landmarks()
    fit = fit_face(points, OUTLINE)
    dim, bright = (measure_light(portrait(points, skin=s), fit).level for s in ((110, 85, 70), (220, 175, 150)))
    assert bright > 1.3 * dim


def test_side_light_is_seen_on_the_right_side(
    landmarks: Callable[..., Landmarks], portrait: Callable[..., Image]
) -> None:
    points = landmarks()
    image = portrait(points).astype(np.float32)
    for sign in (1, -1):
        ramp = 1 + sign * 0.35 * (np.arange(250) - 125) / 60
        lit = np.clip(image * np.clip(ramp, 0.3, 1.7)[None, :, None], 0, 255).astype(np.uint8)
        assert sign * measure_light(lit, fit_face(points, OUTLINE)).side > 0.1
    assert abs(measure_light(portrait(points), fit_face(points, OUTLINE)).side) < 0.1


def test_warm_light_tints_warm(landmarks: Callable[..., Landmarks], portrait: Callable[..., Image]) -> None:
    points = landmarks()
    warm = portrait(points, skin=(230, 150, 95))
    cold = portrait(points, skin=(180, 160, 165))
    tints = [measure_light(image, fit_face(points, OUTLINE)).tint for image in (warm, cold)]
    assert tints[0][0] > tints[1][0] and tints[0][2] < tints[1][2]


def test_a_face_outside_the_frame_gets_default_light(
    landmarks: Callable[..., Landmarks], portrait: Callable[..., Image]
) -> None:
    points = landmarks(centre=(-300, -300))
    assert measure_light(portrait(landmarks()), fit_face(points, OUTLINE)).level == 225


def test_flat_cloth_shows_its_colour_times_the_light() -> None:
    lit = light_cloth(solid_colour(np.array([100, 150, 50]), (40, 60)), FLAT, LIGHT, LAMP)
    np.testing.assert_allclose(lit[20, 30], np.array([100, 150, 50]) * 200 / 255, atol=2)


@pytest.mark.parametrize(("side", "brighter"), [(0.6, "right"), (-0.6, "left")])
def test_side_light_shades_a_dome(side: float, brighter: Any) -> None:
    dome = Surface(np.tile(np.linspace(-1, 1, 60, dtype=np.float32), (40, 1)), FLAT.normal_y, FLAT.ink, FLAT.cast)
    lamp = Lamp(0.0, side, 0.8, 1.0, 0.0, (1.0, 1.0, 1.0), (0.0, 0.0), 0.0)
    lit = light_cloth(solid_colour(np.full(3, 150), (40, 60)), dome, LIGHT, lamp).mean((0, 2))
    assert (lit[-20:].mean() > lit[:20].mean() + 10) == (brighter == "right")


def test_over_exposure_keeps_a_trace_of_folds() -> None:
    bright = Light(262.0, (1.0, 1.0, 1.0), 0.0, LIGHT.skin)
    ink = np.ones((40, 60), np.float32)
    ink[20:] = 0.95
    lit = light_cloth(solid_colour(np.full(3, 250), (40, 60)), replace(FLAT, ink=ink), bright, LAMP)
    assert lit[5, 5, 0] > lit[35, 5, 0]


def test_a_cast_shadow_is_broad_and_never_a_spot() -> None:
    """What is narrower than a third of the mask, dark in the middle and light around, would look like dirt."""
    cloth, deepest = solid_colour(np.full(3, 150), (60, 60)), 1.0
    template = TEMPLATES["surgical"]
    outline = spline(*mirrored(template.half))
    canvas = Canvas.over(outline, 60).resized(60, 60)
    for seed in range(60):
        cast = surface(canvas, template, outline, np.random.default_rng(seed)).cast
        zero = np.zeros((60, 60), np.float32)
        flat = Surface(zero, zero, zero + 1, cast)
        lit = light_cloth(cloth, flat, LIGHT, replace(LAMP, cast=0.35))[..., 0] / 255
        deepest = min(deepest, lit.min() / np.median(lit))
        for y, x in np.ndindex(4, 4):
            y, x = 10 + 13 * y, 10 + 13 * x
            ring = [lit[y - 9, x], lit[y + 9, x], lit[y, x - 9], lit[y, x + 9]]
            assert lit[y, x] > 0.85 * min(ring), "darker than all that lies around it"
    assert deepest < 0.8, "but there are shadows"


def test_lamps_follow_the_measured_side() -> None:
    rng = np.random.default_rng(0)
    right = Light(200.0, (1.0, 1.0, 1.0), 0.4, LIGHT.skin)
    assert np.mean([draw_lamp(right, rng).side for _ in range(50)]) > 0.4


def test_shadow_falls_below_the_mask() -> None:
    alpha = np.zeros((100, 100), np.float32)
    alpha[30:60, 30:70] = 1
    lamp = Lamp(0.5, 0.0, 0.5, 1.0, 0.0, (1.0, 1.0, 1.0), (0.0, 0.0), 0.0)
    shadow = contact_shadow(alpha, 45, lamp, 0.4)
    assert shadow.shape == alpha.shape and shadow.min() >= 0 and shadow.max() <= 0.41
    assert shadow[61, 50] > shadow[28, 50] and shadow[61, 50] > 0.1
    assert shadow[95, 50] < 0.01


@pytest.mark.parametrize("seed", range(6))
def test_slopes_and_folds_take_no_light_from_the_whole(seed: int) -> None:
    """However the cloth is shaped, half of it is as bright as cloth is in this light."""
    template = TEMPLATES["surgical"]
    outline = spline(*mirrored(template.half))
    canvas = Canvas.over(outline, 60)
    made = surface(canvas, template, outline, np.random.default_rng(seed))
    lit = light_cloth(solid_colour(np.full(3, 150), (canvas.height, canvas.width)), made, LIGHT, LAMP)
    assert lit.std() > 2
    assert np.median(lit) == pytest.approx(150 * 200 / 255, rel=0.05)


def test_redder_skin_hardly_tints_the_cloth(
    landmarks: Callable[..., Landmarks], portrait: Callable[..., Image]
) -> None:
    """Lamps are bluer or yellower, faces redder or paler."""
    points = landmarks()
    lights = [measure_light(portrait(points, skin=skin), fit_face(points, OUTLINE)) for skin in
              ((190, 150, 130), (225, 150, 130), (190, 150, 105))]  # fmt: skip
    plain, blood, lamp = (np.log(light.tint[0] / light.tint[2]) for light in lights)
    assert abs(blood - plain) < 0.06
    assert lamp - plain > 0.03
    green = [light.tint[1] for light in lights]
    assert np.ptp(green) < 0.05


def test_lamps_differ_between_blue_and_yellow() -> None:
    rng = np.random.default_rng(1)
    lamps = [draw_lamp(LIGHT, rng) for _ in range(40)]
    for lamp in lamps:
        assert lamp.tint[0] * lamp.tint[2] == pytest.approx(lamp.tint[1] ** 2)
        assert lamp.drift[0] == -lamp.drift[1]
    assert {lamp.tint[0] > 1 for lamp in lamps} == {True, False}


def test_shine_shows_the_folds_of_black_cloth() -> None:
    dome = Surface(np.tile(np.linspace(-1, 1, 60, dtype=np.float32), (40, 1)), FLAT.normal_y, FLAT.ink, FLAT.cast)
    black = solid_colour(np.full(3, 20), (40, 60))
    contrast = [
        float(np.std(light_cloth(black, dome, LIGHT, replace(LAMP, side=0.6, gloss=gloss)))) for gloss in (0.0, 0.1)
    ]
    assert contrast[1] > 1.5 * contrast[0]


def sepia(picture: Image) -> Image:
    """A picture toned as old prints are, with some noise."""
    luma = picture @ np.array([0.299, 0.587, 0.114]) / 255
    toned = np.stack([255 * luma**0.8, 240 * luma**0.95, 200 * luma**1.15], axis=-1)
    noise = np.random.default_rng(0).normal(0, 1, picture.shape)
    return np.clip(toned + noise, 0, 255).astype(np.uint8)


def chroma(picture: Image) -> np.ndarray:
    return cv2.cvtColor(picture, cv2.COLOR_RGB2YCrCb).reshape(-1, 3)[:, 1:].astype(float) - 128


def scene(landmarks: Callable[..., Landmarks], portrait: Callable[..., Image]) -> tuple[Image, Landmarks]:
    """A face before a ground that runs from green to blue: a photo of many colours."""
    points = landmarks()
    picture = portrait(points).copy()
    picture[:, :60] = np.stack([np.full(250, 40), np.linspace(200, 60, 250), np.linspace(60, 200, 250)], -1)[:, None]
    return picture, points


def test_cloth_has_the_colours_of_a_sepia_photo(
    landmarks: Callable[..., Landmarks], portrait: Callable[..., Image]
) -> None:
    picture, points = scene(landmarks, portrait)
    photo = sepia(picture)
    light = measure_light(photo, fit_face(points, OUTLINE))
    assert light.own == 0
    cloth = np.random.default_rng(1).integers(30, 240, (60, 60, 3)).astype(np.uint8)  # of all colours
    expected = sepia(cloth)
    assert np.abs(chroma(cloth) - chroma(expected)).mean() > 20
    assert np.abs(chroma(tone(cloth, light)) - chroma(expected)).mean() < 4


def test_cloth_keeps_its_colours_in_a_colour_photo(
    landmarks: Callable[..., Landmarks], portrait: Callable[..., Image]
) -> None:
    picture, points = scene(landmarks, portrait)
    for photo in (picture, (picture * 0.25).astype(np.uint8)):
        light = measure_light(photo, fit_face(points, OUTLINE))
        assert light.own == 1
        assert tone(picture, light) is picture


def test_between_sepia_and_colour_cloth_keeps_a_part_of_its_colour() -> None:
    blue = solid_colour(np.array([60.0, 90, 200]), (4, 4))
    strengths = [np.hypot(*chroma(tone(blue, replace(LIGHT, own=own))).T).mean() for own in (0.0, 0.5, 1.0)]
    assert strengths[0] < 1 and strengths[1] == pytest.approx(strengths[2] / 2, abs=2)


@pytest.mark.parametrize(("gains", "least"), [((0.45, 0.7, 1.25), 0.8), ((1.2, 0.6, 0.5), 0.45)], ids=["blue", "red"])
def test_white_cloth_takes_the_colour_of_a_tinted_photo(
    gains: tuple[float, float, float],
    least: float,
    landmarks: Callable[..., Landmarks],
    portrait: Callable[..., Image],
) -> None:
    """Skin in blue light is bluer than any skin in white light; in red light it may be redder skin."""
    points = landmarks()
    plain = portrait(points).copy()
    plain[:, :60] = 150  # a grey wall
    tinted = np.clip(plain * np.array(gains), 0, 255).astype(np.uint8)
    before, after = (np.array(measure_light(one, fit_face(points, OUTLINE)).tint) for one in (plain, tinted))
    wall = np.log(np.array(gains) / gains[1])
    before, after = np.log(before / before[1]), np.log(after / after[1])
    assert np.abs(before).max() < 0.2
    assert after @ wall > least * wall @ wall
    assert np.abs(after).max() < np.abs(wall).max() + 0.02


def test_overexposed_skin_does_not_tint_the_cloth(
    landmarks: Callable[..., Landmarks], portrait: Callable[..., Image]
) -> None:
    points = landmarks()
    photo = portrait(points, skin=(255, 255, 255)).copy()
    photo[:, :60] = 180, 200, 250  # a blue wall
    tint = np.log(measure_light(photo, fit_face(points, OUTLINE)).tint)
    assert np.abs(tint - tint[1]).max() < 0.1


def test_white_cloth_in_bright_light_keeps_its_folds() -> None:
    folds = np.tile(np.linspace(0.8, 1.2, 60, dtype=np.float32), (40, 1))
    sheet = solid_colour(np.array([248.0, 248, 246]), (40, 60))
    bright = replace(LAMP, gain=1.25)
    cloth = light_cloth(sheet, replace(FLAT, ink=folds), replace(LIGHT, level=245.0), bright)
    assert cloth.max() < 255 and np.ptp(cloth[20, :, 1].astype(int)) > 20
    assert len(np.unique(cloth[20, :, 1])) > 15
