"""Sketches: whatever the pictures, their distance lies between the bounds."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceloom.transforms.neighbours.sketch import GRID, coarser, sketch, split_at

SIZES = [
    (20, 24, 3),
    (24, 20, 1),
    (28, 28, 3),
    (29, 29, 3),
    (64, 64, 3),
    (57, 83, 3),
    (112, 96, 3),
    (1, 1, 3),
    (3, 200, 1),
]


def pictures(seed: int, size: tuple[int, int, int], count: int = 4) -> np.ndarray:
    """Smooth pictures, noise, flat ones and stripes."""
    rng = np.random.default_rng(seed)
    height, width, channels = size
    made = rng.integers(0, 256, (count, *size), dtype=np.uint8)
    small = rng.integers(0, 256, (3, 3, channels), dtype=np.uint8)
    made[0] = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR).reshape(size)
    made[1] = rng.integers(256)
    made[2, :, ::2] = 255 - made[2, :, ::2] // 9
    return made


def bounds(sketches: np.ndarray, shape: tuple[int, ...], first: int, second: int) -> tuple[float, float]:
    values, split = sketches.astype(np.float64), split_at(shape)
    cells = ((values[first, :split] - values[second, :split]) ** 2).sum()
    details = values[first, split:], values[second, split:]
    return cells + ((details[0] - details[1]) ** 2).sum(), cells + ((details[0] + details[1]) ** 2).sum()


@given(st.integers(0, 2**32), st.sampled_from(SIZES))
def test_distances_lie_between_the_bounds(seed: int, size: tuple[int, int, int]) -> None:
    textures = pictures(seed, size)
    sketches = sketch(textures)
    for first in range(len(textures)):
        for second in range(len(textures)):
            squared = int(((textures[first].astype(np.int64) - textures[second]) ** 2).sum())
            low, high = bounds(sketches, textures.shape, first, second)
            rounding = 1e-6 * float((sketches[[first, second]].astype(np.float64) ** 2).sum()) + 1e-3
            assert low - rounding <= squared <= high + rounding


@pytest.mark.parametrize("size", SIZES)
def test_a_sketch_is_as_long_as_its_picture(size: tuple[int, int, int]) -> None:
    textures = pictures(1, size)
    lengths = (sketch(textures).astype(np.float64) ** 2).sum(axis=1)
    assert np.allclose(lengths, ((textures.astype(np.float64) - 128) ** 2).sum(axis=(1, 2, 3)), rtol=1e-5)


def test_small_pictures_are_their_own_sketch() -> None:
    textures = pictures(2, (GRID, GRID, 3))
    sketches = sketch(textures)
    assert np.array_equal(sketches[:, : split_at(textures.shape)], textures.reshape(4, -1).astype(np.float32) - 128)
    assert not sketches[:, split_at(textures.shape) :].any()


def test_sketches_are_far_shorter_than_pictures() -> None:
    assert sketch(np.zeros((1, 224, 224, 3), np.uint8)).shape == (1, 28 * 28 * 3 + 14 * 14)
    assert sketch(np.zeros((0, 64, 64, 3), np.uint8)).shape[0] == 0


def test_smooth_pictures_are_known_nearly_whole() -> None:
    rng = np.random.default_rng(4)
    coarse = rng.integers(0, 256, (6, 6, 6, 3), dtype=np.uint8)
    textures = np.stack([cv2.resize(one, (224, 224), interpolation=cv2.INTER_CUBIC) for one in coarse])
    sketches = sketch(textures)
    for second in range(1, 6):
        squared = float(((textures[0].astype(np.float64) - textures[second]) ** 2).sum())
        low, high = bounds(sketches, textures.shape, 0, second)
        assert 0.95 * squared < low <= high < 1.05 * squared


@pytest.mark.parametrize("size", SIZES)
def test_a_sketch_does_not_depend_on_its_neighbours_in_the_block(size: tuple[int, int, int]) -> None:
    textures = pictures(5, size)
    together = sketch(textures)
    for number in range(len(textures)):
        assert np.array_equal(together[number], sketch(textures[number : number + 1])[0])


@given(st.integers(0, 2**32), st.sampled_from(SIZES))
def test_coarser_sketches_only_come_closer(seed: int, size: tuple[int, int, int]) -> None:
    textures = pictures(seed, size)
    sketches = sketch(textures)
    few = coarser(sketches, textures.shape)
    assert few.shape == (4, split_at(textures.shape) // 4)
    full = np.linalg.norm(textures[0].astype(np.float64) - textures[3])
    assert np.linalg.norm(few[0].astype(np.float64) - few[3]) <= full * (1 + 1e-5) + 1e-3
