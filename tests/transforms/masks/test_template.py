"""Vector masks on faces: they cover what they should, look like the photo, and are the same every time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from faceloom.schemas.errors import PhotoError
from faceloom.schemas.masks import TemplateMask
from faceloom.transforms.masks import template
from faceloom.transforms.masks.catalogue import TEMPLATES
from faceloom.transforms.masks.template import paint_template
from faceloom.transforms.types import Coverage, Image, Landmarks


def mask(name: str = "surgical", **kind: Any) -> TemplateMask:
    return TemplateMask.model_validate({"kind": "template", "template": name, **kind})


def at(alpha: Coverage, points: Any, *index: Any) -> Any:
    """Coverage at the mean of some landmarks."""
    x, y = np.round(points[list(index)].mean(0)).astype(int)
    return alpha[y, x]


@pytest.mark.parametrize("name", TEMPLATES)
@pytest.mark.parametrize("seed", range(3))
def test_correct_wearing_covers_nose_mouth_and_chin(
    landmarks: Callable[..., Landmarks], portrait: Callable[..., Image], name: str, seed: int
) -> None:
    points = landmarks(roll=0.1)
    image = portrait(points)
    before = image.copy()
    painted = paint_template(image, points, mask(name), np.random.default_rng(seed))
    np.testing.assert_array_equal(image, before)
    assert painted.image.dtype == np.uint8 and painted.image.shape == image.shape
    assert painted.alpha.dtype == np.float32 and painted.alpha.shape == image.shape[:2]
    assert painted.alpha.min() >= 0 and painted.alpha.max() <= 1
    assert at(painted.alpha, points, *range(48, 68)) == 1  # mouth
    assert at(painted.alpha, points, 33, 51) == 1  # below the nose
    assert at(painted.alpha, points, 8, 57) == 1  # chin
    for eye in (range(36, 42), range(42, 48)):
        assert at(painted.alpha, points, *eye) == 0
    share = (painted.alpha >= 0.5).sum() / (2.24 * 45) ** 2
    assert 0.2 < share < (0.7 if name != "gaiter" else 1.0)


def test_half_the_points_draw_the_same_outline_on_a_small_face(
    landmarks: Callable[..., Landmarks], portrait: Callable[..., Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    points = landmarks()
    image = portrait(points)
    few = paint_template(image, points, mask(), np.random.default_rng(1)).alpha
    monkeypatch.setattr(template, "_SMALL_UNIT", 0)
    many = paint_template(image, points, mask(), np.random.default_rng(1)).alpha
    assert 0 < np.abs(few - many).sum() < 0.01 * many.sum()


@pytest.mark.parametrize("name", TEMPLATES)
def test_however_small_or_low_a_mask_worn_correctly_covers_the_nose_tip(
    landmarks: Callable[..., Landmarks], portrait: Callable[..., Image], name: str
) -> None:
    points = landmarks()
    image = portrait(points)
    for seed in range(25):
        painted = paint_template(image, points, mask(name, spread=1.5), np.random.default_rng(seed))
        assert at(painted.alpha, points, 30) > 0.9


@pytest.mark.parametrize(
    ("wearing", "nose", "mouth", "chin"),
    [("correct", 1, 1, 1), ("nose_out", 0, 1, 1), ("chin_only", 0, 0, 1), ("under_chin", 0, 0, None)],
)
@pytest.mark.parametrize("name", ["surgical", "kn95", "ffp_valve"])
def test_ways_of_wearing(
    landmarks: Callable[..., Landmarks],
    portrait: Callable[..., Image],
    name: str,
    wearing: str,
    nose: bool,
    mouth: bool,
    chin: bool,
) -> None:
    points = landmarks()
    painted = paint_template(portrait(points), points, mask(name, wearing=wearing, spread=0), np.random.default_rng(0))
    assert at(painted.alpha, points, 30) == nose
    assert at(painted.alpha, points, 62, 66) == mouth
    if chin is not None:
        assert at(painted.alpha, points, 8, 8, 57) == chin
    assert (painted.alpha[192:] > 0.5).any(), "cloth reaches below the chin"


def test_pixels_outside_mask_straps_and_shadow_are_untouched(
    landmarks: Callable[..., Landmarks], portrait: Callable[..., Image]
) -> None:
    points = landmarks()
    image = portrait(points)
    painted = paint_template(image, points, mask(), np.random.default_rng(1))
    changed = (painted.image != image).any(2)
    assert painted.straps is not None
    touched = cv2.dilate(np.maximum(painted.alpha, painted.straps), np.ones((31, 31))) > 0
    assert not changed[~touched].any()
    assert changed[painted.alpha == 1].mean() > 0.98


@pytest.mark.parametrize("colour", [(200, 30, 40), (30, 60, 200), (20, 20, 20), (250, 250, 250)])
def test_the_cloth_has_the_asked_colour(
    landmarks: Callable[..., Landmarks], portrait: Callable[..., Image], colour: Any
) -> None:
    points = landmarks()
    image = portrait(points, skin=(215, 165, 140))
    shades = []
    for seed in range(6):
        painted = paint_template(
            image, points, mask("cloth", colour=colour, pattern="plain"), np.random.default_rng(seed)
        )
        assert painted.parameters["colour"] == list(colour)
        shades.append(np.median(painted.image[painted.alpha == 1], axis=0))
    got = np.median(shades, axis=0)
    if colour == (20, 20, 20):
        assert got.max() < 60
    elif colour == (250, 250, 250):
        assert got.min() > 150
    else:
        assert np.argmax(got) == np.argmax(colour) and got.max() > 1.8 * np.delete(got, np.argmax(colour)).max()


def test_no_halo(landmarks: Callable[..., Landmarks], portrait: Callable[..., Image]) -> None:
    """Between dark cloth and skin no pixel may be brighter than both, between light cloth and dark skin none darker."""
    points = landmarks()
    image = portrait(points, skin=(120, 90, 75), back=(60, 60, 60))
    dark = paint_template(image, points, mask("cloth", colour="black", pattern="plain", straps=False),
                          np.random.default_rng(3))  # fmt: skip
    edge = (dark.alpha > 0.02) & (dark.alpha < 0.98)
    assert dark.image[edge].max() <= 120 + 12


def test_dim_photos_get_dim_masks(landmarks: Callable[..., Landmarks], portrait: Callable[..., Image]) -> None:
    points = landmarks()
    image = portrait(points)
    levels = []
    for scale in (1.0, 0.4):
        photo = (image * scale).astype(np.uint8)
        painted = paint_template(photo, points, mask(colour="white"), np.random.default_rng(2))
        levels.append(np.median(painted.image[painted.alpha == 1]))
    assert levels[1] < 0.6 * levels[0]


def test_side_light_falls_on_the_mask_too(landmarks: Callable[..., Landmarks], portrait: Callable[..., Image]) -> None:
    points = landmarks()
    ramp = np.clip(1 + 0.5 * (np.arange(250) - 125) / 60, 0.3, 1.6)
    image = np.clip(portrait(points) * ramp[None, :, None], 0, 255).astype(np.uint8)
    differences = []
    for seed in range(10):
        painted = paint_template(image, points, mask(colour="grey"), np.random.default_rng(seed))
        half = painted.alpha == 1
        left, right = half.copy(), half.copy()
        left[:, 110:] = False
        right[:, :140] = False
        differences.append(painted.image[right].mean() - painted.image[left].mean())
    assert np.median(differences) > 5


@pytest.mark.parametrize("name", ["surgical", "cloth_patterned", "gaiter"])
def test_grey_stays_grey(landmarks: Callable[..., Landmarks], portrait: Callable[..., Image], name: str) -> None:
    points = landmarks()
    grey = cv2.cvtColor(cv2.cvtColor(portrait(points), cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    for seed in range(4):
        out = paint_template(grey, points, mask(name), np.random.default_rng(seed)).image
        assert (out[..., 0] == out[..., 1]).all() and (out[..., 1] == out[..., 2]).all()


@pytest.mark.parametrize(("size", "unit"), [(60, 12), (112, 35), (250, 45), (1200, 420)])
def test_any_size(landmarks: Callable[..., Landmarks], portrait: Callable[..., Image], size: Any, unit: float) -> None:
    points = landmarks(centre=(size / 2, size * 0.42), unit=unit)
    painted = paint_template(portrait(points, (size, size)), points, mask(), np.random.default_rng(0))
    share = (painted.alpha >= 0.5).sum() / (2.24 * unit) ** 2
    assert 0.3 < share < 0.65


@pytest.mark.parametrize("centre", [(10, 110), (240, 110), (125, -20), (125, 200)])
def test_faces_partly_outside(landmarks: Callable[..., Landmarks], portrait: Callable[..., Image], centre: Any) -> None:
    points = landmarks(centre=centre)
    painted = paint_template(portrait(points), points, mask(), np.random.default_rng(0))
    assert (painted.alpha >= 0.5).sum() > 0


def test_a_face_outside_is_refused(landmarks: Callable[..., Landmarks], portrait: Callable[..., Image]) -> None:
    points = landmarks(centre=(-500, -500))
    with pytest.raises(PhotoError) as caught:
        paint_template(portrait(landmarks()), points, mask(), np.random.default_rng(0))
    assert caught.value.code == "mask_fit"


@given(
    yaw=st.floats(-0.6, 0.6),
    roll=st.floats(-0.5, 0.5),
    name=st.sampled_from(sorted(TEMPLATES)),
    seed=st.integers(0, 99),
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_turned_heads_keep_mouth_covered_and_eyes_free(
    landmarks: Callable[..., Landmarks], portrait: Callable[..., Image], yaw: float, roll: float, name: str, seed: int
) -> None:
    points = landmarks(yaw=yaw, roll=roll)
    painted = paint_template(portrait(points), points, mask(name), np.random.default_rng(seed))
    assert at(painted.alpha, points, 62, 66) > 0.5
    near = range(36, 42) if yaw > 0 else range(42, 48)
    assert at(painted.alpha, points, *near) < 0.5
    share = (painted.alpha >= 0.5).sum() / (2.24 * 45) ** 2
    assert 0.12 < share < 1.1


def test_straps_are_optional_and_no_part_of_the_truth(
    landmarks: Callable[..., Landmarks], portrait: Callable[..., Image]
) -> None:
    points = landmarks()
    image = portrait(points)
    with_, without = (paint_template(image, points, mask(straps=s), np.random.default_rng(0)) for s in (True, False))
    assert without.straps is None
    assert with_.straps is not None and with_.straps.max() > 0.5
    assert ((with_.straps > 0) & (with_.alpha >= 1)).sum() == 0


def test_same_seed_same_bytes_and_other_seed_other_mask(
    landmarks: Callable[..., Landmarks], portrait: Callable[..., Image]
) -> None:
    points = landmarks()
    image = portrait(points)

    def digest(seed: int) -> Any:
        painted = paint_template(image, points, mask("cloth_patterned"), np.random.default_rng(seed))
        return hashlib.sha256(painted.image.tobytes() + painted.alpha.tobytes()).hexdigest()

    assert digest(1) == digest(1)
    assert len({digest(seed) for seed in range(5)}) == 5


def test_parameters_are_plain_json_and_complete(
    landmarks: Callable[..., Landmarks], portrait: Callable[..., Image]
) -> None:
    points = landmarks()
    painted = paint_template(portrait(points), points, mask("kn95"), np.random.default_rng(0))
    again = json.loads(json.dumps(painted.parameters))
    assert again == painted.parameters
    assert {"template", "wearing", "colour", "pattern", "fit", "fit_refused", "light", "lamp", "yaw"} <= set(again)
    assert again["template"] == "kn95" and again["fit"] == "warp"


def test_a_real_portrait(landmarks: Callable[..., Landmarks]) -> None:
    """Grace Hopper, her landmarks taken from the shape of a mean face."""
    matplotlib = pytest.importorskip("matplotlib")
    file = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    stored = cv2.imread(str(file))
    assert stored is not None
    photo = np.ascontiguousarray(stored[:, :, ::-1])
    points = landmarks(centre=(266, 196), unit=66)
    painted = paint_template(photo, points, mask(colour="light_blue"), np.random.default_rng(4))
    inside = painted.image[painted.alpha > 0.99].mean(0)
    assert inside[2] > inside[0], "light blue cloth is bluer than it is red"
    light: Any = painted.parameters["light"]
    assert isinstance(light, dict) and 150 < light["level"] <= 262


def test_white_masks_are_brighter_than_the_skin_around(
    landmarks: Callable[..., Landmarks], portrait: Callable[..., Image]
) -> None:
    """In real photos a white mask is nearly the brightest thing on a face, whatever the light."""
    points = landmarks()
    brighter = []
    for seed in range(30):
        skin = ((215, 165, 140), (150, 110, 90), (95, 68, 55))[seed % 3]
        name = ("surgical", "kn95")[seed % 2]
        painted = paint_template(
            portrait(points, skin=skin), points, mask(name, colour=(248, 248, 246)), np.random.default_rng(seed)
        )
        cloth = painted.image[painted.alpha == 1]
        brighter.append(np.median(cloth.mean(1)) / np.mean(skin))
    assert np.mean(np.array(brighter) > 1.05) > 0.9


def test_black_masks_stay_neutral(landmarks: Callable[..., Landmarks], portrait: Callable[..., Image]) -> None:
    points = landmarks()
    for seed in range(12):
        painted = paint_template(
            portrait(points, skin=(220, 160, 145)), points, mask("cloth", colour=(33, 33, 34), pattern="plain"),
            np.random.default_rng(seed),
        )  # fmt: skip
        red, green, blue = np.median(painted.image[painted.alpha == 1], axis=0)
        # Neither purple nor green: what lamps differ in is red against blue.
        assert abs((red + blue) / 2 - green) <= 4


def test_no_trim_shows_across_the_cloth_of_a_strongly_turned_head(
    landmarks: Callable[..., Landmarks], portrait: Callable[..., Image]
) -> None:
    """Its far part lies behind the bulge, so nothing is drawn there."""
    drawn = dict.fromkeys((0.0, 0.75), 0)
    for yaw in drawn:
        points = landmarks(yaw=yaw)
        for seed in range(40):
            painted = paint_template(portrait(points), points, mask("kn95"), np.random.default_rng(seed))
            details: Any = painted.parameters["details"]
            drawn[yaw] += "trim" in details
    assert drawn[0.0] > 0 == drawn[0.75]


def test_a_fabric_is_seen_on_the_mask_with_trims_and_straps_in_its_colour(
    landmarks: Callable[..., Landmarks], portrait: Callable[..., Image]
) -> None:
    """Its colour is none of those that masks are sold in."""
    points, tile = landmarks(), np.full((20, 20, 3), (60, 220, 30), np.uint8)
    for seed in range(4):
        fabric = mask("cloth", pattern="/some/folder/green.png")
        painted = paint_template(portrait(points), points, fabric, np.random.default_rng(seed), tile)
        red, green, blue = np.median(painted.image[painted.alpha == 1].astype(float), axis=0)
        assert green > 1.5 * red and green > 1.5 * blue
        assert painted.parameters["pattern"] == "green.png", "the folder is not recorded"
        assert painted.parameters["colour"] == [60, 220, 30]
    dyed = mask("cloth", pattern="green.png", colour="red")
    painted = paint_template(portrait(points), points, dyed, np.random.default_rng(0), tile)
    assert painted.parameters["colour"] == [255, 0, 0], "of trims and straps"


def test_a_fabric_changes_the_cloth_and_not_the_shape(
    landmarks: Callable[..., Landmarks], portrait: Callable[..., Image]
) -> None:
    points, tile = landmarks(), np.random.default_rng(0).integers(0, 256, (30, 30, 3), np.uint8)
    one, other = (
        paint_template(portrait(points), points, mask("gaiter", pattern="a.png"), np.random.default_rng(3), each)
        for each in (tile, 255 - tile)
    )
    assert np.array_equal(one.alpha, other.alpha)
    assert not np.array_equal(one.image, other.image)
