"""Nearest by exact indices, filters by name, and A-SKD's blur against an expectation computed here from its numbers."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from faceloom.transforms.lowres.sampling import ASKD_BLUR, FILTERS, blur_vertically, nearest_index, resize

WRITTEN = (0.15247, 0.22184, 0.25138, 0.22184, 0.15247)


def noise(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


@given(side=st.integers(1, 300), small=st.integers(1, 300))
def test_nearest_takes_the_pixel_at_the_floor(side: int, small: int) -> None:
    expected = [math.floor(index * side / small) for index in range(small)]
    assert nearest_index(side, small).tolist() == expected
    assert max(expected) < side


def test_112_to_24_keeps_the_columns_of_the_paper() -> None:
    image = noise(112, 112)
    kept = [math.floor(i * 112 / 24) for i in range(24)]
    small = resize(image, (24, 24), "nearest")
    assert (small == image[np.ix_(kept, kept)]).all()
    assert small.flags.c_contiguous


@pytest.mark.parametrize("side", [14, 28, 56])
def test_nearest_up_repeats_whole_blocks(side: int) -> None:
    small = noise(side, side)
    assert (resize(small, (112, 112), "nearest") == small.repeat(112 // side, 0).repeat(112 // side, 1)).all()


@pytest.mark.parametrize("name", FILTERS[1:])
def test_filters_are_those_of_opencv(name: str) -> None:
    image = noise(60, 50)
    flag = getattr(cv2, f"INTER_{name.upper()}")
    assert (resize(image, (13, 17), name) == cv2.resize(image, (13, 17), interpolation=flag)).all()


def test_an_unknown_filter_is_refused() -> None:
    with pytest.raises(ValueError, match="sinc"):
        resize(noise(8, 8), (4, 4), "sinc")


def test_area_keeps_the_mean() -> None:
    image = noise(64, 64).astype(np.float32)
    assert resize(image, (8, 8), "area").mean() == pytest.approx(image.mean(), rel=1e-5)


def mirrored(row: int, height: int) -> int:
    """Where padding by reflection reads: the edge row itself is not repeated."""
    return -row if row < 0 else 2 * (height - 1) - row if row >= height else row


@pytest.mark.parametrize(("height", "width"), [(112, 112), (3, 5), (14, 9)])
def test_the_blur_is_the_five_numbers_of_the_paper_down_each_column(height: int, width: int) -> None:
    image = noise(height, width, height)
    expected = np.zeros(image.shape)
    for row in range(height):
        for offset, weight in zip((-2, -1, 0, 1, 2), WRITTEN, strict=True):
            expected[row] += weight * image[mirrored(row + offset, height)]
    blurred = blur_vertically(image)
    ties = np.abs(expected - np.floor(expected) - 0.5) < 1e-9
    assert (blurred == np.rint(expected))[~ties].all()
    assert (np.abs(blurred - expected) <= 0.5 + 1e-9).all()


def test_the_weights_are_those_numbers_and_a_gaussian_of_two_pixels() -> None:
    assert sum(ASKD_BLUR) == 100_000
    assert [weight / 100_000 for weight in ASKD_BLUR] == list(WRITTEN)
    bell = np.exp(-(np.arange(-2, 3) ** 2) / 8)
    assert np.abs(bell / bell.sum() - WRITTEN).max() < 5e-6


def test_the_blur_leaves_rows_alone() -> None:
    stripes = np.zeros((20, 20, 3), np.uint8)
    stripes[:, ::2] = 200
    assert (blur_vertically(stripes) == stripes).all()
    assert not (blur_vertically(stripes.transpose(1, 0, 2)) == stripes.transpose(1, 0, 2)).all()


@given(level=st.integers(0, 255))
def test_the_blur_keeps_a_plain_picture(level: int) -> None:
    plain = np.full((6, 4, 3), level, np.uint8)
    assert (blur_vertically(plain) == level).all()
