"""Blur and noise of a photo are measured, in order and in size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest

from faceloom.transforms.masks.catalogue import TEMPLATES
from faceloom.transforms.masks.fit import FixedPoints, fit_face
from faceloom.transforms.masks.grain import add_grain, measure_grain, soften
from faceloom.transforms.masks.shapes import mirrored, spline
from faceloom.transforms.types import Image, Landmarks

OUTLINE = FixedPoints(spline(*mirrored(TEMPLATES["surgical"].half)))


@pytest.fixture
def face(landmarks: Callable[..., Landmarks], portrait: Callable[..., Image]) -> Any:
    points = landmarks()
    return portrait(points), fit_face(points, OUTLINE)


def test_noise_is_measured(face: Any) -> None:
    image, fit = face
    for sigma in (3.0, 8.0):
        noise = np.random.default_rng(0).normal(0, sigma, image.shape[:2])[..., None]
        noisy = np.clip(image + noise, 0, 255).astype(np.uint8)
        assert measure_grain(noisy, fit).noise == pytest.approx(sigma, rel=0.35)


def test_blur_is_measured_in_order(face: Any) -> None:
    image, fit = face
    blurs = [measure_grain(cv2.GaussianBlur(image, (0, 0), s) if s else image, fit).blur for s in (0, 1.0, 2.0, 3.0)]
    assert blurs == sorted(blurs) and blurs[0] < 0.5 and blurs[2] > 1


def test_a_face_outside_gives_a_default(landmarks: Callable[..., Landmarks], portrait: Callable[..., Image]) -> None:
    points = landmarks(centre=(-400, 100))
    grain = measure_grain(portrait(landmarks()), fit_face(points, OUTLINE))
    assert (grain.blur, grain.noise) == (0.6, 1.5)


@pytest.mark.parametrize("blur", [0.0, 1.0, 3.0])
def test_added_noise_has_the_asked_strength_and_is_grey(blur: float) -> None:
    cloth = np.full((200, 200, 3), 120, np.uint8)
    noisy = add_grain(cloth, 5.0, blur, np.random.default_rng(0)).astype(int)
    assert noisy.std() == pytest.approx(5, rel=0.15) and noisy.mean() == pytest.approx(120, abs=0.6)
    assert (noisy[..., 0] == noisy[..., 2]).all()


def test_little_noise_and_blur_change_nothing() -> None:
    cloth = np.random.default_rng(1).integers(0, 255, (20, 20, 3), np.uint8)
    assert add_grain(cloth, 0.2, 0, np.random.default_rng(0)) is cloth
    assert soften(cloth, 0.2) is cloth
    assert soften(cloth, 1.0).std() < cloth.std()
