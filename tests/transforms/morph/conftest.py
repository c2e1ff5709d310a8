"""Faces of one size for morphing: alike, but no two the same."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

Draw = Callable[..., NDArray[np.float32]]


@pytest.fixture
def person(landmarks: Draw) -> Draw:
    """Landmarks (68, 2) of person `seed` in a 224 x 224 crop: wide or narrow, long or short, each their own."""

    def draw(seed: int, yaw: float = 0) -> NDArray[np.float32]:
        rng = np.random.default_rng(seed)
        points = landmarks((112, 100), 62, yaw).astype(np.float64)
        points = (points - (112, 100)) * rng.uniform(0.92, 1.08, 2) + (112, 100)
        points[:17] += rng.normal(size=2)
        points[17:27] += rng.normal(size=2) * 2
        points[27:36] += rng.normal(size=2) * 2
        points[48:] += rng.normal(size=2) * 2
        return (points + rng.normal(size=(68, 2)) * 0.4).astype(np.float32)

    return draw
