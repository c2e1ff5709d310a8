"""Morphs: between two faces in shape and in looks, on the first one's background, or refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest

from faceloom.schemas.errors import PhotoError
from faceloom.transforms.geometry import apply_affine, invert, similarity
from faceloom.transforms.morph.morph import Background, Morphed, morph_faces
from faceloom.transforms.types import Image, Landmarks, Matrix

Person = Callable[..., np.ndarray]
Portrait = Callable[..., np.ndarray]
SIZE = (224, 224)
SAME: Matrix = similarity(1, 0)
BACKGROUNDS: list[Background] = ["target", "gradient"]


@pytest.fixture(params=BACKGROUNDS)
def background(request: pytest.FixtureRequest) -> Background:
    kind: Background = request.param
    return kind


@pytest.fixture
def pair(person: Person, portrait: Portrait) -> tuple[Image, Landmarks, Image, Landmarks]:
    first, second = person(1), person(2)
    return portrait(first, SIZE), first, portrait(second, SIZE, (170, 120, 95), (30, 90, 40)), second


def eye(image: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Middle of the dark pixels near an eye, x and y."""
    x, y = np.rint(points[36:42].mean(axis=0)).astype(int)
    around = image[y - 12 : y + 13, x - 16 : x + 17].mean(axis=2)
    rows, columns = np.nonzero(around < 80)
    return np.array([columns.mean() + x - 16, rows.mean() + y - 12])


def test_a_face_with_itself_is_itself(pair: tuple[Image, Landmarks, Image, Landmarks], background: Background) -> None:
    image, points = pair[:2]
    made = morph_faces(image, points, image, points, SAME, background=background)
    assert np.allclose(made.landmarks, points, atol=1e-3)
    assert np.abs(made.image.astype(int) - image).mean() < 0.5


@pytest.mark.parametrize("weight", [0.0, 0.3, 0.5, 1.0])
def test_the_shape_is_between_both(
    pair: tuple[Image, Landmarks, Image, Landmarks], background: Background, weight: float
) -> None:
    image, points, _, others = pair
    made = morph_faces(*pair, SAME, shape_weight=weight, texture_weight=0.5, background=background)
    assert made.landmarks.dtype == np.float32 and made.landmarks.shape == (68, 2)
    assert np.allclose(made.landmarks, points + weight * (others - points), atol=1e-3)
    assert made.image.shape == image.shape and made.image.dtype == np.uint8
    assert np.abs(eye(made.image, made.landmarks) - made.landmarks[36:42].mean(axis=0)).max() < 1.5


def test_shape_and_texture_are_independent(pair: tuple[Image, Landmarks, Image, Landmarks]) -> None:
    image, points, other, others = pair
    marked = other.copy()
    cv2.circle(marked, tuple(np.rint(others[33]).astype(int).tolist()), 4, (20, 200, 20), -1)
    own_shape = morph_faces(image, points, marked, others, SAME, shape_weight=0, texture_weight=1)
    x, y = np.rint(own_shape.landmarks[33]).astype(int)
    assert np.allclose(own_shape.landmarks, points)
    assert own_shape.image[y, x, 1] > own_shape.image[y, x, 0] + 60, "the mark is there, at the target's nose"
    own_looks = morph_faces(image, points, marked, others, SAME, shape_weight=1, texture_weight=0)
    x, y = np.rint(own_looks.landmarks[33]).astype(int)
    assert np.allclose(own_looks.landmarks, others, atol=1e-3)
    assert own_looks.image[y, x, 1] < own_looks.image[y, x, 0]


def test_no_weight_at_all_gives_the_target(
    pair: tuple[Image, Landmarks, Image, Landmarks], background: Background
) -> None:
    made = morph_faces(*pair, SAME, shape_weight=0, texture_weight=0, background=background)
    assert np.abs(made.image.astype(int) - pair[0]).max() <= 2


def test_the_background_is_the_targets(pair: tuple[Image, Landmarks, Image, Landmarks], background: Background) -> None:
    made = morph_faces(*pair, SAME, shape_weight=0.5, texture_weight=1, background=background)
    corners = made.image[:20, :20], made.image[:20, -20:]
    assert all(np.abs(corner.astype(int) - (90, 110, 130)).max() <= 2 for corner in corners)
    greenish = (made.image[..., 1].astype(int) - made.image[..., 0] > 30).sum()
    assert greenish == 0, "nothing of the other's background"


