"""Fitting a mask to a face: a frontal mean face, a thin-plate warp from it to the landmarks, a gate, and a fall-back.

The *mask frame* is a frontal mean face measured in eye distances: origin midway between the eyes, x to the right of the
image, y down; the jaw's ends are near x = ±1.12, the nose tip near y = 0.52, the chin near y = 1.78.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from faceloom.schemas.errors import PhotoError
from faceloom.transforms.geometry import umeyama

Points = NDArray[np.float32]
Floats = NDArray[np.float64]

FACE_WIDTH = 2.24
"""Width of the mean face between landmarks 0 and 16, in eye distances."""

# Half of the mean frontal face, landmarks 8 to 16 of the jaw and the bridge 27..30: rounded means over portraits.
_JAW_HALF = ((0.0, 1.78), (0.29, 1.737), (0.54, 1.58), (0.756, 1.38), (0.917, 1.136), (1.012, 0.863), (1.06, 0.574),
             (1.095, 0.284), (1.12, 0.0))  # fmt: skip
_BRIDGE = ((0.0, -0.035), (0.0, 0.15), (0.0, 0.33), (0.0, 0.518))
# Where the cloth runs free of the face, from the nose tip to the chin; placed by the stand-off, not by a landmark.
_RIDGE = ((0.0, 0.85), (0.0, 1.25))
# A frame far outside the face, placed by the similarity alone: it keeps the warp tame beyond the jaw.
_FRAME = ((-2.2, -1.2), (2.2, -1.2), (-1.9, 3.2), (1.9, 3.2), (0.0, 3.0))

JAW = np.array([(-x, y) for x, y in _JAW_HALF[:0:-1]] + list(_JAW_HALF), np.float64)
"""Landmarks 0..16 of the mean face, mask frame."""
CANONICAL = np.concatenate([JAW, np.array(_BRIDGE), np.array(_RIDGE), np.array(_FRAME)])
_SMOOTHING = 0.015

_PAIRS = np.triu_indices(4, 1)

MIN_ANCHOR_DISTANCE = 0.3
AREA_RANGE = (0.2, 1.2)
"""Warped area over squared face width; 0.28 to 0.60 is usual for a well-fitted surgical mask."""


def _kernel(a: Floats, b: Floats) -> Floats:
    dx, dy = a[:, :1] - b[:, 0], a[:, 1:] - b[:, 1]
    r2: Floats = dx * dx + dy * dy
    out: Floats = r2 * np.log(r2 + 1e-12)
    return out


def _basis(points: Floats, centres: Floats) -> Floats:
    parts: Floats = np.concatenate([_kernel(points, centres), np.ones((len(points), 1)), points], axis=1)
    return parts


@dataclass(frozen=True, eq=False)
class Places:
    """Fixed points (N, 2) of the mask frame; what the warp needs of them is computed once and kept."""

    points: Floats

    @cached_property
    def basis(self) -> Floats:
        """Design matrix over `CANONICAL`."""
        return _basis(self.points, CANONICAL)


def _system(source: Floats) -> Floats:
    n = len(source)
    system = np.zeros((n + 3, n + 3))
    system[:n, :n] = _kernel(source, source) + _SMOOTHING * np.eye(n)
    system[:n, n] = system[n, :n] = 1
    system[:n, n + 1 :] = source
    system[n + 1 :, :n] = source.T
    return system


@lru_cache(maxsize=1)
def _canonical_inverse() -> Floats:
    return np.linalg.inv(_system(CANONICAL)).astype(np.float64)


@dataclass(frozen=True, eq=False)
class ThinPlate:
    """A smoothed thin-plate spline of the plane (Bookstein 1989).

    Attributes:
        centres: (N, 2), after `origin` is taken off and `spread` divided out.
        weights: (N+3, 2).
    """

    centres: Floats
    weights: Floats
    origin: Floats | float = 0.0
    spread: float = 1.0

    def __call__(self, points: NDArray[np.floating]) -> Floats:
        """Map points (M, 2) to float64 (M, 2)."""
        p = (np.asarray(points, np.float64) - self.origin) / self.spread
        mapped: Floats = _basis(p, self.centres) @ self.weights
        return mapped


_GATE_QUAD = Places(np.array([(-0.98, 0.35), (0.98, 0.35), (0.72, 1.4), (-0.72, 1.4)]))


def thin_plate(source: NDArray[np.floating], target: NDArray[np.floating]) -> ThinPlate:
    """The spline that takes `source` (N, 2) to `target` (N, 2), smoothed a little in units of the source's spread."""
    from_, to = np.asarray(source, np.float64), np.asarray(target, np.float64)
    centre, spread = from_.mean(0), float(from_.std())
    inner = np.concatenate([to, np.zeros((3, 2))])
    weights = np.linalg.solve(_system((from_ - centre) / spread), inner)
    return ThinPlate((from_ - centre) / spread, weights, centre, spread)


