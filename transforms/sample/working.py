"""The working picture: the part of a photo that the crop of one face needs, and the position of the crop in it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from pydantic import JsonValue

from faceloom.schemas.errors import PhotoError
from faceloom.schemas.plan import PlannedFace
from faceloom.schemas.recipe import Recipe
from faceloom.transforms.align import (
    arcface_matrix,
    eye_level_matrix,
    from_reduced,
    source_region,
    whole_photo_matrix,
)
from faceloom.transforms.box_alignment import box_aligned_matrix, box_matrix, share_outside
from faceloom.transforms.decode import to_reduced_frame
from faceloom.transforms.detect import FaceBox
from faceloom.transforms.geometry import apply_affine, compose, invert, translate
from faceloom.transforms.masks.real import MaskedPhoto
from faceloom.transforms.types import Grey, Image, Landmarks, Matrix, Points, Region, Size

MASK_REACH = 0.6
"""Margin around the landmarks, or the box, for a mask, its straps and its shadow, in sizes of their extent."""

FARTHEST = 100
"""Limit on coordinates of landmarks, in widths plus heights of the photo."""

MORPH_SLACK = 0.1
"""Maximum offset of a morph's crop from that of its first face, in sizes of the crop."""


@dataclass(frozen=True, slots=True)
class Working:
    """The part of a photo that the crop of one face needs, possibly decoded at a reduced size.

    Attributes:
        image: uint8 (H, W, 3), RGB.
        landmarks: (68, 2) in pixels of `image`; None without trusted landmarks.
        box: of the face, in pixels of `image`; the whole photo if no face was found.
        matrix: `image` to crop, 2x3.
        matrix_photo: upright photo to crop, 2x3.
        photo_size: (width, height) of the upright photo.
        landmarks_crop: (68, 2) in pixels of the crop; None if `landmarks` is.
        alignment: its record in the samples.
        whole: whether no face was found, so that the whole photo is taken for one.
        five: (5, 2), the source's own points in pixels of `image`; None without them. They align the face.
        read_from: for a morph, the position in the unmixed picture that each pixel of `image` comes from, as the
            x and y maps of `cv2.remap`; None if all pixels keep their place.
        front: uint8 (H, W) as `image`, 0..255: share of each pixel that stays in front of masks; None if none does.
        pair: the photo of the face with a mask, as `image`, or why there is none; None if no mask needs it.
        labelling: record of its labels in the samples; None if they change nothing but a guide.
        extended: whether `image` goes on beyond the photo as its mirror image, see `beyond_photo`.
    """

    image: Image
    landmarks: Landmarks | None
    box: FaceBox
    matrix: Matrix
    matrix_photo: Matrix
    photo_size: tuple[int, int]
    landmarks_crop: Landmarks | None
    alignment: dict[str, JsonValue]
    whole: bool = False
    five: Points | None = None
    read_from: tuple[Landmarks, Landmarks] | None = None
    front: Grey | None = None
    labelling: dict[str, JsonValue] | None = None
    pair: MaskedPhoto | PhotoError | None = None
    extended: bool = False


def landmarks_of(face: PlannedFace) -> Landmarks | None:
    """The face's landmarks (68, 2), pixels of the upright photo; None if no face was found there.

    Raises:
        PhotoError: `degenerate_points`, if one is not finite or so far away that outlines would take all memory.
    """
    return _near(np.frombuffer(face.landmarks, np.float32).reshape(68, 2), face) if face.landmarks else None


def _five_of(face: PlannedFace) -> Points | None:
    """The five points of the source (5, 2), pixels of the upright photo; None if it gives none. Raises as above."""
    return _near(np.frombuffer(face.five, np.float32).reshape(5, 2), face) if face.five else None


def _near(points: Landmarks, face: PlannedFace) -> Landmarks:
    if not np.abs(points).max() <= FARTHEST * (face.width + face.height):
        raise PhotoError("degenerate_points", "landmarks that are not finite or lie far outside the photo make no face")
    return points


def crop_matrix(recipe: Recipe, face: PlannedFace) -> Matrix:
    """The 2x3 matrix from the upright photo to the crop of the recipe.

    A photo that is already an ArcFace crop is only scaled: aligning it again by predicted landmarks would shift it by a
    pixel without benefit. A face without trusted landmarks is aligned by its box, and a photo without a detected face
    is used whole. Five points of the source align the face, if it gives them.

    Raises:
        PhotoError: `degenerate_points`.
    """
    align, landmarks = recipe.align, landmarks_of(face)
    width, height = align.width_height
    if landmarks is None and not face.landmarks_unsure:
        return whole_photo_matrix((face.width, face.height), (width, height))
    if align.mode == "arcface" and recipe.faces.assume == "aligned":
        scale = height / face.height
        aside = (width - scale * face.width) / 2  # the variant of width 96 cuts both sides
        return np.array([[scale, 0, (scale - 1) / 2 + aside], [0, scale, (scale - 1) / 2]], np.float64)
    box = FaceBox(*face.box, turn=face.turn)
    five = _five_of(face)
    landmarks = landmarks if five is None else five
    if landmarks is None:
        return box_aligned_matrix(align, box, (width, height), (face.width, face.height))
    if align.mode == "arcface":
        return arcface_matrix(landmarks, height, width=width)
    if align.mode == "eye_level":
        return eye_level_matrix(landmarks, (width, height))
    return box_matrix(align, box, (width, height), (face.width, face.height))


