"""Alpha-over: right to the last grey level, and nothing changes where nothing is laid."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from faceloom.transforms.masks.composite import alpha_over, covered_region
from faceloom.transforms.types import Region

images = arrays(np.uint8, (7, 9, 3))
alphas = arrays(np.float32, (7, 9), elements=st.floats(0, 1, width=32))
SLACK = 255e-5  # OpenCV divides by 1.00001
colours = st.tuples(*[st.integers(0, 255)] * 3)


def exact(image: np.ndarray, colour: object, alpha: np.ndarray) -> np.ndarray:
    weight = alpha.astype(np.float64)[..., None]
    return image * (1 - weight) + np.asarray(colour, np.float64) * weight


@given(images, colours, alphas)
def test_the_blend_is_rounded_to_nearest(image: np.ndarray, colour: tuple[int, int, int], alpha: np.ndarray) -> None:
    assert np.abs(alpha_over(image, colour, alpha) - exact(image, colour, alpha)).max() <= 0.5 + SLACK


@given(images, images, alphas)
def test_a_picture_can_be_laid_over_too(image: np.ndarray, picture: np.ndarray, alpha: np.ndarray) -> None:
    assert np.abs(alpha_over(image, picture, alpha) - exact(image, picture, alpha)).max() <= 0.5 + SLACK


@given(images, colours, arrays(np.float32, (7, 9), elements=st.sampled_from([0.0, 0.3, 1.0])))
def test_uncovered_pixels_keep_every_bit(image: np.ndarray, colour: tuple[int, int, int], alpha: np.ndarray) -> None:
    result = alpha_over(image, colour, alpha)
    assert np.array_equal(result[alpha == 0], image[alpha == 0])
    assert (result[alpha == 1] == colour).all()


@given(images, alphas)
def test_a_colour_over_itself_changes_nothing(image: np.ndarray, alpha: np.ndarray) -> None:
    image[:] = (12, 200, 99)
    assert np.array_equal(alpha_over(image, (12, 200, 99), alpha), image)


def test_white_over_black_is_the_alpha() -> None:
    ramp = np.linspace(0, 1, 256, dtype=np.float32)[None]
    assert np.array_equal(alpha_over(np.zeros((1, 256, 3), np.uint8), (255, 255, 255), ramp)[0, :, 1], np.arange(256))


def test_the_image_below_is_left_alone() -> None:
    image = np.full((5, 5, 3), 9, np.uint8)
    alpha_over(image, (255, 0, 0), np.ones((5, 5), np.float32))
    assert (image == 9).all()


def test_nothing_laid_gives_a_copy() -> None:
    image = np.full((5, 5, 3), 9, np.uint8)
    result = alpha_over(image, (255, 0, 0), np.zeros((5, 5), np.float32))
    assert np.array_equal(result, image) and result is not image


def test_a_known_region_gives_the_same() -> None:
    image = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    alpha = np.zeros((40, 50), np.float32)
    alpha[10:20, 15:30] = np.random.default_rng(1).random((10, 15))
    for colour in ((1, 2, 3), image[::-1]):
        assert np.array_equal(
            alpha_over(image, colour, alpha, region=Region(12, 8, 33, 22)), alpha_over(image, colour, alpha)
        )


@pytest.mark.parametrize(("rows", "columns"), [((2, 5), (1, 9)), ((0, 7), (0, 9)), ((3, 4), (4, 5))])
def test_the_covered_region_is_tight(rows: tuple[int, int], columns: tuple[int, int]) -> None:
    alpha = np.zeros((7, 9), np.float32)
    alpha[slice(*rows), slice(*columns)] = 1e-3
    assert covered_region(alpha) == (columns[0], rows[0], columns[1], rows[1])


def test_nothing_covered_has_no_region() -> None:
    assert covered_region(np.zeros((7, 9), np.float32)) is None
