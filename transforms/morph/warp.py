"""Piecewise affine warps: one coordinate map for the whole picture, from a mesh in two shapes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceloom.schemas.errors import PhotoError
from faceloom.transforms.align import NEARLY_ONE
from faceloom.transforms.geometry import apply_affine, compose, invert, scale_of
from faceloom.transforms.morph.mesh import Mesh, Triangles, signed_areas
from faceloom.transforms.types import Image, Matrix, Size

TriangleMap = NDArray[np.uint8]
Coordinates = tuple[NDArray[np.float32], NDArray[np.float32]]

_FINE = 5
"""Bits of a pixel in which corners of triangles are drawn."""


def triangle_map(mesh: Mesh, triangles: Triangles, size: Size) -> TriangleMap:
    """Index of the triangle that each pixel belongs to, uint8 (H, W)."""
    import cv2

    labels = np.zeros(size[::-1], np.uint8)
    corners = np.rint(mesh[triangles] * (1 << _FINE)).astype(np.int32)
    # Edges are drawn too. Slivers come first, so that what they draw outside themselves is drawn over: their affine map
    # is only right inside.
    for number in np.argsort(signed_areas(mesh, triangles), kind="stable").tolist():
        cv2.fillConvexPoly(labels, corners[number], number, cv2.LINE_8, _FINE)
    return labels


def remap_coordinates(
    labels: TriangleMap,
    triangles: Triangles,
    mesh: Mesh,
    source: Mesh,
    *,
    to_image: Matrix | None = None,
    corner: tuple[int, int] = (0, 0),
) -> Coordinates:
    """Source coordinates of each pixel: float32 x and y (H, W), as `cv2.remap` takes them.

    Args:
        labels: of the shape that is made, or of a part of it.
        triangles: of both shapes.
        mesh: vertices of the shape that is made.
        source: vertices of the shape that is read.
        to_image: from the source's frame to the image that is read.
        corner: x, y of the part's first pixel.

    Raises:
        PhotoError: `morph_folds`, when a triangle is too thin to be mapped.
    """
    import cv2

    corners = mesh.astype(np.float64)[triangles] - corner
    square = np.concatenate([corners, np.ones((len(triangles), 3, 1))], axis=2)
    target = source.astype(np.float64) if to_image is None else apply_affine(to_image, source.astype(np.float64))
    tables = np.zeros((2, 3, 256), np.float32)
    try:
        tables[..., : len(triangles)] = np.linalg.solve(square, target[triangles]).transpose(2, 1, 0)
    except np.linalg.LinAlgError:
        raise PhotoError("morph_folds", "a triangle of the mesh has no area") from None
    height, width = labels.shape
    x, y = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)[:, None]
    read_x, read_y = (cv2.LUT(labels, a) * x + cv2.LUT(labels, b) * y + cv2.LUT(labels, c) for a, b, c in tables)
    return read_x, read_y


def shrink_to_frame(image: Image, to_frame: Matrix, size: Size) -> tuple[Image, Matrix]:
    """Shrink a picture until its pixels are about as large as the frame's, so that warping it aliases little.

    Args:
        image: uint8 (H, W, 3).
        to_frame: from its pixels to the frame.
        size: of the frame; all of it may be read.

    Returns:
        The part of the picture that matters, reduced by area where it must be, and the matrix from it to the frame.
    """
    import cv2

    shrink = 1 / scale_of(to_frame)
    if shrink <= NEARLY_ONE:
        return image, to_frame
    width, height = size
    corners = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float64)
    read = apply_affine(invert(to_frame), corners)
    margin = 4 * shrink
    limits = image.shape[1::-1]
    left, top = np.clip(np.floor(read.min(axis=0) - margin), 0, np.array(limits) - 1).astype(int).tolist()
    right, bottom = np.clip(np.ceil(read.max(axis=0) + margin), (left + 1, top + 1), limits).astype(int).tolist()
    part = image[top:bottom, left:right]
    small_size = max(1, round(part.shape[1] / shrink)), max(1, round(part.shape[0] / shrink))
    small = np.asarray(cv2.resize(part, small_size, interpolation=cv2.INTER_AREA), np.uint8)
    # Pixel edges map to pixel edges; both factors are nearly the same, but for rounding.
    across, down = part.shape[1] / small_size[0], part.shape[0] / small_size[1]
    back = np.array([[across, 0, left + (across - 1) / 2], [0, down, top + (down - 1) / 2]])
    return small, compose(to_frame, back)


def sample(image: NDArray[Any], where: Coordinates) -> Image:
    """Sample a picture at coordinates, with cubic interpolation; edge pixels are repeated outside."""
    import cv2

    return np.asarray(cv2.remap(image, *where, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE), np.uint8)