@dataclass(frozen=True, eq=False)
class FaceFit:
    """How the mask frame lies on one face.

    Attributes:
        matrix: similarity 2x3 from the mask frame to the image.
        unit: one eye distance of the mask frame in pixels.
        yaw: turn of the head in radians, positive towards the image's right.
        kind: `warp` or `similarity`.
        reason: why the warp was refused; empty when it was not.
    """

    matrix: Floats
    unit: float
    yaw: float
    kind: Literal["warp", "similarity"]
    reason: str
    _forward: ThinPlate | None
    _backward: ThinPlate | None

    def to_image(self, points: NDArray[np.floating] | Places) -> Floats:
        """Mask frame (N, 2) to image pixels (N, 2)."""
        if isinstance(points, Places):
            inner: Floats = points.points if self._forward is None else points.basis @ self._forward.weights
        else:
            inner = points.astype(np.float64) if self._forward is None else self._forward(points)
        mapped: Floats = inner @ self.matrix[:, :2].T + self.matrix[:, 2]
        return mapped

    def to_mask(self, points: NDArray[np.floating]) -> Floats:
        """Image pixels (N, 2) to the mask frame (N, 2)."""
        inner = (points - self.matrix[:, 2]) @ np.linalg.inv(self.matrix[:, :2]).T
        return inner if self._backward is None else self._backward(inner)


def head_yaw(landmarks: NDArray[np.floating]) -> float:
    """Turn of the head in radians from 68 points, positive towards the image's right; 0 for a frontal face.

    The nose tip stands about half a face width before the line between the jaw's sides; where it falls between them
    gives the tangent of the angle. Accurate to some 10 degrees, which is enough to decide what a head hides.
    """
    left, right = landmarks[[0, 1, 2]].mean(0), landmarks[[14, 15, 16]].mean(0)
    axis = right - left
    half = float(np.hypot(*axis)) / 2
    if half < 1e-6:
        return 0.0
    offset = float((landmarks[30] - (left + right) / 2) @ axis) / (2 * half * half)
    return math.atan(1.1 * offset)


def area(polygon: NDArray[np.floating]) -> float:
    """Unsigned area of a polygon (N, 2)."""
    x, y = polygon[:, 0].astype(np.float64), polygon[:, 1].astype(np.float64)
    return abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2


def gate(quad: NDArray[np.floating], covered: float, width: float) -> str:
    """Why a warp must be refused, or an empty string.

    Args:
        quad: the four corners of a worn mask in the image, in order.
        covered: area of the warped mask, square pixels.
        width: width of the face, pixels.
    """
    if not np.isfinite(quad).all() or not math.isfinite(covered):
        return "not_finite"
    gaps = np.hypot(*(quad[:, None] - quad[None])[_PAIRS].T)
    if gaps.min() < MIN_ANCHOR_DISTANCE * width:
        return "anchors_too_close"
    edges = np.roll(quad, -1, axis=0) - quad
    following = np.roll(edges, -1, axis=0)
    turn = edges[:, 0] * following[:, 1] - edges[:, 1] * following[:, 0]
    if not (turn > 0).all():  # clockwise to the eye; a mirrored quad is refused too
        return "not_convex"
    if not AREA_RANGE[0] <= covered / width**2 <= AREA_RANGE[1]:
        return "area"
    return ""


