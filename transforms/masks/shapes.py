"""Vector outlines in the mask frame (see `fit`): control points, splines, and their changes by wearing and fit."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from faceloom.transforms.masks.fit import JAW
from faceloom.transforms.types import Outline

HalfOutline = tuple[tuple[float, float, bool], ...]
"""Right half of an outline, from the top centre down to the bottom centre: x, y, and whether the point is a corner."""

STEPS = 8
"""Points of a curve from one control point to the next."""

COVERS_NOSE = 0.42
"""Maximum y of the top edge on the mid-line of a correctly worn mask; the nose tip is at 0.518."""

# Top and bottom of the mask on the mid-line for the ways of wearing; None keeps the mask's own.
WORN: dict[str, tuple[float, float] | None] = {
    "correct": None,
    "nose_out": (0.73, 2.02),
    "chin_only": (1.36, 2.22),
    "under_chin": (1.66, 2.42),
}


@lru_cache(maxsize=4)
def _hermite(steps: int) -> NDArray[np.float64]:
    t = np.linspace(0, 1, steps, endpoint=False)[:, None]
    terms = [2 * t**3 - 3 * t**2 + 1, t**3 - 2 * t**2 + t, -2 * t**3 + 3 * t**2, t**3 - t**2]
    basis: NDArray[np.float64] = np.concatenate(terms, axis=1)
    return basis


def spline(points: NDArray[np.float64], corner: NDArray[np.bool_], count: int = STEPS) -> Outline:
    """Closed Catmull-Rom curve through `points` (N, 2), broken at corners; (count N, 2)."""
    steps = np.concatenate([points[:1] - points[-1:], points[1:] - points[:-1], points[:1] - points[-1:]])
    before, after = steps[:-1], steps[1:]
    smooth = (after + before) / 2
    corner = corner[:, None]
    leaving, arriving = np.where(corner, after, smooth), np.where(corner, before, smooth)
    # Rows of 2 N numbers: start of each piece, tangent there, its end, tangent there.
    ends = np.concatenate([points[1:], points[:1]]), np.concatenate([arriving[1:], arriving[:1]])
    stack = np.concatenate([points, leaving, *ends]).reshape(4, -1)
    curve: Outline = (_hermite(count) @ stack).reshape(count, -1, 2).swapaxes(0, 1).reshape(-1, 2)
    return curve


@lru_cache(maxsize=32)
def mirrored(half: HalfOutline) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Control points and corner flags of the whole outline, clockwise to the eye, from the top; read-only."""
    right = np.array([(x, y) for x, y, _ in half])
    sharp = np.array([c for _, _, c in half], bool)
    left = right[-2:0:-1] * (-1, 1)
    return np.concatenate([right, left]), np.concatenate([sharp, sharp[-2:0:-1]])


def jaw_half_width(y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Half width of the mean face at height y; below the chin, half width of the neck."""
    half: NDArray[np.float64] = np.interp(y, JAW[:7:-1, 1], JAW[:7:-1, 0])
    return np.maximum(half, 0.62)


def wear(points: NDArray[np.float64], wearing: str, shift: float = 0.0) -> NDArray[np.float64]:
    """Move control points from correct wearing to another: the top edge goes down, the cloth bunches up between.

    Args:
        points: control points (N, 2).
        wearing: a key of `WORN`.
        shift: further shift down in eye distances.
    """
    span = WORN[wearing]
    out = points.copy()
    if span is None:
        out[:, 1] += shift
        return out
    top, bottom = points[:, 1].min(), points[:, 1].max()
    out[:, 1] = span[0] + shift + (points[:, 1] - top) * (span[1] - span[0]) / (bottom - top)
    return out


def cover_nose(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Pull control points up until they cover the nose tip; the lower edge and masks that cover it do not move.

    Args:
        points: control points (N, 2), the first of them the top centre.
    """
    top, bottom = points[0, 1], points[:, 1].max()
    out = points.copy()
    out[:, 1] -= max(0.0, top - COVERS_NOSE) * np.minimum((bottom - points[:, 1]) / (bottom - top), 1)
    return out


def hug(points: NDArray[np.float64], stand_off: float) -> NDArray[np.float64]:
    """Limit control points to the face's silhouette plus `stand_off` eye distances."""
    out = points.copy()
    limit = jaw_half_width(points[:, 1]) + stand_off
    np.maximum(np.minimum(points[:, 0], limit), -limit, out=out[:, 0])
    return out
