"""Fitting a mask to a face: a frontal mean face, a thin-plate warp from it to the landmarks, a gate, and a fall-back.

The *mask frame* is a frontal mean face measured in eye distances: origin midway between the eyes, x to the right of the
image, y down; the jaw's ends are near x = ±1.12, the nose tip near y = 0.52, the chin near y = 1.78.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import combinations
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from faceloom.schemas.errors import PhotoError
from faceloom.transforms.geometry import apply_affine, invert, scale_of, umeyama
from faceloom.transforms.head_pose import jaw_yaw

Floats = NDArray[np.float64]

FACE_WIDTH = 2.24
"""Width of the mean face between landmarks 0 and 16, in eye distances."""

# Half of the mean frontal face, landmarks 8 to 16 of the jaw and the bridge 27..30: rounded means over portraits.
_JAW_HALF = ((0.0, 1.78), (0.29, 1.737), (0.54, 1.58), (0.756, 1.38), (0.917, 1.136), (1.012, 0.863), (1.06, 0.574),
             (1.095, 0.284), (1.12, 0.0))  # fmt: skip
_BRIDGE = ((0.0, -0.035), (0.0, 0.15), (0.0, 0.33), (0.0, 0.518))
# Points of the cloth away from the face, from nose tip to chin; the stand-off places them, not a landmark.
_RIDGE = ((0.0, 0.85), (0.0, 1.25))
# A frame far outside the face, placed by the similarity alone: it keeps the warp stable beyond the jaw.
_FRAME = ((-2.2, -1.2), (2.2, -1.2), (-1.9, 3.2), (1.9, 3.2), (0.0, 3.0))

JAW = np.array([(-x, y) for x, y in _JAW_HALF[:0:-1]] + list(_JAW_HALF), np.float64)
"""Landmarks 0..16 of the mean face, mask frame."""
CANONICAL = np.concatenate([JAW, np.array(_BRIDGE), np.array(_RIDGE), np.array(_FRAME)])
_CANONICAL_RIGHT = np.concatenate([CANONICAL, np.zeros((3, 2))])
_SMOOTHING = 0.015

_ANCHORS = [*range(17), *range(27, 31)]
# Position of each ridge point between nose tip and chin, and its sideways shift on a turned head.
_RIDGE_SHARE = (np.array(_RIDGE)[:, 1:] - 0.518) / (1.78 - 0.518)
_RIDGE_BEYOND = np.array([0.12, 0.06])

RIDGE_LIMIT = 0.04
"""How far the ridge of the cloth reaches sideways beyond the nose tip, in eye distances."""
MIN_ANCHOR_DISTANCE = 0.3
AREA_RANGE = (0.2, 1.2)
"""Warped area over squared face width; 0.28 to 0.60 is usual for a well-fitted surgical mask."""


_TINY = {np.dtype(np.float64): np.float64(1e-12), np.dtype(np.float32): np.float32(1e-12)}


def _kernel(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    dx, dy = a[:, :1] - b[:, 0], a[:, 1:] - b[:, 1]
    r2 = dx * dx + dy * dy
    out: NDArray[Any] = np.log(r2 + _TINY[r2.dtype])
    out *= r2
    return out


def _basis(points: NDArray[Any], centres: NDArray[Any]) -> NDArray[Any]:
    out = np.empty((len(points), len(centres) + 3), points.dtype)
    out[:, :-3] = _kernel(points, centres)
    out[:, -3] = 1
    out[:, -2:] = points
    return out


@dataclass(frozen=True, eq=False)
class FixedPoints:
    """Fixed points (N, 2) of the mask frame; their warp basis is computed once and cached."""

    points: Floats

    @cached_property
    def basis(self) -> Floats:
        """Design matrix over `CANONICAL`."""
        return _basis(self.points, CANONICAL)


def _system(source: Floats) -> Floats:
    n = len(source)
    system = np.zeros((n + 3, n + 3))
    system[:n] = _basis(source, source)
    system[n:, :n] = system[:n, n:].T
    system.ravel()[: n * (n + 3) : n + 4] += _SMOOTHING  # the diagonal of the kernel
    return system


@lru_cache(maxsize=1)
def _canonical_inverse() -> Floats:
    return np.linalg.inv(_system(CANONICAL)).astype(np.float64)


@dataclass(frozen=True, eq=False)
class ThinPlate:
    """A smoothed thin-plate spline of the plane (Bookstein 1989).

    Attributes:
        centres: (N, 2), minus `origin` and divided by `spread`.
        weights: (N+3, 2).
    """

    centres: Floats
    weights: Floats
    origin: Floats | float = 0.0
    spread: float = 1.0

    def __call__(self, points: NDArray[np.floating]) -> Floats:
        """Map points (M, 2) to (M, 2), float32 for float32 (five times as fast, accurate to 1e-4), else float64."""
        kind = points.dtype if points.dtype == np.float32 else np.dtype(np.float64)
        p = ((points - self.origin) / self.spread).astype(kind, copy=False)
        mapped: Floats = _basis(p, self.centres.astype(kind, copy=False)) @ self.weights.astype(kind, copy=False)
        return mapped


_GATE_QUAD = FixedPoints(np.array([(-0.98, 0.35), (0.98, 0.35), (0.72, 1.4), (-0.72, 1.4)]))


def thin_plate(source: NDArray[np.floating], target: NDArray[np.floating]) -> ThinPlate:
    """The spline that takes `source` (N, 2) to `target` (N, 2), smoothed a little in units of the source's spread."""
    from_, to = np.asarray(source, np.float64), np.asarray(target, np.float64)
    centre, spread = from_.mean(0), float(from_.std())
    inner = np.concatenate([to, np.zeros((3, 2))])
    weights = np.linalg.solve(_system((from_ - centre) / spread), inner)
    return ThinPlate((from_ - centre) / spread, weights, centre, spread)


