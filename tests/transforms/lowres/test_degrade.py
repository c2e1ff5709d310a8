"""Drawn once, applied to whatever belongs together, and made again from what was stored, bit for bit."""

from __future__ import annotations

import json
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from faceloom.schemas.errors import RecipeError
from faceloom.schemas.lowres import LowRes, Mode
from faceloom.transforms.lowres.camera import Exposure
from faceloom.transforms.lowres.degrade import degrade, draw, make_small, small_mask
from faceloom.transforms.lowres.sampling import FILTERS

MODES = get_args(Mode)


def noise(height: int = 112, width: int = 112, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def drawn(many: int = 300, size: tuple[int, int] = (112, 112), real: tuple[int, ...] = (), **spec: Any) -> list[Any]:
    rng = np.random.default_rng(1)
    return [draw(LowRes(**spec), size, rng, real=real) for _ in range(many)]


def heights(many: int = 300, size: tuple[int, int] = (112, 112), real: tuple[int, ...] = (), **spec: Any) -> list[int]:
    return [parameters["size"][1] for parameters in drawn(many, size, real, **spec)]


@pytest.mark.parametrize("side", [14, 24, 28, 56])
def test_askd_is_bit_compatible(side: int) -> None:
    image = noise(seed=side)
    picture, parameters = make_small(
        image, LowRes(mode="askd", sizes=(side,), upsampled=True), np.random.default_rng(0)
    )
    # From the numbers alone: columns floor(i * 112 / s) down, floor(j * s / 112) up, five weights down each column.
    down = [i * 112 // side for i in range(side)]
    up = [j * side // 112 for j in range(112)]
    small = image[down][:, down]
    large = small[up][:, up].astype(np.int64)
    padded = np.concatenate([large[2:3], large[1:2], large, large[-2:-1], large[-3:-2]])
    weights = [15247, 22184, 25138, 22184, 15247]
    expected = sum(weight * padded[tap : tap + 112] for tap, weight in enumerate(weights))
    assert (picture.native == small).all()
    assert picture.upsampled is not None
    assert (picture.upsampled == (2 * expected + 100_000) // 200_000).all()
    assert parameters == {"mode": "askd", "size": [side, side], "down": "nearest", "up": "nearest"}


@pytest.mark.parametrize("mode", MODES)
def test_parameters_are_json_and_replay_bit_for_bit(mode: Mode) -> None:
    image = noise(seed=2)
    for seed in range(8):
        picture, parameters = make_small(image, LowRes(mode=mode, upsampled=True), np.random.default_rng(seed))
        again = degrade(image.copy(), json.loads(json.dumps(parameters)), upsampled=True)
        assert (again.native == picture.native).all()
        assert picture.upsampled is not None and again.upsampled is not None
        assert (again.upsampled == picture.upsampled).all()
        assert picture.upsampled.shape == image.shape and picture.upsampled.dtype == np.uint8
        assert picture.native.shape == (parameters["size"][1], parameters["size"][0], 3)  # type: ignore[index]


@pytest.mark.parametrize("mode", MODES)
def test_the_same_generator_gives_the_same_picture_and_another_not(mode: Mode) -> None:
    image, spec = noise(seed=3), LowRes(mode=mode, upsampled=True)
    one, again = (make_small(image, spec, np.random.default_rng(5)) for _ in range(2))
    assert one[1] == again[1]
    assert (one[0].native == again[0].native).all()
    assert any(make_small(image, spec, np.random.default_rng(seed))[1] != one[1] for seed in range(9))


def test_upsampled_only_when_asked() -> None:
    picture, parameters = make_small(noise(), LowRes(mode="area"), np.random.default_rng(0))
    assert picture.upsampled is None
    assert degrade(noise(), parameters).upsampled is None


def test_each_mode_draws_its_own_systems_sizes() -> None:
    assert set(heights(mode="askd")) == {14, 28, 56}
    assert set(heights(mode="fskd")) == {14, 28, 56, 112}
    shares = heights(2000, mode="adaface")
    assert min(shares) == int(0.2 * 112) and max(shares) == 111
    assert np.mean(shares) == pytest.approx(0.6 * 112, rel=0.03)


def test_the_recipes_sizes_are_obeyed() -> None:
    assert set(heights(sizes=(24,))) == {24}
    assert set(heights(sizes=(16, 20))) == {16, 20}
    assert set(heights(size_range=(14, 18))) == {14, 15, 16, 17, 18}
    assert set(heights(size_share=(0.5, 0.5), mode="fskd")) == {56}
    counts = heights(3000, sizes_from="list.txt", real=(20, 20, 20, 30))
    assert counts.count(20) / 3000 == pytest.approx(0.75, abs=0.04)


def test_no_real_sizes_is_an_error() -> None:
    with pytest.raises(RecipeError, match="real sizes") as caught:
        draw(LowRes(sizes_from="nothing"), (112, 112), np.random.default_rng(0))
    assert caught.value.where == "$.lowres.sizes_from"


def test_nothing_is_drawn_larger_than_the_crop() -> None:
    assert set(heights(mode="fskd", size=(64, 64))) == {14, 28, 56, 64}
    assert set(heights(sizes_from="x", real=(300,), size=(64, 64))) == {64}


@given(width=st.integers(16, 400), height=st.integers(16, 400), small=st.integers(4, 400))
def test_the_shape_of_the_crop_is_kept(width: int, height: int, small: int) -> None:
    got = draw(LowRes(sizes=(small,)), (width, height), np.random.default_rng(0))["size"]
    assert isinstance(got, list)
    low_width, low_height = got
    assert low_height == min(small, height)
    assert low_width >= 1 and abs(low_width - width * low_height / height) <= 0.5 + (low_width == 1)  # type: ignore[operator]


@pytest.mark.parametrize("mode", ["fskd", "adaface"])
def test_filters_are_drawn_independently(mode: Mode) -> None:
    pairs = {(parameters["down"], parameters["up"]) for parameters in drawn(500, mode=mode)}
    assert pairs == {(down, up) for down in FILTERS for up in FILTERS}


def test_realistic_stores_every_draw() -> None:
    (parameters,) = drawn(1, mode="realistic")
    assert set(parameters) == {"mode", "size", "down", "up", *Exposure._fields}


@pytest.mark.parametrize("mode", MODES)
def test_face_and_masked_face_stay_a_pair(mode: Mode) -> None:
    face = noise(seed=4) // 2
    masked = face.copy()
    masked[56:] = (10, 200, 240)
    parameters = draw(LowRes(mode=mode, sizes=(56,)), (112, 112), np.random.default_rng(2))
    one, other = degrade(face, parameters).native.astype(int), degrade(masked, parameters).native.astype(int)
    assert (one[:15] == other[:15]).all()  # of blocks that JPEG works in, the first 16 rows, less one for colour
    assert np.abs(one[40:] - other[40:]).mean() > 20


@given(top=st.integers(0, 100), left=st.integers(0, 100), side=st.integers(1, 100), small=st.sampled_from([14, 28, 56]))
def test_the_small_mask_is_half_of_the_area(top: int, left: int, side: int, small: int) -> None:
    mask = np.zeros((112, 112), np.uint8)
    mask[top : top + side, left : left + side] = 255
    block = 112 // small
    counts = (mask > 0).reshape(small, block, small, block).sum(axis=(1, 3))
    for mode in MODES:
        parameters = {"mode": mode, "size": [small, small]}
        assert (small_mask(mask, parameters) == np.where(2 * counts >= block**2, 255, 0)).all()
        assert (small_mask((mask > 0).astype(np.float32), parameters) == small_mask(mask, parameters)).all()


def test_soft_coverage_counts_as_what_it_is() -> None:
    alpha = np.full((112, 112), 0.49, np.float32)
    alpha[:56] = 0.51
    truth = small_mask(alpha, {"mode": "area", "size": [28, 28]})
    assert (truth[:14] == 255).all() and (truth[14:] == 0).all()
    assert truth.dtype == np.uint8
