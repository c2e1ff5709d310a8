"""Textures: warped to the mean landmarks, faces of one look and two shapes are the same picture."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from faceloom.schemas.errors import PhotoError
from faceloom.transforms.texture import mean_shape, mean_shape_texture

Draw = Callable[..., np.ndarray]
SIZE = (160, 160)


@pytest.fixture
def shapes(landmarks: Draw) -> list[np.ndarray]:
    """Three faces of other widths and places."""
    return [
        landmarks((80 + x, 68 + y), unit, yaw)
        for x, y, unit, yaw in ((0, 0, 42, 0), (4, 2, 45, 0.1), (-3, -2, 39, -0.1))
    ]


def test_the_mean_shape_is_the_mean(shapes: list[np.ndarray]) -> None:
    mean = mean_shape(shapes)
    assert mean.shape == (68, 2) and mean.dtype == np.float32
    assert np.allclose(mean, np.mean(shapes, axis=0), atol=1e-4)
    assert np.array_equal(mean_shape(iter(shapes)), mean)
    assert np.array_equal(mean_shape(shapes[:1]), shapes[0])


def test_one_look_in_two_shapes_is_one_texture(shapes: list[np.ndarray], portrait: Draw) -> None:
    mean = mean_shape(shapes)
    textures = [mean_shape_texture(portrait(points, SIZE), points, mean).astype(int) for points in shapes]
    crops = [portrait(points, SIZE).astype(int) for points in shapes]
    for number in (1, 2):
        assert np.abs(textures[0] - textures[number]).mean() < 0.3 * np.abs(crops[0] - crops[number]).mean()


def test_another_look_is_another_texture(shapes: list[np.ndarray], portrait: Draw) -> None:
    mean = mean_shape(shapes)
    light, dark = (
        mean_shape_texture(portrait(shapes[0], SIZE, skin), shapes[0], mean)
        for skin in ((220, 180, 160), (110, 70, 50))
    )
    inside = light.any(axis=2)
    assert np.abs(light[inside].astype(int) - dark[inside]).mean() > 80


def test_hair_and_background_do_not_count(shapes: list[np.ndarray], portrait: Draw) -> None:
    mean = mean_shape(shapes)
    one, other = (
        mean_shape_texture(portrait(shapes[1], SIZE, back=back), shapes[1], mean)
        for back in ((0, 90, 0), (250, 240, 250))
    )
    assert not one[:10].any() and not one[:, :10].any()
    well_inside = cv2.erode(one.any(axis=2).astype(np.uint8), np.ones((9, 9))) > 0
    assert well_inside.sum() > 3000 and np.array_equal(one[well_inside], other[well_inside])


def test_a_texture_looks_like_the_crop_it_came_from(shapes: list[np.ndarray], portrait: Draw) -> None:
    crop = portrait(shapes[0], SIZE)
    texture = mean_shape_texture(crop, shapes[0], shapes[0])
    inside = texture.any(axis=2)
    assert texture.shape == crop.shape and texture.dtype == np.uint8
    assert np.abs(texture[inside].astype(int) - crop[inside]).mean() < 1


def test_a_face_that_folds_is_refused(shapes: list[np.ndarray], portrait: Draw) -> None:
    broken = shapes[0].copy()
    broken[30] = broken[15]
    with pytest.raises(PhotoError) as caught:
        mean_shape_texture(portrait(shapes[0], SIZE), broken, mean_shape(shapes))
    assert caught.value.code == "morph_folds"
