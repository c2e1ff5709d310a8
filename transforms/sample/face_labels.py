"""The labels of one face: in the pixels of its crop and of its working picture, and what they show in front of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from pydantic import JsonValue

from faceloom.schemas.errors import PhotoError
from faceloom.schemas.recipe import Recipe
from faceloom.transforms.geometry import apply_affine, compose, invert, scale_of
from faceloom.transforms.guide.label_map import Bits, LabelMap, bits_to_channels, channels_to_bits, warp_labels
from faceloom.transforms.masks.in_front import COVERED, find_in_front
from faceloom.transforms.parser import FaceParser
from faceloom.transforms.sample.working import Working
from faceloom.transforms.types import Landmarks, Matrix, Size


def parse_face(working: Working, parser: FaceParser) -> LabelMap:
    """Label a face by a network. In a morph it sees the mixed face."""
    labels, to_labels = parser.parse(working.image, working.landmarks, working.box)
    return replace(labels, from_photo=compose(to_labels, _to_picture(working)))


def labels_in_crop(labels: LabelMap, working: Working, size: Size) -> Bits:
    """Cut the crop of a face's label map, nearest neighbour; in a morph the labels move with their pixels."""
    import cv2

    bits = _warped(labels, working, working.matrix_photo, size)
    if working.read_from is None or labels.from_photo is not None:
        return bits
    # Where the crop's pixels were in the unmixed crop: through the working picture, its map, and back.
    nowhere = -1e6  # pixels outside the working picture have no label, not that of its corner
    x, y = (cv2.warpAffine(part, working.matrix, size, borderValue=nowhere) for part in working.read_from)
    places = apply_affine(working.matrix, np.stack([x, y], axis=-1).reshape(-1, 2)).astype(np.float32)
    columns, rows = places.reshape(*x.shape, 2).transpose(2, 0, 1)
    return _read(bits, columns, rows)


def labels_in_picture(labels: LabelMap, working: Working) -> Bits:
    """The labels of a working picture, uint32 (H, W) as its image."""
    size = (working.image.shape[1], working.image.shape[0])
    bits = _warped(labels, working, _to_picture(working), size)
    if working.read_from is None or labels.from_photo is not None:
        return bits
    return _read(bits, *working.read_from)


def with_front(working: Working, labels: LabelMap, recipe: Recipe) -> Working:
    """The working picture with what stays in front of masks.

    Raises:
        PhotoError: `occluded`, if something covers nose or mouth and the recipe rejects such faces.
        PhotoError: `bad_labels`, when photo and label map have different aspect ratios.
    """
    if working.landmarks is None:
        return working
    to_picture = _to_picture(working)
    if labels.from_photo is not None:
        coarse = scale_of(to_picture) / scale_of(labels.from_photo)
    else:
        coarse = scale_of(to_picture) * working.photo_size[0] / labels.bits.shape[1]
    bits = labels_in_picture(labels, working)
    found = find_in_front(bits, labels.known, working.landmarks, recipe.faces.in_front, 0.5 * max(1.0, coarse))
    if found.occluded is not None and found.occluded > COVERED and recipe.faces.occluded == "reject":
        what = "something covers nose or mouth, as the labels show"
        remedy = "Use `faces: {occluded: keep}` to keep such faces; what covers them stays in front of the mask"
        raise PhotoError("occluded", what, value=f"{found.occluded:.2f} of them", remedy=remedy)
    occluded: JsonValue = None if found.occluded is None else round(found.occluded, 4)
    record: dict[str, JsonValue] = {
        "name": "labels", "from": labels.made_by, "label_order": labels.order, "occluded": occluded,
    }  # fmt: skip
    return replace(working, front=found.share if recipe.layers_masks else None, labelling=record)


def _to_picture(working: Working) -> Matrix:
    """The matrix from the upright photo to the working picture."""
    return compose(invert(working.matrix), working.matrix_photo)


def _warped(labels: LabelMap, working: Working, matrix: Matrix, size: Size) -> Bits:
    return warp_labels(labels.bits, working.photo_size, matrix, size, labels.from_photo)


def _read(bits: Bits, columns: Landmarks, rows: Landmarks) -> Bits:
    import cv2

    columns, rows = np.ascontiguousarray(columns), np.ascontiguousarray(rows)
    return channels_to_bits(np.asarray(cv2.remap(bits_to_channels(bits), columns, rows, cv2.INTER_NEAREST), np.uint8))