def test_there_is_one_chin(pair: tuple[Image, Landmarks, Image, Landmarks], background: Background) -> None:
    """Down from the mouth the skin goes over into the background once: no second jaw shines through."""
    made = morph_faces(*pair, SAME, background=background)
    x, y = np.rint(made.landmarks[57]).astype(int)
    column = made.image[y + 4 :, x].astype(int)
    skin = np.abs(column - np.median(column[:8], axis=0)).max(axis=1) < 25
    assert np.count_nonzero(np.diff(skin.astype(int))) <= 1


@pytest.mark.parametrize("scale", [0.4, 1.0, 2.3])
def test_the_other_may_come_in_any_frame(person: Person, portrait: Portrait, scale: float) -> None:
    points, others = person(3), person(4)
    image = portrait(points, SIZE)
    matrix = similarity(1 / scale, -0.2, (112 * scale, 112 * scale), (112, 112))
    there = apply_affine(invert(matrix), others)
    photo = portrait(there, (round(240 * scale), round(240 * scale)))
    made = morph_faces(image, points, photo, there, matrix)
    straight = morph_faces(image, points, portrait(others, SIZE), others, SAME)
    assert np.allclose(made.landmarks, straight.landmarks, atol=0.01)
    assert np.abs(made.image.astype(int) - straight.image).mean() < 2


def test_a_large_photo_does_not_alias(person: Person, portrait: Portrait) -> None:
    """Fine stripes in a photo of six times the size come out as their mean, not as coarse stripes."""
    points = person(5)
    image = portrait(points, SIZE)
    matrix = similarity(1 / 6, 0, (-0.5, -0.5), (-0.5, -0.5))
    striped = np.repeat(np.repeat(image, 6, axis=0), 6, axis=1)
    striped[:, ::2] = np.clip(striped[:, ::2].astype(int) + 60, 0, 255)
    striped[:, 1::2] = np.clip(striped[:, 1::2].astype(int) - 60, 0, 255)
    made = morph_faces(image, points, striped, apply_affine(invert(matrix), points), matrix, texture_weight=1)
    cheek = np.s_[int(points[31, 1]) : int(points[31, 1]) + 12, int(points[3, 0]) + 25 : int(points[31, 0]) - 8]
    assert made.image[cheek].std(axis=(0, 1)).max() < 6


def test_a_face_that_would_fold_is_rejected_with_its_reason(pair: tuple[Image, Landmarks, Image, Landmarks]) -> None:
    image, points, other, others = pair
    broken = others.copy()
    broken[30] = broken[14] + (25, 0)
    with pytest.raises(PhotoError, match="neighbour") as caught:
        morph_faces(image, points, other, broken, SAME, shape_weight=0.1)
    assert caught.value.code == "morph_folds" and "30" in caught.value.value
    with pytest.raises(PhotoError, match="in the face") as caught:
        morph_faces(other, broken, image, points, SAME, shape_weight=0.9)
    assert caught.value.code == "morph_folds"


def test_a_mirrored_face_folds_everywhere(pair: tuple[Image, Landmarks, Image, Landmarks]) -> None:
    image, points, other, others = pair
    mirrored = (others * (-1, 1) + (223, 0)).astype(np.float32)
    with pytest.raises(PhotoError) as caught:
        morph_faces(image, points, other, mirrored, SAME)
    assert caught.value.code == "morph_folds"


def test_a_face_outside_its_picture_is_refused(pair: tuple[Image, Landmarks, Image, Landmarks]) -> None:
    image, points, other, others = pair
    with pytest.raises(PhotoError) as caught:
        morph_faces(image, points + np.float32(900), other, others + np.float32(900), SAME)
    assert caught.value.code == "crop_outside"


def test_the_same_pair_gives_the_same_bytes(
    pair: tuple[Image, Landmarks, Image, Landmarks], background: Background
) -> None:
    def make() -> Morphed:
        return morph_faces(*pair, SAME, shape_weight=0.37, texture_weight=0.61, background=background)

    given: list[Any] = list(pair)
    before = [array.copy() for array in given]
    first, second = make(), make()
    assert np.array_equal(first.image, second.image)
    assert np.array_equal(first.landmarks, second.landmarks)
    assert all(np.array_equal(array, copy) for array, copy in zip(given, before)), "nothing given was changed"


@pytest.mark.parametrize("size", [(112, 112), (96, 112), (64, 64), (224, 300)])
def test_crops_of_any_size(
    landmarks: Person, portrait: Portrait, size: tuple[int, int], background: Background
) -> None:
    unit = min(size) * 0.3
    centre = size[0] / 2, size[1] * 0.42
    first, second = landmarks(centre, unit), landmarks(centre, unit * 1.05, yaw=0.1)
    made = morph_faces(portrait(first, size), first, portrait(second, size), second, SAME, background=background)
    assert made.image.shape == (size[1], size[0], 3)
