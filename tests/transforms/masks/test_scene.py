"""Composing: shadow below, straps over skin, body over straps, the rest of the photo untouched."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from faceloom.schemas.errors import PhotoError
from faceloom.transforms.masks.canvas import Canvas, solid_colour
from faceloom.transforms.masks.catalogue import TEMPLATES
from faceloom.transforms.masks.fit import FixedPoints, fit_face
from faceloom.transforms.masks.scene import Layers, compose_mask, is_grey
from faceloom.transforms.masks.shade import Lamp, Light
from faceloom.transforms.masks.shapes import mirrored, spline
from faceloom.transforms.masks.straps import Strap
from faceloom.transforms.types import Image, Landmarks

OUTLINE = spline(*mirrored(TEMPLATES["surgical"].half))
LIGHT = Light(255.0, (1.0, 1.0, 1.0), 0.0, (200.0, 150.0, 130.0))
LAMP = Lamp(0.4, 0.0, 0.5, 1.0, 0.0, (1.0, 1.0, 1.0), (0.0, 0.0), 0.0)


@pytest.fixture
def scene(landmarks: Callable[..., Landmarks], portrait: Callable[..., Image]) -> Any:
    points = landmarks()
    fit = fit_face(points, FixedPoints(OUTLINE))
    canvas = Canvas.over(OUTLINE, 60)
    cloth = solid_colour(np.array([20, 200, 40]), (canvas.height, canvas.width))
    strap = Strap(fit.to_image(np.array([(0.9, 0.4), (1.1, 0.1), (1.3, 0.0)])), 1)
    return portrait(points), fit, Layers(OUTLINE, canvas, cloth, [strap], np.full(3, 250, np.float32))


def test_layers_lie_in_order(scene: Any) -> None:
    image, fit, layers = scene
    painted = compose_mask(image, fit, layers, LIGHT, LAMP, np.random.default_rng(0))
    body = painted.alpha == 1
    assert np.abs(painted.image[body].astype(float).mean(0) - (20, 200, 40)).max() < 8
    assert painted.straps is not None
    strap = painted.straps > 0.9
    assert strap.any() and painted.image[strap].min() > 150
    assert (painted.straps[body] == 0).all()


def test_skin_beside_the_mask_is_shaded_and_far_skin_is_not(scene: Any) -> None:
    image, fit, layers = scene
    painted = compose_mask(image, fit, layers, LIGHT, LAMP, np.random.default_rng(0))
    x, y = np.round(fit.to_image(np.array([(0.0, -0.4)]))[0]).astype(int)
    assert (painted.image[y, x] == image[y, x]).all()
    rim = (painted.alpha == 0) & (painted.straps == 0) & (painted.image != image).any(2)
    assert rim.any() and (painted.image[rim].astype(int) <= image[rim].astype(int) + 1).mean() > 0.9


def test_alpha_of_the_cloth_counts(scene: Any) -> None:
    image, fit, layers = scene
    veil = np.dstack([layers.cloth, np.full(layers.cloth.shape[:2], 128, np.uint8)])
    thin = Layers(layers.outline, layers.canvas, veil, [], layers.strap_colour)
    painted = compose_mask(image, fit, thin, LIGHT, LAMP, np.random.default_rng(0))
    assert painted.alpha.max() == pytest.approx(128 / 255, abs=1e-3)


def test_is_grey() -> None:
    grey = np.repeat(np.random.default_rng(0).integers(0, 255, (40, 50, 1), np.uint8), 3, axis=2)
    assert is_grey(grey)
    grey[3, 3, 1] ^= 1
    assert not is_grey(grey)


def compose(scene: Any, seed: int = 0, **moved: Any) -> Any:
    image, fit, layers = scene
    return compose_mask(
        moved.get("image", image), moved.get("fit", fit), layers, LIGHT, LAMP, np.random.default_rng(seed)
    )


def test_the_photo_itself_is_left_alone(scene: Any) -> None:
    before = scene[0].copy()
    painted = compose(scene)
    assert np.array_equal(scene[0], before) and not np.shares_memory(painted.image, scene[0])


@pytest.mark.parametrize("seed", range(3))
def test_coverage_is_where_the_outline_lies(scene: Any, seed: int) -> None:
    import cv2

    painted = compose(scene, seed)
    drawn = np.zeros(painted.alpha.shape, np.uint8)
    cv2.fillPoly(drawn, [np.round(scene[1].to_image(OUTLINE)).astype(np.int32)], 1)
    covered = painted.alpha >= 0.5
    assert (covered & (drawn > 0)).sum() / (covered | (drawn > 0)).sum() > 0.93


def test_body_and_straps_share_each_pixel_and_take_no_more_than_all_of_it(scene: Any) -> None:
    image, fit, layers = scene
    inside = Strap(fit.to_image(np.array([(0.5, 0.6), (1.1, 0.1), (1.3, 0.0)])), 1)  # sewn on beneath the edge
    layers = Layers(layers.outline, layers.canvas, layers.cloth, [inside], layers.strap_colour)
    painted = compose((image, fit, layers))
    for share in (painted.alpha, painted.straps):
        assert share.dtype == np.float32 and share.shape == scene[0].shape[:2]
        assert share.min() >= 0 and share.max() <= 1
    assert (painted.alpha + painted.straps).max() <= 1 + 1e-6


def test_pixels_out_of_reach_of_mask_straps_and_shadow_are_those_of_the_photo(scene: Any) -> None:
    import cv2

    image, fit, _ = scene
    painted = compose(scene)
    touched = ((painted.alpha > 0) | (painted.straps > 0)).astype(np.uint8)
    reach = 2 * int(0.25 * fit.unit) + 1
    far = cv2.dilate(touched, np.ones((reach, reach))) == 0
    assert far.mean() > 0.3 and np.array_equal(painted.image[far], image[far])


def test_a_grey_photo_stays_grey_under_a_coloured_mask(scene: Any) -> None:
    import cv2

    grey = cv2.merge([cv2.cvtColor(scene[0], cv2.COLOR_RGB2GRAY)] * 3)
    painted = compose(scene, image=grey)
    assert is_grey(painted.image)
    assert (painted.image != grey).any(axis=2)[painted.alpha == 1].mean() > 0.5, "and shows a mask all the same"


def test_a_mask_that_is_half_outside_the_photo_covers_what_is_inside(scene: Any) -> None:
    image, _, layers = scene
    whole = compose(scene)
    half = int(scene[1].to_image(np.array([(0.0, 1.0)]))[0, 0])
    cut = compose_mask(np.ascontiguousarray(image[:, :half]), scene[1], layers, LIGHT, LAMP, np.random.default_rng(0))
    assert cut.alpha.shape == (image.shape[0], half)
    assert np.abs(cut.alpha - whole.alpha[:, :half]).mean() < 0.01


def test_a_mask_outside_the_photo_is_refused(scene: Any, landmarks: Callable[..., Landmarks]) -> None:
    far = fit_face(landmarks((5000, 5000)), FixedPoints(OUTLINE))
    image, _, layers = scene
    lost = Layers(layers.outline, layers.canvas, layers.cloth, [], layers.strap_colour)
    with pytest.raises(PhotoError, match="outside the picture") as caught:
        compose_mask(image, far, lost, LIGHT, LAMP, np.random.default_rng(0))
    assert caught.value.code == "mask_fit"


def test_straps_are_lit_as_the_face_is_and_the_record_says_how(scene: Any) -> None:
    image, fit, layers = scene
    painted = compose(scene)
    assert painted.parameters["light"]["level"] == LIGHT.level and painted.parameters["straps"] == [1]
    dim = Light(60.0, *list(vars(LIGHT).values())[1:])
    night = compose_mask(image, fit, layers, dim, LAMP, np.random.default_rng(0))
    assert painted.straps is not None
    strap = painted.straps > 0.9
    assert night.image[strap].mean() < 0.6 * painted.image[strap].mean()


def test_the_same_draw_is_the_same_picture(scene: Any) -> None:
    one, other, third = compose(scene, 5), compose(scene, 5), compose(scene, 6)
    assert np.array_equal(one.image, other.image) and np.array_equal(one.alpha, other.alpha)
    assert not np.array_equal(one.image, third.image)
