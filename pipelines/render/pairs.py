"""The masked photo of a pair in the render: for the whole photo, and for one face of a frame."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from faceloom.schemas.errors import PhotoError
from faceloom.schemas.labels import LabelFiles
from faceloom.schemas.masks import serves_pairs
from faceloom.schemas.plan import FrameFace, PlannedFace
from faceloom.schemas.recipe import Recipe
from faceloom.transforms.align import from_reduced, warp_alpha, warp_image
from faceloom.transforms.geometry import apply_affine
from faceloom.transforms.masks.real import MaskedPhoto, decode_pair
from faceloom.transforms.sample.working import Working
from faceloom.transforms.types import Image


def decode_partner(
    files: LabelFiles | None, faces: Iterable[PlannedFace], picture: Image, reduction: int, recipe: Recipe
) -> MaskedPhoto | PhotoError | None:
    """Decode the masked photo of a pair, if a face of the bare one wears its mask.

    Args:
        files: beside the bare photo; None if there are none, or if those of a pair could not be read.
        faces: planned for it.
        picture: uint8 (H, W, 3), RGB, the bare photo decoded `reduction` times smaller.
        reduction: 1, 2, 4 or 8.
        recipe: of the build.

    Returns:
        The masked photo in the frame of `picture`, or why it cannot be used: samples with other masks are made all the
        same. None if no face wears it.
    """
    planned = list(faces)
    numbers = {number for face in planned for number in _numbers(face)}
    if not any(serves_pairs(recipe.masks[number]) for number in numbers):
        return None
    if files is None:
        return PhotoError("bad_partner", "the masked photo or its map could not be read when the photo was analysed")
    try:
        size = planned[0].width, planned[0].height
        return decode_pair(files, picture, size, reduction, max_pixels=recipe.faces.max_pixels)
    except PhotoError as error:
        return error


def _numbers(face: PlannedFace) -> set[int]:
    frame = () if face.frame is None else face.frame.faces
    return {*face.masks, *(number for one in frame for number in one.masks if number >= 0)}


def with_partner(
    working: Working,
    pair: MaskedPhoto | PhotoError | None,
    reduction: int,
    face: FrameFace,
    others: Iterable[FrameFace],
) -> Working:
    """The working picture of one face of a frame, with the part of the masked photo that is nearer to this face than
    to the others.

    Args:
        working: of the face, as large as the frame shows it.
        pair: from `decode_partner`.
        reduction: by which it was decoded.
        face: the face.
        others: all faces of the frame.
    """
    if not isinstance(pair, MaskedPhoto):
        return replace(working, pair=pair)
    size = working.image.shape[1], working.image.shape[0]
    matrix = from_reduced(working.matrix_photo, reduction)
    cover = warp_alpha(pair.painted().alpha, matrix, size)
    image = warp_image(pair.image, matrix, size, border="replicate")
    corners = np.array([one.box for one in (face, *(one for one in others if one != face))]).reshape(-1, 2)
    centres = apply_affine(working.matrix_photo, corners).reshape(-1, 2, 2).mean(axis=1)
    rows, columns = np.ogrid[: size[1], : size[0]]

    def distance(x: float, y: float) -> npt.NDArray[np.float64]:
        return np.asarray((columns - x) ** 2 + (rows - y) ** 2)

    own = distance(*centres[0])
    for x, y in centres[1:].tolist():
        beside = distance(x, y) < own
        image[beside], cover[beside] = working.image[beside], 0
    shown = MaskedPhoto(image, np.round(cover * 255).astype(np.uint8), pair.origin)
    return replace(working, pair=shown)
