"""Similarities and affine maps of the plane, as 2x3 matrices.

Points are arrays (N, 2) of x, y in pixels; integer coordinates are pixel centres, x runs right and y down. A matrix M
maps a point p to M[:, :2] @ p + M[:, 2], the convention of `cv2.warpAffine` before it inverts.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from faceloom.schemas.errors import PhotoError
from faceloom.transforms.types import Matrix, Point, Points


def umeyama(src: npt.ArrayLike, dst: npt.ArrayLike) -> Matrix:
    """Least-squares similarity (rotation, uniform positive scale, shift; no reflection) from `src` to `dst`.

    Umeyama, "Least-squares estimation of transformation parameters between two point patterns", PAMI 1991. In the
    plane, rotation with scale is multiplication by one complex number; its least-squares solution is a quotient.

    Args:
        src: points (N, 2), N >= 2, not all the same.
        dst: points (N, 2).

    Returns:
        Matrix 2x3.

    Raises:
        PhotoError: `degenerate_points`, when the points fix no similarity.
    """
    # Rows x, y read as x + iy.
    source, target = (np.ascontiguousarray(points, np.float64).view(np.complex128)[:, 0] for points in (src, dst))
    source_centre, target_centre = complex(source.sum()) / len(source), complex(target.sum()) / len(target)
    source = source - source_centre
    spread, product = float(np.vdot(source, source).real), complex(np.vdot(source, target - target_centre))
    if not (spread > 0 and abs(product) > 1e-12 * spread and math.isfinite(abs(product))):
        raise PhotoError("degenerate_points", "the points coincide or are not finite, so no alignment can be computed")
    factor = product / spread
    src_centre, dst_centre = (source_centre.real, source_centre.imag), (target_centre.real, target_centre.imag)
    return similarity(float(abs(factor)), math.atan2(factor.imag, factor.real), src_centre, dst_centre)


def similarity(scale: float, angle: float, src: Point = (0, 0), dst: Point = (0, 0)) -> Matrix:
    """Scale, and rotate by `angle` radians (from x towards y, clockwise on screen), such that `src` maps to `dst`."""
    cos, sin = scale * math.cos(angle), scale * math.sin(angle)
    (x, y), (to_x, to_y) = src, dst
    return np.array([[cos, -sin, to_x - cos * x + sin * y], [sin, cos, to_y - sin * x - cos * y]], np.float64)


def rotate(angle: float, centre: Point = (0, 0)) -> Matrix:
    """Rotation by `angle` radians about `centre` (from x towards y)."""
    return similarity(1, angle, centre, centre)


def translate(x: float, y: float) -> Matrix:
    """Shift by x, y pixels."""
    return similarity(1, 0, dst=(x, y))


def scale_about_corner(factor: float) -> Matrix:
    """Scale a picture's frame by `factor`: pixel edges map to pixel edges, so (-0.5, -0.5) is fixed."""
    return similarity(factor, 0, (-0.5, -0.5), (-0.5, -0.5))


def apply_affine(matrix: Matrix, points: Points) -> Points:
    """Map points (N, 2); a float32 array gives float32, anything else float64."""
    mapped = np.asarray(points) @ matrix[:, :2].T + matrix[:, 2]
    return mapped.astype(np.float32) if points.dtype == np.float32 else mapped


def compose(second: Matrix, first: Matrix) -> Matrix:
    """The map that applies `first`, then `second`."""
    product: Matrix = second[:, :2] @ first
    product[:, 2] += second[:, 2]
    return product


def invert(matrix: Matrix) -> Matrix:
    """The inverse map.

    Raises:
        PhotoError: `degenerate_points`, when the matrix flattens the plane.
    """
    (a, b, x), (c, d, y) = matrix.tolist()
    determinant = a * d - b * c
    if not abs(determinant) > 1e-18:
        raise PhotoError("degenerate_points", "an alignment that flattens the picture cannot be undone")
    return np.asarray(np.array([[d, -b, b * y - d * x], [-c, a, c * x - a * y]]) / determinant, np.float64)


def scale_of(matrix: Matrix) -> float:
    """Length factor of the map: the square root of its area factor (exact for similarities)."""
    (a, b, _), (c, d, _) = matrix.tolist()
    return math.sqrt(abs(a * d - b * c))