@dataclass(frozen=True, eq=False)
class FaceFit:
    """The map from the mask frame to one face.

    Attributes:
        matrix: similarity 2x3 from the mask frame to the image.
        unit: one eye distance of the mask frame in pixels.
        yaw: rotation of the head in radians, positive towards the image's right.
        kind: `warp` or `similarity`.
        reason: why the warp was refused; empty if it was used.
    """

    matrix: Floats
    unit: float
    yaw: float
    kind: Literal["warp", "similarity"]
    reason: str
    _forward: ThinPlate | None
    _backward: ThinPlate | None

    def to_image(self, points: NDArray[np.floating] | FixedPoints) -> Floats:
        """Mask frame (N, 2) to image pixels (N, 2)."""
        if isinstance(points, FixedPoints):
            inner: Floats = points.points if self._forward is None else points.basis @ self._forward.weights
        else:
            inner = np.asarray(points, np.float64) if self._forward is None else self._forward(points)
        mapped: Floats = inner @ self.matrix[:, :2].T + self.matrix[:, 2]
        return mapped

    def to_mask(self, points: NDArray[np.floating]) -> NDArray[np.floating]:
        """Image pixels (N, 2) to the mask frame (N, 2). Float32 points are mapped in float32 if that is precise."""
        inner = apply_affine(invert(self.matrix), points)
        return inner if self._backward is None else self._backward(inner)


def area(polygon: NDArray[np.floating]) -> float:
    """Unsigned area of a polygon (N, 2)."""
    x, y = polygon[:, 0].astype(np.float64), polygon[:, 1].astype(np.float64)
    open_ = x[:-1] @ y[1:] - y[:-1] @ x[1:]
    return abs(float(open_ + x[-1] * y[0] - y[-1] * x[0])) / 2


