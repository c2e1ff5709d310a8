"""Synthetic faces: 68 landmarks of a simple three-dimensional head, and a flat portrait drawn from them."""

from __future__ import annotations

import math
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from faceloom.transforms.masks.fit import JAW

_HALF_BROW = [(0.20, -0.26), (0.39, -0.33), (0.59, -0.36), (0.79, -0.31), (0.93, -0.19)]
_EYE = [(-0.69, 0.0), (-0.57, -0.06), (-0.43, -0.06), (-0.30, 0.02), (-0.43, 0.05), (-0.58, 0.05)]
_MOUTH = [
    (-0.44, 1.03),
    (-0.27, 0.96),
    (-0.11, 0.93),
    (0, 0.95),
    (0.11, 0.93),
    (0.27, 0.96),
    (0.44, 1.03),
    (0.28, 1.17),
    (0.12, 1.22),
    (0, 1.23),
    (-0.12, 1.22),
    (-0.28, 1.17),
    (-0.37, 1.03),
    (-0.11, 1.02),
    (0, 1.03),
    (0.11, 1.02),
    (0.37, 1.03),
    (0.12, 1.07),
    (0, 1.08),
    (-0.12, 1.07),
]


def mean_face() -> NDArray[np.float64]:
    """The 68 points of a frontal face, eye distance 1, origin between the eyes; (68, 3), depth towards the camera."""
    brow = [(-x, y) for x, y in _HALF_BROW[::-1]] + _HALF_BROW
    nose = [(0, -0.035), (0, 0.15), (0, 0.33), (0, 0.518), (-0.22, 0.65), (-0.11, 0.69), (0, 0.72)]
    nose += [(-x, y) for x, y in nose[5:3:-1]]
    eyes = _EYE + [(-x, y) for x, y in (_EYE[3], _EYE[2], _EYE[1], _EYE[0], _EYE[5], _EYE[4])]
    flat = np.concatenate([JAW, brow, nose, eyes, _MOUTH])
    depth = 0.95 - 0.95 * (flat[:, 0] / 1.15) ** 2  # a round head; the nose stands out of it
    depth[27:31] += (0.1, 0.2, 0.3, 0.42)
    depth[31:36] += (0.05, 0.15, 0.25, 0.15, 0.05)
    return np.column_stack([flat, depth])


def draw_landmarks(
    centre: tuple[float, float] = (125, 110), unit: float = 45, yaw: float = 0, roll: float = 0
) -> NDArray[np.float32]:
    """68 points of a head turned by `yaw` (positive to the image's right) and `roll` (clockwise), radians."""
    head = mean_face()
    x = head[:, 0] * math.cos(yaw) + head[:, 2] * math.sin(yaw)
    y = head[:, 1]
    c, s = math.cos(roll), math.sin(roll)
    return (np.stack([c * x - s * y, s * x + c * y], 1) * unit + centre).astype(np.float32)


def draw_portrait(
    points: NDArray[np.float32],
    size: tuple[int, int] = (250, 250),
    skin: tuple[int, int, int] = (205, 160, 135),
    back: tuple[int, int, int] = (90, 110, 130),
) -> NDArray[np.uint8]:
    """A face of one skin colour with dark eyes and brows before a plain background; uint8 RGB (height, width)."""
    image = np.full((size[1], size[0], 3), back, np.uint8)
    unit = float(np.hypot(*(points[36:42].mean(0) - points[42:48].mean(0))))
    top = points[[0, 16]].mean(0) - (points[8] - points[[0, 16]].mean(0)) * 0.75
    hull = cv2.convexHull(
        np.concatenate([points[:17], top[None], points[[0, 16]] + (top - points[[0, 16]].mean(0)) * 0.7])
    )
    cv2.fillConvexPoly(image, hull.astype(np.int32), skin, cv2.LINE_AA)
    for part in (points[36:42], points[42:48]):
        cv2.fillPoly(image, [part.astype(np.int32)], (40, 30, 30), cv2.LINE_AA)
    for part in (points[17:22], points[22:27]):
        cv2.polylines(image, [part.astype(np.int32)], False, (60, 45, 40), max(1, int(unit / 12)), cv2.LINE_AA)
    return image


@pytest.fixture
def landmarks() -> Callable[..., NDArray[np.float32]]:
    """`draw_landmarks`, for tests that need a face."""
    return draw_landmarks


@pytest.fixture
def portrait() -> Callable[..., NDArray[np.uint8]]:
    """`draw_portrait`, for tests that need a photo."""
    return draw_portrait
