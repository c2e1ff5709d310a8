"""The same person's face without a mask, put on a photo with one (the third step of Mask2Face 2022)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from faceloom.schemas.errors import PhotoError
from faceloom.transforms.geometry import apply_affine, invert, umeyama
from faceloom.transforms.head_pose import head_pose
from faceloom.transforms.morph.blend import FEATHER, face_hull, feathered, paste
from faceloom.transforms.morph.mesh import Mesh, eye_distance, folded_triangles, triangulate, with_border
from faceloom.transforms.morph.warp import remap_coordinates, sample, shrink_to_frame, triangle_map
from faceloom.transforms.types import BoolMask, Image, Landmarks, Size

SEEN = 48
"""Landmarks before the mouth: a mask hides the mouth, and its landmarks are guesses."""
COLOUR = 0.75
"""Width of the blur that matches light and skin colour, in eye distances, as in the published code."""
COVERED = (*range(2, 15), 28)
"""Landmarks around what a mask hides, if the mask itself is not known: jaw and bridge of the nose."""
ROOM = 0.12
"""How far a mask reaches beyond those landmarks, in eye distances."""


def swap_face(
    photo: Image, landmarks: Landmarks, face: Image, face_landmarks: Landmarks, hidden: BoolMask | None = None
) -> Image:
    """Warp a face to the face of a photo and paste it in the gradient domain.

    The mesh spans the landmarks 0–47 of the photo. Light and skin colour are those of what the mask leaves visible, and
    the paste meets the photo without a jump there. Where the mask reaches beyond the jaw, it stays.

    Args:
        photo: uint8 (H, W, 3), RGB: a face with a mask.
        landmarks: float32 (68, 2) in pixels of `photo`.
        face: uint8, RGB, of any size: the same person without a mask.
        face_landmarks: float32 (68, 2) in pixels of `face`.
        hidden: bool (H, W), where the mask is; by default jaw, mouth and nose.

    Returns:
        uint8 (H, W, 3), RGB. Pixels outside the face are the photo's own.

    Raises:
        PhotoError: `morph_folds`, when the two faces are turned too differently; `crop_outside`, when the face lies
            outside its photo; `degenerate_points`, when it is too thin.
    """
    import cv2

    size = photo.shape[1], photo.shape[0]
    to_photo = umeyama(face_landmarks[:SEEN], landmarks[:SEEN])
    there = apply_affine(to_photo, face_landmarks.astype(np.float64)).astype(np.float32)
    mesh, source = with_border(landmarks[:SEEN].astype(np.float32), size, there[:SEEN])
    triangles = triangulate(mesh)
    if len(folded_triangles(source, triangles)):
        turns = f"{_turn(landmarks)} on the photo, {_turn(face_landmarks)} of the face to put there"
        raise PhotoError("morph_folds", "the two faces are turned too differently to be swapped", value=turns)
    inside = face_hull(landmarks, size)
    left, top, width, height = cv2.boundingRect(inside)
    if not width or not height:
        raise PhotoError("crop_outside", "the face lies outside its picture", value=_nose(landmarks))
    x, y = max(0, left - 1), max(0, top - 1)
    part = np.s_[y : top + height + 1, x : left + width + 1]
    small, small_to_photo = shrink_to_frame(face, to_photo, size)
    labels = triangle_map(mesh, triangles, size)[part]
    where = remap_coordinates(labels, triangles, mesh, source, to_image=invert(small_to_photo), corner=(x, y))
    texture, scale = sample(small, where), eye_distance(mesh)
    covered = (hidden_part(landmarks, size) if hidden is None else hidden)[part]
    under, hull = photo[part], inside[part]
    texture = matched(texture, under, (hull > 0) & ~covered, COLOUR * scale)
    # Under the mask there is nothing to meet: there the paste meets itself, and takes no colour of the mask.
    meets = np.where(covered[..., None], texture, under)
    alpha = feathered(hull, FEATHER * scale)
    pasted = paste(meets, texture, hull, alpha, 1.0)
    result = photo.copy()
    # What the mask hides is shown up to the jaw, the rest fades out.
    share = np.where(covered, np.minimum(1, alpha * 3), alpha)[..., None]
    result[part] = np.rint(under + (pasted.astype(np.float32) - under) * share).clip(0, 255).astype(np.uint8)
    return result


def _turn(landmarks: Landmarks) -> str:
    yaw, pitch, _ = head_pose(landmarks)
    return f"yaw {round(float(yaw))}° and pitch {round(float(pitch))}°"  # `.0f` gives -0


def _nose(landmarks: Landmarks) -> str:
    x, y = landmarks[30].tolist()
    return f"the tip of the nose is at x {x:.0f}, y {y:.0f}"


def hidden_part(landmarks: Mesh, size: Size) -> BoolMask:
    """The part of a face that a usual mask hides, from the bridge of the nose to the jaw: bool (H, W).

    Args:
        landmarks: (68, 2) in pixels.
        size: of the picture.
    """
    import cv2

    drawn = np.zeros(size[::-1], np.uint8)
    corners = cv2.convexHull(landmarks[list(COVERED)].astype(np.float32))
    cv2.fillConvexPoly(drawn, np.rint(corners * 16).astype(np.int32), 255, cv2.LINE_8, 4)
    reach = max(1, round(ROOM * eye_distance(landmarks)))
    return np.asarray(cv2.dilate(drawn, np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)) > 0)


def matched(texture: Image, photo: Image, seen: BoolMask, spread: float) -> Image:
    """Give a face the light and skin colour of a photo: texture · blur(photo) / blur(texture).

    Both blurs look at pixels that are seen in both; elsewhere they continue what is seen nearby.

    Args:
        texture, photo: uint8 (H, W, 3).
        seen: bool (H, W), where both show skin.
        spread: width of the blur in pixels.
    """
    import cv2

    if not seen.any():
        return texture
    weight = seen.astype(np.float32)
    sigma = max(spread / 2, 1)
    blurred: list[NDArray[np.float32]] = []
    for picture in (photo, texture):
        held = picture.astype(np.float32) * weight[..., None]
        near, far = cv2.GaussianBlur(held, (0, 0), sigma), held.sum((0, 1)) / weight.sum()
        share = cv2.GaussianBlur(weight, (0, 0), sigma)[..., None]
        # Far from all that is seen, the mean of it.
        blurred.append(np.asarray((near + 0.05 * far) / (share + 0.05), np.float32))
    gain = np.clip(blurred[0] / np.maximum(blurred[1], 1), 0.25, 4)
    return np.rint(texture * gain).clip(0, 255).astype(np.uint8)
