"""Ear loops and head bands: lines from the edge of the mask to the ears, hidden if the head hides the ear."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faceloom.transforms.masks.catalogue import Template
from faceloom.transforms.masks.fit import FaceFit

_T = np.linspace(0, 1, 7)
_BEZIER = np.stack([(1 - _T) ** 2, 2 * _T * (1 - _T), _T**2], axis=1)

HIDDEN_YAW = 0.26
"""Yaw in radians (15 degrees); above it the cheek hides the far ear."""


@dataclass(frozen=True, eq=False)
class Strap:
    """One visible strap: a line in image pixels (N, 2), and the side of the image it lies on, -1 or 1."""

    line: NDArray[np.float64]
    side: int


def draw_straps(template: Template, fixed: NDArray[np.float64], fit: FaceFit, rng: np.random.Generator) -> list[Strap]:
    """The visible straps of one worn mask.

    Args:
        fixed: attachment points of the straps, mask frame: right upper, right lower, left upper, left lower; (4, 2).
    """
    bands = template.straps == "bands" and rng.random() < 0.6
    top, bottom = rng.normal(-0.02, 0.1), rng.normal(0.5, 0.1)
    crossed = rng.random() < 0.08
    slack = rng.normal(0.02, 0.03)
    # dlib's jaw ends before the ear; the crease behind it looks wider on the side that faces the camera.
    curves, sides = [], []
    right_upper, right_lower, left_upper, left_lower = fixed.tolist()
    for side, upper, lower in ((1, right_upper, right_lower), (-1, left_upper, left_lower)):
        turned = -side * math.sin(fit.yaw)
        if turned < -math.sin(HIDDEN_YAW):
            continue
        ear = 1.15 + 0.3 * max(0.0, turned)
        high = (side * (ear + 0.02), top - 0.25) if bands else (side * ear, top)
        low = (side * (ear - 0.12), 0.82) if bands else (side * (ear - 0.01), bottom)
        if crossed:
            high, low = low, high
        for (x, y), (end_x, end_y) in ((upper, high), (lower, low)):
            middle = (x + end_x) / 2, (y + end_y) / 2 + slack
            curves.append([(x - 0.03 * side, y), middle, (end_x, end_y)])
            sides.append(side)
    if not curves:
        return []
    lines = fit.to_image((_BEZIER @ np.array(curves)).reshape(-1, 2)).reshape(len(curves), len(_BEZIER), 2)
    return [Strap(line, side) for line, side in zip(lines, sides)]
