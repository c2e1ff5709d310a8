"""Mixing: features inside the hull change, everything outside stays bit for bit, and no edge shows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest

from faceloom.transforms.morph.blend import face_hull, feathered, mix, paste

Person = Callable[..., np.ndarray]
Portrait = Callable[..., np.ndarray]
SIZE = (224, 224)


def mixed(how: str, target: np.ndarray, other: np.ndarray, points: np.ndarray, weight: float) -> np.ndarray:
    inside = face_hull(points, SIZE)
    alpha = feathered(inside, 15)
    if how == "paste":
        return paste(target, other, inside, alpha, weight)
    return mix(target, other, alpha, weight, 20)


def noise(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (224, 224, 3), dtype=np.uint8)


def test_the_hull_holds_the_face_and_no_more(person: Person) -> None:
    points = person(1)
    inside = face_hull(points, SIZE)
    assert inside.dtype == np.uint8 and set(np.unique(inside)) == {0, 255}
    for x, y in points[17:].astype(int):
        assert inside[y, x] == 255
    for x, y in np.rint(points[1:16] + (points[1:16] - points[30]) * 0.06).astype(int):
        assert y >= 224 or inside[y, x] == 0, "beyond the jaw"
    assert not inside[: int(points[17:27, 1].min()) - 30].any()


def test_the_hull_turns_with_the_face(landmarks: Person) -> None:
    upright, turned = (face_hull(landmarks((112, 112), 45, roll=roll), SIZE) for roll in (0, 0.6))
    matrix = cv2.getRotationMatrix2D((112, 112), -np.degrees(0.6), 1)
    expected = cv2.warpAffine(upright, matrix, SIZE)
    assert ((expected > 127) != (turned > 127)).mean() < 0.005


def test_the_soft_edge_rises_inwards(person: Person) -> None:
    inside = face_hull(person(2), SIZE)
    alpha = feathered(inside, 12)
    assert alpha.dtype == np.float32 and alpha.min() == 0 and alpha.max() == 1
    assert not alpha[inside == 0].any()
    assert (alpha[cv2.erode(inside, np.ones((29, 29))) > 0] == 1).all()
    assert np.abs(np.diff(alpha, axis=0)).max() < 0.25 and np.abs(np.diff(alpha, axis=1)).max() < 0.25


def test_the_frame_is_no_edge_of_the_face() -> None:
    inside = np.zeros((60, 60), np.uint8)
    inside[20:, 20:40] = 255
    alpha = feathered(inside, 8)
    assert alpha[-1, 30] == alpha[40, 30] == 1
    assert alpha[21, 30] < 0.2


@pytest.mark.parametrize("how", ["mix", "paste"])
def test_outside_the_hull_nothing_changes(how: str, person: Person) -> None:
    points, target = person(3), noise(3)
    result = mixed(how, target, noise(4), points, 0.7)
    outside = face_hull(points, SIZE) == 0
    assert np.array_equal(result[outside], target[outside])
    assert not np.array_equal(result, target)


@pytest.mark.parametrize("how", ["mix", "paste"])
def test_a_picture_with_itself_is_itself(how: str, person: Person, portrait: Portrait) -> None:
    points = person(5)
    picture = portrait(points, SIZE)
    difference = np.abs(mixed(how, picture, picture.copy(), points, 0.5).astype(int) - picture)
    assert difference.max() <= 2


@pytest.mark.parametrize("how", ["mix", "paste"])
def test_no_weight_is_no_change(how: str, person: Person, portrait: Portrait) -> None:
    points = person(6)
    picture = portrait(points, SIZE)
    other = portrait(points, SIZE, skin=(120, 80, 60))
    assert np.abs(mixed(how, picture, other, points, 0.0).astype(int) - picture).max() <= 2


@pytest.mark.parametrize("how", ["mix", "paste"])
@pytest.mark.parametrize("skin", [(120, 80, 60), (240, 215, 200), (150, 160, 190)])
def test_skin_of_another_colour_leaves_no_seam(
    how: str, skin: tuple[int, int, int], person: Person, portrait: Portrait
) -> None:
    """Two plain faces that differ in skin alone: the mixture is as even as they are, and has the target's colour."""
    points = person(7)
    target, other = portrait(points, SIZE), portrait(points, SIZE, skin=skin)
    result = mixed(how, target, other, points, 0.5).astype(int)
    cheek = np.s_[int(points[31, 1]) : int(points[48, 1]) - 12, int(points[3, 0]) + 3 : int(points[13, 0]) - 3]
    assert np.abs(result[cheek] - target[cheek]).max() <= 6
    steps = [np.abs(np.diff(result[cheek], axis=axis)).max() for axis in (0, 1)]
    assert max(steps) <= 3


@pytest.mark.parametrize("how", ["mix", "paste"])
def test_features_are_mixed_by_their_weight(how: str, person: Person, portrait: Portrait) -> None:
    points = person(8)
    target = portrait(points, SIZE)
    other = target.copy()
    x, y = points[30].astype(int)
    cv2.circle(other, (x, y), 4, (40, 20, 20), -1)  # a mole on the nose
    depth = [float(target[y, x, 0]) - mixed(how, target, other, points, weight)[y, x, 0] for weight in (0, 0.5, 1)]
    assert abs(depth[0]) <= 2
    assert depth[2] > 100
    assert depth[1] == pytest.approx(depth[2] / 2, abs=12)


@pytest.mark.parametrize("how", ["mix", "paste"])
def test_pictures_given_are_left_alone(how: str, person: Person) -> None:
    target, other = noise(9), noise(10)
    before: list[Any] = [target.copy(), other.copy()]
    mixed(how, target, other, person(9), 0.5)
    assert np.array_equal(target, before[0]) and np.array_equal(other, before[1])


def test_a_hull_outside_the_picture_changes_nothing() -> None:
    inside = np.zeros((50, 50), np.uint8)
    target = noise(11)[:50, :50]
    assert np.array_equal(paste(target, noise(12)[:50, :50], inside, feathered(inside, 5), 0.5), target)


def test_one_tiny_hull_is_still_a_hull() -> None:
    inside = np.zeros((50, 50), np.uint8)
    inside[20:23, 20:23] = 255
    target = noise(13)[:50, :50]
    result = paste(target, noise(14)[:50, :50], inside, feathered(inside, 5), 0.5)
    assert np.array_equal(result[inside == 0], target[inside == 0])
