"""One morph of two faces."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from faceloom.schemas.errors import PhotoError
from faceloom.transforms.geometry import apply_affine, invert
from faceloom.transforms.morph.blend import FEATHER, TONE, face_hull, feathered, mix, paste
from faceloom.transforms.morph.mesh import close_lips, eye_distance, folded_triangles, triangulate, with_border
from faceloom.transforms.morph.warp import Coordinates, remap_coordinates, sample, shrink_to_frame, triangle_map
from faceloom.transforms.types import Image, Landmarks, Matrix

Background = Literal["target", "gradient"]


@dataclass(frozen=True, eq=False)
class Morphed:
    """A morph.

    Attributes:
        image: uint8 (H, W, 3), RGB, the size of the target.
        landmarks: float32 (68, 2) of the morphed face, pixels of `image`.
        read_from: x and y (H, W), float32: source coordinates of each pixel in the target, so that labels of the
            target can be moved with its pixels; None if the shape is the target's own.
    """

    image: Image
    landmarks: Landmarks
    read_from: Coordinates | None = None


def morph_faces(
    image: Image,
    landmarks: Landmarks,
    other: Image,
    other_landmarks: Landmarks,
    other_to_frame: Matrix,
    *,
    shape_weight: float = 0.5,
    texture_weight: float = 0.5,
    background: Background = "target",
) -> Morphed:
    """Warp two faces to a shape between theirs and mix them on the first one's picture.

    Anti-Mask (2022) after Cole et al. (arXiv 1701.04851): shape and texture are interpolated linearly, each with its
    own weight. Texture is mixed inside the face only, and keeps the target's light and skin colour.

    Args:
        image: the target, uint8 (H, W, 3), RGB: its frame, background and hair are the morph's.
        landmarks: float32 (68, 2) in pixels of `image`.
        other: the neighbour, uint8, RGB: its own crop or photo, of any size.
        other_landmarks: float32 (68, 2) in pixels of `other`.
        other_to_frame: 2x3, from pixels of `other` to pixels of `image`.
        shape_weight: of the other's landmarks, 0..1.
        texture_weight: of the other's picture, 0..1.
        background: `target` adds features to the target's own light; `gradient` pastes the mixed face in the gradient
            domain.

    Raises:
        PhotoError: `morph_folds`, when a mesh over both faces would fold over itself.
    """
    import cv2

    size = image.shape[1], image.shape[0]
    here = close_lips(landmarks)
    there = close_lips(apply_affine(other_to_frame, other_landmarks.astype(np.float64)))
    between = here + np.float32(shape_weight) * (there - here)
    mesh_here, mesh_there = with_border(here, size, there)
    mesh = mesh_here + np.float32(shape_weight) * (mesh_there - mesh_here)
    triangles = triangulate(mesh)
    for name, vertices in (("the face", mesh_here), ("its neighbour", mesh_there)):
        if len(folded := folded_triangles(vertices, triangles)):
            corners = [triangles[number].tolist() for number in folded[:3]]
            raise PhotoError("morph_folds", f"the mesh between two faces folds over in {name}", value=corners)
    labels = triangle_map(mesh, triangles, size)
    read_from = remap_coordinates(labels, triangles, mesh, mesh_here) if shape_weight else None
    result = image.copy() if read_from is None else sample(image, read_from)
    inside = face_hull(between, size)
    left, top, width, height = cv2.boundingRect(inside)
    if not width:
        raise PhotoError("crop_outside", "the face to morph lies outside its picture", value=between[30].tolist())
    # The other face is only needed inside the hull; one more pixel around it tells its edge from the picture's.
    x, y = max(0, left - 1), max(0, top - 1)
    part = np.s_[y : top + height + 1, x : left + width + 1]
    small, small_to_frame = shrink_to_frame(other, other_to_frame, size)
    where = remap_coordinates(labels[part], triangles, mesh, mesh_there, to_image=invert(small_to_frame), corner=(x, y))
    texture, scale = sample(small, where), eye_distance(between)
    alpha = feathered(inside[part], FEATHER * scale)
    if background == "gradient":
        result[part] = paste(result[part], texture, inside[part], alpha, texture_weight)
    else:
        result[part] = mix(result[part], texture, alpha, texture_weight, TONE * scale)
    return Morphed(result, between, read_from)
