"""Face textures: the pictures whose difference is part of the distance between two faces."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from faceloom.schemas.errors import PhotoError
from faceloom.transforms.morph.mesh import close_lips, folded_triangles, triangulate, with_border
from faceloom.transforms.morph.warp import remap_coordinates, sample, triangle_map
from faceloom.transforms.types import Image, Landmarks


def mean_shape(landmarks: Iterable[NDArray[np.floating]]) -> Landmarks:
    """The mean landmarks of a set of faces, summed in the order given.

    Args:
        landmarks: (68, 2) each, pixels of crops of one size.

    Returns:
        float32 (68, 2).
    """
    total, count = np.zeros((68, 2)), 0
    for face in landmarks:
        total += face
        count += 1
    return (total / max(count, 1)).astype(np.float32)


def mean_shape_texture(crop: Image, landmarks: Landmarks, mean: Landmarks) -> Image:
    """The face of a crop warped to the mean landmarks, black outside their hull (Cole et al. 2017).

    Two such textures differ by the look of the faces, not by shape, hair or background.

    Args:
        crop: uint8 (H, W, 3), RGB.
        landmarks: (68, 2), pixels of the crop.
        mean: (68, 2), of the set that is compared.

    Returns:
        uint8 (H, W, 3), RGB.

    Raises:
        PhotoError: `morph_folds`, when the face cannot be warped to the mean without folding over.
    """
    import cv2

    size = crop.shape[1], crop.shape[0]
    target, source = with_border(close_lips(mean), size, close_lips(landmarks))
    triangles = triangulate(target)
    if len(folded := folded_triangles(source, triangles)):
        corners = [triangles[number].tolist() for number in folded[:3]]
        raise PhotoError("morph_folds", "the face folds over when it is warped to the mean face", value=corners)
    warped = sample(crop, remap_coordinates(triangle_map(target, triangles, size), triangles, target, source))
    inside = np.zeros(crop.shape[:2], np.uint8)
    cv2.fillConvexPoly(inside, np.rint(cv2.convexHull(target[:68]) * 16).astype(np.int32), 1, cv2.LINE_8, 4)
    return warped * inside[..., None]
