"""Metrics: what equal pictures give, what known changes give, and that each metric moves the way it should."""

from __future__ import annotations

import math
from itertools import pairwise

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

pytest.importorskip("skimage")

from faceloom.models.metrics import (
    FEWEST,
    ROUNDING,
    WINDOW,
    laplacian_variance,
    luma,
    mean_change,
    mean_squared_error,
    score,
    signal_to_noise,
    structural_similarity,
)

SIDE = 24
pictures = arrays.arrays(np.uint8, (SIDE, SIDE, 3))
regions = arrays.arrays(np.bool_, (SIDE, SIDE))


def texture(seed: int = 0, side: int = 64) -> np.ndarray:
    """Fine detail everywhere, away from black and white."""
    return np.random.default_rng(seed).integers(60, 200, (side, side, 3), np.uint8)


def lower_half(side: int = 64) -> np.ndarray:
    region = np.zeros((side, side), bool)
    region[side // 2 :] = True
    return region


def blurred(picture: np.ndarray, sigma: float) -> np.ndarray:
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), np.uint8)


@given(pictures)
def test_a_picture_is_as_like_itself_as_can_be(picture: np.ndarray) -> None:
    assert mean_squared_error(picture, picture) == 0
    assert structural_similarity(picture, picture) == pytest.approx(1, abs=1e-9)
    assert signal_to_noise(picture, picture) == pytest.approx(-10 * math.log10(ROUNDING))
    assert mean_change(picture, picture, np.ones((SIDE, SIDE), bool)) == 0


@given(pictures, pictures)
def test_measures_are_symmetric_and_bounded(one: np.ndarray, other: np.ndarray) -> None:
    assert mean_squared_error(one, other) == mean_squared_error(other, one) <= 1
    assert structural_similarity(one, other) == pytest.approx(structural_similarity(other, one), abs=1e-12)
    assert -1 <= structural_similarity(one, other) <= 1 + 1e-9
    assert 0 <= signal_to_noise(one, other) <= 58.93


@given(st.integers(1, 100), st.integers(0, 155))
def test_a_shift_of_all_levels_has_a_known_error(shift: int, level: int) -> None:
    one = np.full((SIDE, SIDE, 3), level, np.uint8)
    other = (one + shift).astype(np.uint8)
    assert mean_squared_error(one, other) == pytest.approx((shift / 255) ** 2)
    assert signal_to_noise(one, other) == pytest.approx(20 * math.log10(255 / shift))
    assert mean_change(one, other, np.ones((SIDE, SIDE), bool)) == pytest.approx(shift)


def test_black_against_white_is_the_largest_error() -> None:
    black, white = np.zeros((SIDE, SIDE, 3), np.uint8), np.full((SIDE, SIDE, 3), 255, np.uint8)
    assert mean_squared_error(black, white) == 1
    assert signal_to_noise(black, white) == 0
    assert structural_similarity(black, white) < 0.001


def test_similarity_of_flat_pictures_follows_from_its_definition() -> None:
    one, other = np.full((SIDE, SIDE, 3), 50, np.uint8), np.full((SIDE, SIDE, 3), 100, np.uint8)
    c1 = 2.55**2
    assert structural_similarity(one, other) == pytest.approx((2 * 50 * 100 + c1) / (50**2 + 100**2 + c1))


def by_definition(one: np.ndarray, other: np.ndarray) -> float:
    """SSIM as the paper defines it, with the window of OpenCV."""

    def windowed(values: np.ndarray) -> np.ndarray:
        return np.asarray(cv2.GaussianBlur(values, (WINDOW, WINDOW), 1.5))[5:-5, 5:-5]

    x, y = luma(one), luma(other)
    mean_x, mean_y = windowed(x), windowed(y)
    spread = windowed(x * x) - mean_x**2 + windowed(y * y) - mean_y**2
    covariance = windowed(x * y) - mean_x * mean_y
    c1, c2 = 2.55**2, 7.65**2
    likeness = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    return float((likeness * (2 * covariance + c2) / (spread + c2)).mean())


def test_similarity_is_that_of_the_paper() -> None:
    one = texture()
    for other in (blurred(one, 1), blurred(one, 3), np.roll(one, 1, 1), texture(1)):
        assert structural_similarity(one, other) == pytest.approx(by_definition(one, other), abs=1e-9)


def test_similarity_prefers_a_brighter_picture_to_a_blurred_one_of_the_same_error() -> None:
    one = texture()
    soft = blurred(one, 1)
    shift = round(255 * math.sqrt(mean_squared_error(one, soft)))
    brighter = (one.astype(int) + shift).clip(0, 255).astype(np.uint8)
    assert mean_squared_error(one, brighter) == pytest.approx(mean_squared_error(one, soft), rel=0.05)
    assert structural_similarity(one, brighter) > structural_similarity(one, soft) + 0.2


