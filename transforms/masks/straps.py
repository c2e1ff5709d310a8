"""Ear loops and head bands: lines from the edge of the mask to the ears, hidden if the head hides the ear."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from faceloom.transforms.masks.fit import FaceFit

Kind = Literal["loops", "bands"]

_T = np.linspace(0, 1, 7)
_BEZIER = np.stack([(1 - _T) ** 2, 2 * _T * (1 - _T), _T**2], axis=1)

HIDDEN_YAW = 0.26
"""Yaw in radians (15 degrees); above it the cheek hides the far ear."""
BANDS_YAW = 0.35
"""Yaw in radians (20 degrees); above it a head band would have to be drawn around the back of the head."""
_BEHIND, _TURNED, _FAR = 0.03, 0.3, 0.12
"""How far an ear lies behind the end of the jaw: from the front, and more of it on the side that faces the camera or
less on the far side, per sine of the yaw. Eye distances; dlib's jaw ends before the ear."""
HIGH, LOW = (-0.15, 0.12), (0.38, 0.6)
"""Where a loop meets the ear: below its upper and at its lower root, below the end of the jaw. Eye distances."""
_BEHIND_JAW = np.array([(1.03, 0.82), (-1.03, 0.82)])
"""Where a lower head band vanishes behind the jaw, mask frame: right, left."""


@dataclass(frozen=True, eq=False)
class Strap:
    """One visible strap: a line in image pixels (N, 2), and the side of the image it lies on, -1 or 1."""

    line: NDArray[np.float64]
    side: int


def draw_straps(
    kind: Kind,
    fixed: NDArray[np.float64],
    fit: FaceFit,
    landmarks: NDArray[np.floating],
    rng: np.random.Generator,
) -> list[Strap]:
    """The visible straps of one worn mask. They end at the ears, whose places follow from the ends of the jaw.

    Args:
        kind: ear loops; or bands, which some masks have around the head and others around the ears.
        fixed: attachment points of the straps, mask frame: right upper, right lower, left upper, left lower; (4, 2).
            A point that is not finite has no strap.
        landmarks: (68, 2) in image pixels.
    """
    bands = kind == "bands" and rng.random() < 0.6 and abs(fit.yaw) < BANDS_YAW and fit.kind == "warp"
    top, bottom = min(max(HIGH[0], rng.normal(-0.02, 0.1)), HIGH[1]), min(max(LOW[0], rng.normal(0.5, 0.1)), LOW[1])
    crossed = rng.random() < 0.08
    slack = rng.normal(0.02, 0.03)
    # Plain numbers: numpy is slow on a handful of points.
    (across, down, _), (across_y, down_y, _) = fit.matrix.tolist()
    starts = fit.to_image(fixed).tolist()
    behind_jaw = fit.to_image(_BEHIND_JAW).tolist() if bands else None
    curves, sides = [], []
    for side, upper, lower in ((1, 0, 1), (-1, 2, 3)):
        turned = -side * math.sin(fit.yaw)
        if turned < -math.sin(HIDDEN_YAW):
            continue
        out = _BEHIND + (_TURNED * turned if turned > 0 else max(-_BEHIND, _FAR * turned))
        ear_x, ear_y = landmarks[16 if side > 0 else 0].tolist()
        ends = [
            [ear_x + side * x * across + y * down, ear_y + side * x * across_y + y * down_y]
            for x, y in ((out + 0.02, top - 0.25) if bands else (out, top), (out - 0.01, bottom))
        ]
        if behind_jaw is not None:
            ends[1] = behind_jaw[0 if side > 0 else 1]
        for number, (end_x, end_y) in zip((upper, lower), ends[::-1] if crossed else ends, strict=True):
            x, y = starts[number]
            if math.isfinite(x):
                x, y = x - 0.03 * side * across, y - 0.03 * side * across_y
                middle = [(x + end_x) / 2 + slack * down, (y + end_y) / 2 + slack * down_y]
                curves.append([[x, y], middle, [end_x, end_y]])
                sides.append(side)
    return [Strap(line, side) for line, side in zip(_BEZIER @ np.array(curves), sides, strict=True)] if curves else []
