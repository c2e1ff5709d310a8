"""Masks of pairs: drawn maps, and maps from the difference of two photos."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faceloom.schemas.errors import PhotoError
from faceloom.schemas.labels import DRAWN, MASKED, PAIR, LabelFiles
from faceloom.transforms.decode import decode_rgb
from faceloom.transforms.masks import real
from faceloom.transforms.masks.real import decode_pair, find_mask
from faceloom.transforms.types import Region
from tests.pipelines.conftest import encoded, picture

SIDE = 120


def ellipse(x: float = 60, y: float = 70, wide: float = 30, high: float = 22) -> np.ndarray:
    rows, columns = np.mgrid[:SIDE, :SIDE]
    return ((columns - x) / wide) ** 2 + ((rows - y) / high) ** 2 <= 1


def masked(bare: np.ndarray, where: np.ndarray, colour: tuple[int, int, int] = (230, 240, 250)) -> np.ndarray:
    made = bare.copy()
    made[where] = colour
    return made


def iou(one: np.ndarray, other: np.ndarray) -> float:
    return float((one & other).sum() / (one | other).sum())


def files(photo: bytes, drawn: bytes | None = None) -> LabelFiles:
    return LabelFiles(PAIR, (), (*([(DRAWN, drawn)] if drawn is not None else []), (MASKED, photo)))


def drawing(where: np.ndarray, white: int = 255) -> bytes:
    return encoded(np.repeat((where * white).astype(np.uint8)[..., None], 3, axis=2))


@pytest.fixture
def bare() -> np.ndarray:
    return picture(SIDE, SIDE, 3, blob=8)


@given(st.floats(40, 80), st.floats(40, 80), st.floats(20, 34), st.floats(15, 30), st.integers(0, 99))
@settings(max_examples=15)
def test_a_mask_is_found_by_the_difference_of_jpegs(x: float, y: float, wide: float, high: float, seed: int) -> None:
    bare, where = picture(SIDE, SIDE, seed, blob=8), ellipse(x, y, wide, high)
    noisy = decode_rgb(encoded(masked(bare, where), ".jpg"))
    assert iou(find_mask(bare, noisy) == 255, where) > 0.93


def test_holes_are_filled_and_straps_left_out(bare: np.ndarray) -> None:
    where = ellipse()
    print_on_it = masked(bare, where)
    print_on_it[64:72, 55:65] = bare[64:72, 55:65]
    print_on_it[50, :] = 255
    assert iou(find_mask(bare, print_on_it) == 255, where) > 0.95


def test_the_masks_of_two_people_are_found_and_specks_are_not(bare: np.ndarray) -> None:
    both, speck = ellipse(30, 60, 20, 18) | ellipse(90, 60, 14, 12), ellipse(110, 110, 4, 4)
    assert iou(find_mask(bare, masked(bare, both | speck)) == 255, both) > 0.93


def test_equal_photos_have_no_mask(bare: np.ndarray) -> None:
    with pytest.raises(PhotoError) as caught:
        find_mask(bare, bare)
    assert caught.value.code == "empty_map"


@pytest.mark.parametrize("other", [lambda bare: np.roll(bare, 8, axis=1), lambda bare: picture(SIDE, SIDE, 4, blob=8)])
def test_photos_that_are_not_aligned_are_refused(bare: np.ndarray, other: object) -> None:
    with pytest.raises(PhotoError, match="maps") as caught:
        find_mask(bare, masked(other(bare), ellipse()))  # type: ignore[operator]
    assert caught.value.code == "pair_unaligned"


@pytest.mark.parametrize("white", [255, 200, 1])
def test_a_drawn_map_is_taken_as_it_is(bare: np.ndarray, white: int) -> None:
    where = ellipse()
    found = decode_pair(files(encoded(masked(bare, where)), drawing(where, white)), bare, (SIDE, SIDE))
    assert np.array_equal(found.cover == 255, where) and set(np.unique(found.cover)) == {0, 255}
    assert found.painted().parameters == {"map": "drawn"}
    assert np.array_equal(found.image, masked(bare, where))
    cut = found.cut(Region(10, 20, 100, 110))
    assert np.array_equal(cut.painted().alpha, where[20:110, 10:100].astype(np.float32))


def test_a_reduced_pair_lies_in_the_frame_of_the_reduced_photo(bare: np.ndarray) -> None:
    where = ellipse()
    data = encoded(masked(bare, where))
    small = decode_rgb(encoded(bare), reduction=2)
    for pair in (files(data), files(data, drawing(where))):
        found = decode_pair(pair, small, (SIDE, SIDE), 2)
        assert found.image.shape == (SIDE // 2, SIDE // 2, 3) and found.cover.shape == (SIDE // 2, SIDE // 2)
        assert iou(found.cover >= 128, where[::2, ::2]) > 0.9


@pytest.mark.parametrize(
    ("code", "photo", "drawn"),
    [
        ("bad_partner", b"no picture", None),
        ("bad_partner", encoded(picture(SIDE, SIDE))[:200], None),
        ("bad_partner", encoded(picture(SIDE, SIDE)), b""),
        ("pair_sizes", encoded(picture(SIDE, SIDE + 1)), None),
        ("pair_sizes", encoded(picture(SIDE, SIDE)), drawing(np.ones((SIDE, 60)))),
        ("empty_map", encoded(picture(SIDE, SIDE)), drawing(np.zeros((SIDE, SIDE)))),
        ("empty_map", encoded(picture(SIDE, SIDE)), drawing(np.ones((SIDE, SIDE)), 90)),
    ],
)
def test_faults_of_a_pair_have_codes(code: str, photo: bytes, drawn: bytes | None) -> None:
    with pytest.raises(PhotoError) as caught:
        decode_pair(files(photo, drawn), picture(SIDE, SIDE), (SIDE, SIDE))
    assert caught.value.code == code


def test_a_map_that_is_white_everywhere_is_refused(bare: np.ndarray) -> None:
    """Such as one whose mask is in its transparency."""
    everywhere = np.ones((SIDE, SIDE), bool)
    with pytest.raises(PhotoError, match="white everywhere") as caught:
        decode_pair(files(encoded(bare), drawing(everywhere)), bare, (SIDE, SIDE))
    assert caught.value.code == "empty_map"


def test_a_mask_that_covers_most_of_a_tight_crop_is_found(bare: np.ndarray) -> None:
    where = ellipse(60, 60, 55, 50)
    assert 0.55 < where.mean() < 0.65
    assert iou(find_mask(bare, masked(bare, where)) == 255, where) > 0.9


def test_the_correlation_of_large_photos_is_that_of_their_rows() -> None:
    tall = picture(40, 1100, 5, blob=8)
    noisy = decode_rgb(encoded(tall, ".jpg"))
    greys = [cv2.GaussianBlur(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), (0, 0), 1.0) for image in (tall, noisy)]
    one, other = (
        np.concatenate([cv2.Sobel(grey, cv2.CV_32F, *way).ravel() for way in ((1, 0), (0, 1))]).astype(float)
        for grey in greys
    )
    expected = one @ other / np.sqrt((one @ one) * (other @ other))
    assert real._same_edges(tall, noisy, np.ones(tall.shape[:2], bool)) == pytest.approx(expected)