def test_similarity_needs_room_for_its_window() -> None:
    small = np.zeros((WINDOW, WINDOW - 1, 3), np.uint8)
    with pytest.raises(ValueError, match="11x11"):
        structural_similarity(small, small)
    fits = np.zeros((WINDOW, WINDOW, 3), np.uint8)
    assert structural_similarity(fits, fits) == pytest.approx(1)
    with pytest.raises(ValueError, match="same size"):
        structural_similarity(fits, np.zeros((WINDOW, WINDOW + 1, 3), np.uint8))


def test_the_more_a_picture_is_blurred_the_less_detail_it_has() -> None:
    picture, region = texture(), lower_half()
    found = [laplacian_variance(picture if not sigma else blurred(picture, sigma), region) for sigma in (0, 0.5, 1, 2)]
    assert all(after < 0.7 * before for before, after in pairwise(found))


def test_a_flat_region_has_no_detail_however_sharp_its_edge() -> None:
    picture, region = texture(), lower_half()
    picture[region] = (10, 20, 30)
    assert laplacian_variance(picture, region) == pytest.approx(0, abs=1e-9)


def test_detail_outside_the_region_and_along_its_edge_does_not_count() -> None:
    picture, other, region = texture(), texture(1), lower_half()
    other[33:] = picture[33:]  # the first row of the region differs too
    assert laplacian_variance(other, region) == laplacian_variance(picture, region)
    other[34:40] = 255 - picture[34:40]
    assert laplacian_variance(other, region) != laplacian_variance(picture, region)


def test_detail_grows_with_the_square_of_contrast() -> None:
    dark = texture() // 2
    assert laplacian_variance((dark * 2).astype(np.uint8), lower_half()) == pytest.approx(
        4 * laplacian_variance(dark, lower_half())
    )


def test_a_checkerboard_has_the_detail_that_its_kernel_gives() -> None:
    board = (np.indices((SIDE, SIDE)).sum(0) % 2 * 10)[..., None].repeat(3, 2).astype(np.uint8)
    # A dark cell among four bright ones gives +40, a bright one -40.
    assert laplacian_variance(board, np.ones((SIDE, SIDE), bool)) == pytest.approx(40**2)


def test_few_pixels_say_nothing_of_detail() -> None:
    region = np.zeros((64, 64), bool)
    assert math.isnan(laplacian_variance(texture(), region))
    region[10:17, 10:17] = True  # 3 x 3 pixels lie two steps inside
    assert math.isnan(laplacian_variance(texture(), region))
    region[10:18, 10:18] = True  # 4 x 4
    assert FEWEST == 16 and not math.isnan(laplacian_variance(texture(), region))


@given(pictures, pictures, regions)
def test_change_is_measured_in_the_region_alone(one: np.ndarray, other: np.ndarray, region: np.ndarray) -> None:
    spoiled = np.where(region[..., None], one, 255 - one)
    change, same = mean_change(one, other, region), mean_change(spoiled, other, region)
    assert change == same or (math.isnan(change) and math.isnan(same))
    assert math.isnan(change) == (not region.any())


def test_luma_of_grey_is_its_level_and_green_weighs_most() -> None:
    assert luma(np.full((2, 2, 3), 77, np.uint8)) == pytest.approx(77)
    red, green, blue = luma(np.eye(3, dtype=np.uint8)[None] * 100)[0]
    assert green > red > blue and red + green + blue == pytest.approx(100)


def test_a_perfect_mask_has_perfect_scores() -> None:
    face, truth = texture(), lower_half()
    target = np.where(truth[..., None], texture(1), face)
    found = score(face, target, truth, target, truth)
    assert (found.mse, found.iou, found.changed) == (0, 1, 0)
    assert found.ssim == pytest.approx(1) and found.detail == found.target_detail > 0


def test_each_fault_shows_in_its_own_score() -> None:
    face, truth = texture(), lower_half()
    target = np.where(truth[..., None], texture(1), face)
    soft = np.where(truth[..., None], blurred(target, 2), face)
    found = score(face, target, truth, soft, truth)
    assert found.iou == 1 and found.changed == 0 and found.detail < 0.2 * found.target_detail and found.ssim < 0.9
    high = np.roll(truth, -16, 0)
    high[32:] = True
    found = score(face, target, truth, np.where(high[..., None], texture(1), face), high)
    assert found.iou == pytest.approx(32 / 48) and found.detail == found.target_detail and found.changed > 10


def test_a_mask_that_is_missing_shows() -> None:
    face, truth = texture(), lower_half()
    found = score(face, np.where(truth[..., None], texture(1), face), truth, face, np.zeros_like(truth))
    assert found.iou == 0 and math.isnan(found.detail) and math.isnan(found.target_detail) and found.changed == 0


@pytest.mark.parametrize("errors", [0, 1, 5, 200])
def test_the_noise_ratio_is_finite_and_falls_with_the_error(errors: int) -> None:
    one = texture()
    other = one.copy()
    other.reshape(-1)[:errors] ^= 1
    expected = -10 * math.log10(max(errors / one.size / 255**2, ROUNDING))
    assert signal_to_noise(one, other) == pytest.approx(expected)