def gate(quad: NDArray[np.floating], covered: float, width: float) -> str:
    """The reason to refuse a warp, or an empty string.

    Args:
        quad: the four corners of a worn mask in the image, in order.
        covered: area of the warped mask, square pixels.
        width: width of the face, pixels.
    """
    corners = quad.tolist()
    if not all(map(math.isfinite, (covered, *corners[0], *corners[1], *corners[2], *corners[3]))):
        return "not_finite"
    if min(math.dist(one, other) for one, other in combinations(corners, 2)) < MIN_ANCHOR_DISTANCE * width:
        return "anchors_too_close"
    for number, (x, y) in enumerate(corners):
        (x1, y1), (x2, y2) = corners[number - 3], corners[number - 2]  # the next two
        if (x1 - x) * (y2 - y1) <= (y1 - y) * (x2 - x1):  # clockwise to the eye; a mirrored quad is refused too
            return "not_convex"
    if not AREA_RANGE[0] <= covered / width**2 <= AREA_RANGE[1]:
        return "area"
    return ""


def fit_face(landmarks: NDArray[np.floating], outline: FixedPoints, stand_off: float = 0.1) -> FaceFit:
    """Lay the mask frame on a face: thin-plate warp to jaw and nose, else the similarity on landmarks 1, 29, 15, 8.

    Args:
        landmarks: (68, 2) x, y pixels.
        outline: the mask as worn correctly; its warped area is gated.
        stand_off: distance of the mask from the mouth, in eye distances; visible only on a turned head.

    Raises:
        PhotoError: `mask_fit`, if no plausible placement exists.
    """
    import cv2

    points = np.asarray(landmarks, np.float64)
    if points.shape != (68, 2) or not np.isfinite(points).all():
        raise PhotoError("mask_fit", "a mask needs 68 finite landmarks", value=points.shape)
    anchors = points[_ANCHORS]
    try:
        matrix = umeyama(CANONICAL[: len(anchors)], anchors)
    except PhotoError as error:
        raise PhotoError("mask_fit", "the landmarks coincide, so no mask can be fitted") from error
    unit = scale_of(matrix)
    yaw = jaw_yaw(points)
    target = CANONICAL.copy()  # the frame stays
    target[:21] = apply_affine(invert(matrix), anchors)
    nose, chin = target[20], target[8]
    target[21:23] = nose + _RIDGE_SHARE * (chin - nose)
    target[21:23, 0] += (_RIDGE_BEYOND + stand_off) * math.sin(yaw)
    # Seen from the side, cloth lies on the tip of the nose: the ridge does not stand out from it.
    side = math.copysign(1, yaw)
    target[21:23, 0] = side * np.minimum(side * target[21:23, 0], side * nose[0] + RIDGE_LIMIT)
    forward = ThinPlate(CANONICAL, _canonical_inverse()[:, : len(target)] @ target)
    unfolded = _unfold(target, yaw)
    solved, back = cv2.solve(_system(unfolded), _CANONICAL_RIGHT)
    warp = FaceFit(matrix, unit, yaw, "warp", "", forward, ThinPlate(unfolded, back))
    width = FACE_WIDTH * unit
    reason = gate(warp.to_image(_GATE_QUAD), area(warp.to_image(outline)), width)
    if not reason and not (solved and np.isfinite(back).all()):
        reason = "not_invertible"
    if not reason:
        return warp
    return _similarity(points, yaw, reason)


def _unfold(target: Floats, yaw: float) -> Floats:
    """Keep nose and ridge on this side of the far cheek, so that the backward map is unique.

    On a strongly turned head they hide part of that cheek; the cloth between them is squeezed into a strip.
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
        raise PhotoError("mask_fit", "the landmarks coincide, so no mask can be fitted") from error
    unit = float(np.hypot(*matrix[:, 0]))
    fallen = FaceFit(matrix, unit, yaw, "similarity", reason, None, None)
    off = np.hypot(*(fallen.to_image(source) - points[chosen]).T)
    # Landmarks a third of a face off the mean shape do not form a face.
    if unit < 2 or off.max() > 0.35 * FACE_WIDTH * unit:
        raise PhotoError("mask_fit", "the landmarks do not form a face, so no mask can be fitted", value=reason)
    return fallen
