"""Triangle meshes over the 68 landmarks and the border of a picture, and a check for folds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from faceloom.schemas.errors import PhotoError
from faceloom.transforms.align import five_points
from faceloom.transforms.memory import is_memory_fault
from faceloom.transforms.types import Size

Mesh = NDArray[np.float32]
"""Vertices (68 + B, 2): the landmarks, then points of the border; x and y in pixels."""
Triangles = NDArray[np.intp]
"""Numbers of vertices (T, 3), all turning the same way."""

SLACK = 0.02
"""Tolerance for inverted triangles in eye distances: the precision of landmarks."""

MARGIN = 0.25
"""Distance of the border from the picture, in its longer sides. Chins near an edge would fold the mesh otherwise."""

FARTHEST = 1e6
"""Limit on coordinates in pixels: OpenCV's triangulation works in float32."""

_LIPS = (61, 67), (62, 66), (63, 65)
"""Upper and lower edge of the mouth's opening, one above the other."""


def close_lips(landmarks: NDArray[np.floating]) -> Mesh:
    """Merge the edges of a closed mouth where the landmarks cross.

    Args:
        landmarks: (68, 2), x and y.

    Returns:
        float32 (68, 2).
    """
    points = landmarks.astype(np.float32)
    # Down is from the bridge of the nose to the chin, so that tilted heads have their own.
    down = points[8] - points[27]
    for upper, lower in _LIPS:
        if (points[lower] - points[upper]) @ down < 0:
            points[upper] = points[lower] = (points[upper] + points[lower]) / 2
    return points


def with_border(landmarks: Mesh, size: Size, also: Mesh | None = None) -> tuple[Mesh, Mesh]:
    """Landmarks of one or two faces in one frame, each followed by the same points of its border.

    The border runs around the picture and the landmarks at some distance: what lies between moves with the face, less
    and less towards the border.

    Args:
        landmarks: (68, 2) in pixels of the frame.
        size: of the frame.
        also: landmarks of the other face.

    Returns:
        Both with the eight border points; the first twice if there is no other.
    """
    also = landmarks if also is None else also
    everything = np.concatenate([landmarks, also])
    room = MARGIN * max(size)
    low = np.floor(np.minimum(0, everything.min(axis=0)) - room)
    high = np.ceil(np.maximum(size, everything.max(axis=0)) + room)
    (x0, y0), (x1, y1) = low, high
    x, y = (x0 + x1) / 2, (y0 + y1) / 2
    border = np.array([(x0, y0), (x, y0), (x1, y0), (x1, y), (x1, y1), (x, y1), (x0, y1), (x0, y)], np.float32)
    return np.concatenate([landmarks, border]), np.concatenate([also, border])


def triangulate(mesh: Mesh) -> Triangles:
    """The Delaunay triangulation of the vertices, always the same for the same vertices.

    Vertices at the same place count as the last of them.

    Returns:
        (T, 3), each triangle turning the same way, in a fixed order.

    Raises:
        PhotoError: `morph_folds`, when vertices are not finite or too far apart for a triangulation.
    """
    import cv2

    if not np.abs(mesh).max() <= FARTHEST:
        raise PhotoError("morph_folds", "vertices that are not finite or far away make no mesh")
    (x0, y0), (x1, y1) = np.floor(mesh.min(axis=0)) - 1, np.ceil(mesh.max(axis=0)) + 1
    plane = cv2.Subdiv2D((int(x0), int(y0), int(x1 - x0) + 1, int(y1 - y0) + 1))
    try:
        plane.insert(mesh.tolist())
    except cv2.error as error:
        if is_memory_fault(error):
            raise MemoryError(str(error)) from None
        raise PhotoError("morph_folds", "the vertices make no mesh", value=error.err) from None
    number = {tuple(point): place for place, point in enumerate(mesh.tolist())}
    corners = np.asarray(plane.getTriangleList()).reshape(-1, 3, 2).tolist()
    found = [[number.get(tuple(corner), -1) for corner in triangle] for triangle in corners]
    triangles = np.array([triangle for triangle in found if min(triangle) >= 0], np.intp).reshape(-1, 3)
    backwards = signed_areas(mesh, triangles) < 0
    triangles[backwards] = triangles[backwards, ::-1]
    triangles = triangles[signed_areas(mesh, triangles) > 0]
    if not len(triangles):
        raise PhotoError("morph_folds", "the vertices make no mesh")
    return triangles


def signed_areas(mesh: Mesh, triangles: Triangles) -> NDArray[np.float64]:
    """Areas in square pixels, negative where a triangle is turned over."""
    a, b, c = mesh.astype(np.float64)[triangles].transpose(1, 0, 2)
    (ux, uy), (vx, vy) = (b - a).T, (c - a).T
    return np.asarray((ux * vy - uy * vx) / 2)


def folded_triangles(mesh: Mesh, triangles: Triangles) -> NDArray[np.intp]:
    """Triangles that another shape of the mesh inverts by more than `SLACK` eye distances.

    Args:
        mesh: vertices in the other shape.
        triangles: of the shape in which all turn the same way.
    """
    corners = mesh.astype(np.float64)[triangles]
    sides = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2)
    depth = -2 * signed_areas(mesh, triangles) / np.maximum(sides.max(axis=1), 1e-9)
    return np.flatnonzero(depth > SLACK * eye_distance(mesh))


def eye_distance(landmarks: Mesh) -> float:
    """Distance of the eye centres in pixels."""
    left, right = five_points(landmarks)[:2]
    return float(np.hypot(*(right - left)))
