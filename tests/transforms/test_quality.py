"""Quality figures: they follow what was done to the picture, in the right direction and by the right amount."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
import pytest

from faceloom.schemas.errors import PhotoError
from faceloom.schemas.faces import FIGURES
from faceloom.transforms.quality import measure_face
from tests.transforms.heads import head


def picture(seed: int = 0) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(40, 200, (80, 80), dtype=np.uint8)
    return cv2.resize(coarse, (640, 640), interpolation=cv2.INTER_CUBIC)


def test_brightness_and_contrast_are_those_of_the_face() -> None:
    grey = picture()
    first = measure_face(grey, head())
    darker = measure_face((grey // 2).astype(np.uint8), head())
    assert darker.brightness == pytest.approx(first.brightness / 2, abs=1)
    assert darker.contrast == pytest.approx(first.contrast / 2, abs=1)
    flat = measure_face(np.full((640, 640), 90, np.uint8), head())
    assert (flat.brightness, flat.contrast, flat.sharpness) == pytest.approx((90, 0, 0), abs=1e-3)


def test_only_the_face_counts() -> None:
    grey, other = picture(), picture()
    other[:60], other[-30:], other[:, :60], other[:, -60:] = 0, 255, 0, 255
    assert measure_face(grey, head()) == measure_face(other, head())


def test_blur_lowers_the_sharpness_step_by_step() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (640, 640), dtype=np.uint8)
    sharpness = [measure_face(cv2.GaussianBlur(noise, (0, 0), blur), head()).sharpness for blur in (1, 2, 4, 8)]
    assert all(later < earlier * 0.7 for earlier, later in pairwise(sharpness))


def test_the_size_of_the_photo_changes_little() -> None:
    grey = picture()
    double = cv2.resize(grey, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
    first, second = measure_face(grey, head()), measure_face(double, (head() + 0.5) * 2 - 0.5)
    assert second.sharpness == pytest.approx(first.sharpness, rel=0.15)
    assert second.brightness == pytest.approx(first.brightness, rel=0.02)
    assert (second.yaw, second.pitch) == pytest.approx((first.yaw, first.pitch), abs=0.01)


@pytest.mark.parametrize(
    ("points", "code"),
    [(np.zeros((68, 2), np.float32), "degenerate_points"), (head() + 9000, "crop_outside")],
    ids=["one point", "far away"],
)
def test_landmarks_that_are_no_face_are_refused(points: np.ndarray, code: str) -> None:
    with pytest.raises(PhotoError) as caught:
        measure_face(picture(), points)
    assert caught.value.code == code


def test_figures_are_plain_numbers() -> None:
    figures = vars(measure_face(picture(), head()))
    assert tuple(figures) == FIGURES
    assert all(type(value) is float for value in figures.values())
