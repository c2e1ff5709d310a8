"""The far camera: light is averaged linearly, noise is that of counted electrons, and a seed gives the same picture."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from faceloom.transforms.lowres.camera import (
    BLUR,
    FULL_WELL,
    QUALITY,
    READ_NOISE,
    SEEDS,
    Exposure,
    _encoded,
    _linear,
    draw_exposure,
    photograph,
)

CLEAN = Exposure(blur=0.4, full_well=1e9, read_noise=0.0, quality=100, noise_seed=1)


def plain(level: int, side: int = 112) -> NDArray[np.uint8]:
    return np.full((side, side, 3), level, np.uint8)


def test_srgb_comes_back_unchanged() -> None:
    values = np.arange(256, dtype=np.uint8)
    assert (_encoded(_linear()[values]) == values).all()
    assert _linear()[[0, 255]].tolist() == [0, 1]


def test_mid_grey_of_black_and_white_is_that_of_light() -> None:
    board = np.zeros((112, 112, 3), np.uint8)
    board[::2, ::2] = board[1::2, 1::2] = 255
    seen = photograph(board, (14, 14), CLEAN)
    # Half the light is 188 in sRGB, not 128.
    assert abs(int(np.median(seen)) - 188) <= 1


def test_colours_stay_in_their_channels() -> None:
    red = np.zeros((112, 112, 3), np.uint8)
    red[..., 0] = 200
    seen = photograph(red, (28, 28), CLEAN).astype(int)
    assert np.abs(seen[..., 0] - 200).max() < 6
    assert seen[..., 1:].max() < 12


@pytest.mark.parametrize("size", [(28, 28), (24, 28), (14, 9)])
def test_size_is_width_and_height(size: tuple[int, int]) -> None:
    assert photograph(plain(90), size, CLEAN).shape == (size[1], size[0], 3)


def spread(level: int, full_well: float, read_noise: float) -> float:
    """Standard deviation of one channel's linear light in a plain picture, judged by luminance, which JPEG keeps."""
    seen = photograph(plain(level, 160), (160, 160), Exposure(0.4, full_well, read_noise, 100, 5)).astype(float)
    weights = np.array([0.299, 0.587, 0.114])
    slope = float(_linear()[level + 5] - _linear()[level - 5]) / 10
    return float((seen @ weights).std()) / float(np.linalg.norm(weights)) * slope


@pytest.mark.parametrize("full_well", [400.0, 1000.0])
@pytest.mark.parametrize("read_noise", [2.0, 12.0])
def test_noise_is_that_of_the_electrons_counted(full_well: float, read_noise: float) -> None:
    counted = float(_linear()[150]) * full_well
    expected = np.sqrt(counted + read_noise**2) / full_well
    assert spread(150, full_well, read_noise) == pytest.approx(expected, rel=0.06)


def test_more_blur_is_more_blurred() -> None:
    edge = plain(30)
    edge[:, 56:] = 220
    sharp, soft = (photograph(edge, (28, 28), CLEAN._replace(blur=blur))[14, :, 1].astype(int) for blur in (0.4, 1.2))
    assert np.abs(np.diff(soft)).max() < np.abs(np.diff(sharp)).max()


def test_jpeg_leaves_its_traces() -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (112, 112, 3), np.uint8)
    fine, coarse = (photograph(image, (56, 56), CLEAN._replace(quality=quality)).astype(int) for quality in (95, 30))
    assert np.abs(fine - coarse).mean() > 5


def test_the_seed_decides_the_noise_and_agreeing_places_agree() -> None:
    exposure = Exposure(0.5, 400, 4, 100, 77)
    first, second = plain(120), plain(120)
    second[64:] = 20
    one, again, other = (photograph(picture, (56, 56), exposure).astype(int) for picture in (first, first, second))
    assert (one == again).all()
    # JPEG works in blocks of 16 x 16, whose colours reach one pixel into the next.
    assert (one[:15] == other[:15]).all()
    assert (one != photograph(first, (56, 56), exposure._replace(noise_seed=78))).any()


def test_draws_are_in_range_differ_and_are_plain_numbers() -> None:
    drawn = [draw_exposure(np.random.default_rng(seed)) for seed in range(500)]
    assert len(set(drawn)) == 500
    for exposure in drawn:
        assert BLUR[0] <= exposure.blur <= BLUR[1]
        assert FULL_WELL[0] <= exposure.full_well <= FULL_WELL[1]
        assert READ_NOISE[0] <= exposure.read_noise <= READ_NOISE[1]
        assert QUALITY[0] <= exposure.quality <= QUALITY[1]
        assert 0 <= exposure.noise_seed < SEEDS
        assert {type(value) for value in exposure} == {float, int}
    assert {exposure.quality for exposure in drawn} >= {*range(45, 55)}
    assert draw_exposure(np.random.default_rng(3)) == drawn[3]