def alignment_mode(face: PlannedFace, recipe: Recipe) -> str:
    """How a face is aligned: by the recipe's mode, by its `box`, or as the `whole_photo`."""
    if face.landmarks or face.five:
        return recipe.align.mode
    if not face.landmarks_unsure:
        return "whole_photo"
    crop = recipe.align.mode == "arcface" and recipe.faces.assume == "aligned"
    return recipe.align.mode if crop or recipe.align.mode == "face_box" else "box"


def crop_record(matrix: Matrix, size: Size, photo: Size) -> dict[str, JsonValue]:
    """The record of a crop in the samples: its matrix from the photo, and the share of it that lies outside."""
    right, bottom = size[0] - 0.5, size[1] - 0.5
    corners = apply_affine(invert(matrix), np.array([(-0.5, -0.5), (right, -0.5), (right, bottom), (-0.5, bottom)]))
    rows: JsonValue = [[round(value, 6) for value in row] for row in matrix.tolist()]
    return {"matrix": rows, "beyond": round(share_outside(corners, photo), 4)}


def cut_working(
    photo: Image,
    face: PlannedFace,
    matrix: Matrix,
    reduction: int,
    recipe: Recipe,
    pair: MaskedPhoto | PhotoError | None = None,
) -> Working:
    """Cut the part of a (reduced) photo that one face needs: its crop, and the area that a mask may touch.

    Args:
        photo: uint8 (H, W, 3), RGB, decoded `reduction` times smaller.
        face: the planned face.
        matrix: upright photo to crop, from `crop_matrix`.
        reduction: 1, 2, 4 or 8.
        recipe: sets the size of the crop.
        pair: the photo with a mask, as large as `photo`, or why there is none.

    Raises:
        PhotoError: `crop_outside`, `degenerate_points`.
    """
    size = recipe.align.width_height
    to_crop = from_reduced(matrix, reduction)
    limits = (photo.shape[1], photo.shape[0])
    left, top, right, bottom = source_region(limits, to_crop, size)
    landmarks_photo = landmarks_of(face)
    landmarks = landmarks_crop = extent = None
    if landmarks_photo is not None:
        landmarks_crop = apply_affine(matrix, landmarks_photo).astype(np.float32)
        extent = landmarks = to_reduced_frame(landmarks_photo, reduction)
    elif face.landmarks_unsure:
        extent = to_reduced_frame(np.array(face.box, np.float32).reshape(2, 2), reduction)
    if extent is not None:
        low, high = extent.min(axis=0), extent.max(axis=0)
        reach = MASK_REACH * (high - low).max()
        low, high = low - reach, high + reach
        if face.morph is not None:  # its own landmarks differ a little, and so does its crop
            across, down = MORPH_SLACK * (right - left), MORPH_SLACK * (bottom - top)
            low = np.minimum(low, (left - across, top - down))
            high = np.maximum(high, (right + across, bottom + down))
        left, top = (max(0, min(edge, math.floor(value))) for edge, value in zip((left, top), low, strict=True))
        right, bottom = (
            min(limit, max(edge, math.ceil(value)))
            for limit, edge, value in zip(limits, (right, bottom), high, strict=True)
        )
    if landmarks is not None:
        landmarks = (landmarks - np.array([left, top], np.float32)).astype(np.float32)
    five = _five_of(face)
    if five is not None:
        five = to_reduced_frame(five, reduction) - np.array([left, top], np.float32)
    image = photo[top:bottom, left:right]
    to_crop = compose(to_crop, translate(left, top))
    box = FaceBox(*face.box, turn=face.turn).scaled(1 / reduction).moved(-left, -top)
    mode = alignment_mode(face, recipe)
    whole, size_photo = mode == "whole_photo", (face.width, face.height)
    alignment: dict[str, JsonValue] = {"name": "align", "mode": mode, "size": list(size)}
    alignment |= crop_record(matrix, size, size_photo)
    if isinstance(pair, MaskedPhoto):
        pair = pair.cut(Region(left, top, right, bottom))
    return Working(
        image, landmarks, box, to_crop, matrix, size_photo, landmarks_crop, alignment, whole, five, pair=pair
    )
