"""Composing: shadow below, straps over skin, body over straps, the rest of the photo untouched."""

from __future__ import annotations

import numpy as np
import pytest

from faceloom.transforms.masks.canvas import Canvas, flat
from faceloom.transforms.masks.catalogue import TEMPLATES
from faceloom.transforms.masks.fit import Places, fit_face
from faceloom.transforms.masks.scene import Layers, compose_mask, is_grey
from faceloom.transforms.masks.shade import Lamp, Light
from faceloom.transforms.masks.shapes import mirrored, spline
from faceloom.transforms.masks.straps import Strap

OUTLINE = spline(*mirrored(TEMPLATES["surgical"].half))
LIGHT = Light(255.0, (1.0, 1.0, 1.0), 0.0, (200.0, 150.0, 130.0))
LAMP = Lamp(0.4, 0.0, 0.5, 1.0, 0.0, (1.0, 1.0, 1.0), (0.0, 0.0), 0.0)


@pytest.fixture
def scene(landmarks, portrait):
    points = landmarks()
    fit = fit_face(points, Places(OUTLINE))
    canvas = Canvas.over(OUTLINE, 60)
    cloth = flat(np.array([20, 200, 40]), (canvas.height, canvas.width))
    strap = Strap(fit.to_image(np.array([(0.9, 0.4), (1.1, 0.1), (1.3, 0.0)])), 1)
    return portrait(points), fit, Layers(OUTLINE, canvas, cloth, [strap], np.full(3, 250, np.float32))


def test_layers_lie_in_order(scene):
    image, fit, layers = scene
    painted = compose_mask(image, fit, layers, LIGHT, LAMP, np.random.default_rng(0))
    body = painted.alpha == 1
    assert np.abs(painted.image[body].astype(float).mean(0) - (20, 200, 40)).max() < 8
    strap = painted.straps > 0.9
    assert strap.any() and painted.image[strap].min() > 150
    assert (painted.straps[body] == 0).all()


def test_skin_beside_the_mask_is_shaded_and_far_skin_is_not(scene):
    image, fit, layers = scene
    painted = compose_mask(image, fit, layers, LIGHT, LAMP, np.random.default_rng(0))
    x, y = np.round(fit.to_image(np.array([(0.0, -0.4)]))[0]).astype(int)
    assert (painted.image[y, x] == image[y, x]).all()
    rim = (painted.alpha == 0) & (painted.straps == 0) & (painted.image != image).any(2)
    assert rim.any() and (painted.image[rim].astype(int) <= image[rim].astype(int) + 1).mean() > 0.9


def test_alpha_of_the_cloth_counts(scene):
    image, fit, layers = scene
    veil = np.dstack([layers.cloth, np.full(layers.cloth.shape[:2], 128, np.uint8)])
    thin = Layers(layers.outline, layers.canvas, veil, [], layers.strap_colour)
    painted = compose_mask(image, fit, thin, LIGHT, LAMP, np.random.default_rng(0))
    assert painted.alpha.max() == pytest.approx(128 / 255, abs=1e-3)


def test_is_grey():
    grey = np.repeat(np.random.default_rng(0).integers(0, 255, (40, 50, 1), np.uint8), 3, axis=2)
    assert is_grey(grey)
    grey[3, 3, 1] ^= 1
    assert not is_grey(grey)