def fit_face(landmarks: NDArray[np.floating], outline: Places, stand_off: float = 0.1) -> FaceFit:
    """Lay the mask frame on a face: thin-plate warp to jaw and nose, else the similarity on landmarks 1, 29, 15, 8.

    Args:
        landmarks: (68, 2) x, y pixels.
        outline: the mask as worn correctly; its warped area is gated.
        stand_off: how far the mask stands before the mouth, in eye distances; seen only when the head is turned.

    Raises:
        PhotoError: `mask_fit`, when no sane placement exists.
    """
    points = np.asarray(landmarks, np.float64)
    if points.shape != (68, 2) or not np.isfinite(points).all():
        raise PhotoError("mask_fit", "a mask needs 68 finite landmarks", value=points.shape)
    anchors = np.concatenate([points[:17], points[27:31]])
    try:
        matrix = umeyama(CANONICAL[: len(anchors)], anchors)
    except PhotoError as error:
        raise PhotoError("mask_fit", "the landmarks coincide: no mask can be fitted") from error
    unit = float(np.hypot(*matrix[:, 0]))
    yaw = head_yaw(points)
    inverse = np.linalg.inv(matrix[:, :2])
    inner = (anchors - matrix[:, 2]) @ inverse.T
    nose, chin = inner[20], inner[8]
    share = (np.array(_RIDGE)[:, 1:] - 0.518) / (1.78 - 0.518)
    beyond = np.array([0.12 + stand_off, 0.06 + stand_off]) * math.sin(yaw)
    ridge = nose + share * (chin - nose) + np.stack([beyond, 0 * beyond], 1)
    target = np.concatenate([inner, ridge, np.array(_FRAME)])
    rhs = np.concatenate([target, np.zeros((3, 2))])
    forward = ThinPlate(CANONICAL, _canonical_inverse() @ rhs)
    try:
        unfolded = _unfold(target, yaw)
        back = np.linalg.solve(_system(unfolded), np.concatenate([CANONICAL, np.zeros((3, 2))]))
    except np.linalg.LinAlgError:
        back = np.full((len(target) + 3, 2), np.nan)
    warp = FaceFit(matrix, unit, yaw, "warp", "", forward, ThinPlate(unfolded, back))
    width = FACE_WIDTH * unit
    reason = gate(warp.to_image(_GATE_QUAD), area(warp.to_image(outline)), width)
    if not reason and not np.isfinite(back).all():
        reason = "not_invertible"
    if not reason:
        return warp
    return _similarity(points, yaw, reason)


def _unfold(target: Floats, yaw: float) -> Floats:
    """Keep nose and ridge this side of the far cheek, so that the backward map has one answer everywhere.

    On a strongly turned head they hide part of that cheek; the cloth that spans the two is squeezed into a strip.
    """
    out = target.copy()
    side = 1.0 if yaw > 0 else -1.0
    far = target[16:8:-1] if yaw > 0 else target[0:8]
    centre = out[17 : 17 + len(_BRIDGE) + len(_RIDGE)]
    limit = np.interp(centre[:, 1], far[:, 1], side * far[:, 0]) - 0.2
    centre[:, 0] = side * np.minimum(side * centre[:, 0], limit)
    return out


def _similarity(points: Floats, yaw: float, reason: str) -> FaceFit:
    chosen = [1, 29, 15, 8]
    source = np.array([JAW[1], _BRIDGE[2], JAW[15], JAW[8]])
    try:
        matrix = umeyama(source, points[chosen])
    except PhotoError as error:
        raise PhotoError("mask_fit", "the landmarks coincide: no mask can be fitted") from error
    unit = float(np.hypot(*matrix[:, 0]))
    fallen = FaceFit(matrix, unit, yaw, "similarity", reason, None, None)
    off = np.hypot(*(fallen.to_image(source) - points[chosen]).T)
    # Landmarks a third of a face off the mean shape are no face.
    if unit < 2 or off.max() > 0.35 * FACE_WIDTH * unit:
        raise PhotoError("mask_fit", "the landmarks have no face's shape: no mask can be fitted", value=reason)
    return fallen
