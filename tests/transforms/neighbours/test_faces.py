"""The published distance, exactly: whole numbers under a root, and sums that do not depend on their order."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceloom.transforms.neighbours.faces import Faces, Metric, compare, landmark_distance, texture_distance

seeds = st.integers(0, 2**32)


@given(seeds, st.integers(1, 40), st.integers(1, 40), st.sampled_from([1, 3]))
def test_texture_distance_is_the_root_of_a_whole_number(seed: int, height: int, width: int, channels: int) -> None:
    first, second = np.random.default_rng(seed).integers(0, 256, (2, height, width, channels), np.uint8)
    exact = int(((first.astype(np.int64) - second) ** 2).sum())
    assert texture_distance(first, second) == math.sqrt(exact)


def test_the_largest_texture_distance_there_is() -> None:
    black = np.zeros((1024, 1024, 3), np.uint8)
    assert texture_distance(black, black + np.uint8(255)) == math.sqrt(black.size * 255**2)


def test_textures_of_full_size_that_differ_by_one_level_are_told_apart() -> None:
    rng = np.random.default_rng(3)
    first, second = rng.integers(0, 256, (2, 224, 224, 3), np.uint8)
    for row in range(0, 224, 16):
        other = second.copy()
        other[row, 5, 1] ^= 1
        exact = int(((first.astype(np.int64) - other) ** 2).sum())
        assert texture_distance(first, other) == math.sqrt(exact) != texture_distance(first, second)


@given(seeds)
def test_landmark_distance_is_the_euclidean_norm_in_any_order(seed: int) -> None:
    rng = np.random.default_rng(seed)
    first, second = (rng.normal(size=(2, 68, 2)) * 100).astype(np.float32)
    distance = landmark_distance(first, second)
    assert distance == pytest.approx(np.linalg.norm(first.astype(np.float64) - second), rel=1e-12)
    assert distance == landmark_distance(second, first)
    order = rng.permutation(68)
    assert distance == landmark_distance(first[order], second[order])


def test_nearly_equal_landmarks_keep_their_small_distance() -> None:
    first = np.full((68, 2), 1000, np.float32)
    second = first.copy()
    second[7, 0] = np.nextafter(np.float32(1000), np.float32(2000))
    assert landmark_distance(first, second) == float(second[7, 0]) - 1000 > 0


def pair() -> Faces:
    landmarks = np.zeros((2, 68, 2), np.float32)
    landmarks[1, 3] = (3, 4)
    textures = np.zeros((2, 1, 2, 1), np.uint8)
    textures[1, 0] = [[30], [40]]
    return Faces(["a", "b"], ["p", "q"], ["i", "j"], landmarks, textures, np.zeros((2, 1), np.float32))


@pytest.mark.parametrize(
    ("weight", "white", "distance"), [(10, 1, 100), (0, 1, 50), (10, 50, 51), (2, 255, 10 + 50 / 255)]
)
def test_the_metric_weighs_pixels_against_the_texture_in_its_units(
    weight: float, white: float, distance: float
) -> None:
    total, landmark, texture = compare(pair(), 0, pair(), 1, Metric(weight, white))
    assert (total, landmark, texture) == (distance, 5, 50 / white)


def test_the_published_weight_is_the_default() -> None:
    assert Metric().weight == 10


def test_a_face_is_at_no_distance_from_itself() -> None:
    assert compare(pair(), 1, pair(), 1, Metric()) == (0, 0, 0)


def test_a_part_of_a_block_keeps_what_belongs_together() -> None:
    part = pair()[1:]
    assert len(part) == 1 and (part.keys, part.photos, part.identities) == (["b"], ["q"], ["j"])
    assert compare(pair(), 0, part, 0, Metric()) == compare(pair(), 0, pair(), 1, Metric())
