"""Halves: Anti-Mask's sizes, nothing lost at the cut, and landmarks that still lie on the face."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceloom.schemas.errors import FaceloomError
from faceloom.transforms.halves import halves, split_row


def crop(height: int = 224, width: int = 224) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(height)
    return rng.integers(0, 256, (height, width, 3), np.uint8), (rng.random((68, 2)) * height).astype(np.float32)


def test_the_published_sizes() -> None:
    parts = halves(*crop())
    assert parts.upper.shape == (96, 224, 3)
    assert parts.lower.shape == (128, 224, 3)


@pytest.mark.parametrize(("height", "row"), [(224, 96), (112, 48), (448, 192), (256, 110)])
def test_other_sizes_are_cut_in_proportion(height: int, row: int) -> None:
    assert split_row(height) == row
    assert len(halves(*crop(height)).upper) == row


@given(st.integers(2, 60), st.integers(1, 40), st.data())
def test_both_parts_are_the_crop(height: int, width: int, data: st.DataObject) -> None:
    image, landmarks = crop(height, width)
    row = data.draw(st.integers(1, height - 1))
    parts = halves(image, landmarks, row)
    assert np.array_equal(np.concatenate([parts.upper, parts.lower]), image)
    assert len(parts.upper) == row
    assert parts.lower_landmarks is not None
    assert parts.lower_landmarks.dtype == np.float32
    assert np.allclose(landmarks - parts.lower_landmarks, [0, row], atol=1e-4)


def test_a_landmark_of_the_lower_part_points_at_the_same_pixel() -> None:
    image, landmarks = crop()
    landmarks[57] = (100, 180)
    parts = halves(image, landmarks)
    assert parts.lower_landmarks is not None
    x, y = parts.lower_landmarks[57].astype(int)
    assert np.array_equal(parts.lower[y, x], image[180, 100])


def test_landmarks_of_the_upper_part_lie_above_the_lower_one() -> None:
    image, landmarks = crop()
    landmarks[27] = (112, 40)
    lower = halves(image, landmarks).lower_landmarks
    assert lower is not None and lower[27, 1] == 40 - 96


@pytest.mark.parametrize("row", [0, -1, 224, 300])
def test_a_cut_that_leaves_nothing_is_refused(row: int) -> None:
    with pytest.raises(FaceloomError, match="224 rows"):
        halves(*crop(), row)


def test_parts_are_copies() -> None:
    image, landmarks = crop()
    before = image.copy()
    parts = halves(image, landmarks)
    parts.upper[:] = 0
    parts.lower[:] = 0
    assert np.array_equal(image, before)
