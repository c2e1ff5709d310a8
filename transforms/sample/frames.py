"""A frame: the whole photo with all its faces, and the masks that are painted on them one after another."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import JsonValue

from faceloom.schemas.errors import PhotoError
from faceloom.schemas.plan import FrameFace, PlannedFace
from faceloom.schemas.recipe import Recipe
from faceloom.transforms.align import from_reduced, warp_image
from faceloom.transforms.detect import FaceBox
from faceloom.transforms.geometry import apply_affine, compose, translate
from faceloom.transforms.masks.painted import PaintedMask
from faceloom.transforms.sample.crops import COVERED, Crops
from faceloom.transforms.sample.working import FARTHEST, MASK_REACH, Working
from faceloom.transforms.types import Image, Landmarks, Mask, Matrix, Region, Size

PaintFace = Callable[[Working, FrameFace, int], PaintedMask]
"""Paints the mask of a face: its working picture, the face, and the number of the mask in the recipe."""


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """The content of a frame.

    Attributes:
        crops: the photo with and without masks, and the coverage by all masks; without landmarks.
        instances: uint8 (H, W), 0 where no mask is, else the number of the face in `faces`, from 1; None without masks.
        faces: the record of each face, in pixels of the frame.
        labels: of the masks that are worn.
        operations: record of each mask.
    """

    crops: Crops
    instances: Mask | None
    faces: list[JsonValue]
    labels: tuple[str, ...]
    operations: list[JsonValue]


def frame_size(photo: Size, max_side: int) -> Size:
    """Width and height of the frame of a photo, whose longer side is at most `max_side`; it is never enlarged."""
    scale = min(1.0, max_side / max(photo))
    return max(1, round(photo[0] * scale)), max(1, round(photo[1] * scale))


def frame_matrix(photo: Size, max_side: int) -> Matrix:
    """The 2x3 matrix from the upright photo to its frame. Both sides may differ a little in scale, by rounding."""
    across, down = (to / of for to, of in zip(frame_size(photo, max_side), photo, strict=True))
    return np.array([[across, 0, (across - 1) / 2], [0, down, (down - 1) / 2]], np.float64)


def cut_frame(photo: Image, face: PlannedFace, reduction: int, recipe: Recipe) -> Image:
    """Shrink a photo, decoded `reduction` times smaller, to its frame, uint8 (H, W, 3)."""
    size = face.width, face.height
    matrix = from_reduced(frame_matrix(size, recipe.align.max_side), reduction)
    return warp_image(photo, matrix, frame_size(size, recipe.align.max_side), border="replicate")


def compose_frame(image: Image, planned: PlannedFace, variant: int, recipe: Recipe, paint: PaintFace) -> Frame:
    """Paint the masks of a frame, those of small faces first, as large faces are in front.

    A face that no mask fits stays bare; its record states the code of the fault.

    Args:
        image: the frame without masks.
        planned: the photo and its faces.
        variant: number of the variant.
        recipe: sets the masks.
        paint: paints one of them.
    """
    assert planned.frame is not None
    matrix = frame_matrix((planned.width, planned.height), recipe.align.max_side)
    faces = planned.frame.faces
    records = [_record(face, matrix, number + 1) for number, face in enumerate(faces)]
    if not recipe.masks:
        return Frame(Crops(image, None), None, [*records], (), [])
    masked, alpha = image.copy(), np.zeros(image.shape[:2], np.float32)
    instances = np.zeros(image.shape[:2], np.uint8)
    labels, operations = set[str](), list[JsonValue]()
    for number in sorted(range(len(faces)), key=lambda one: (faces[one].box[2] - faces[one].box[0], one)):
        face, record = faces[number], records[number]
        mask = face.masks[variant] if face.masks else -1
        if mask < 0:
            continue
        try:
            # On the bare photo, so that no mask depends on those of other faces.
            region, working = _working(image, face, planned, matrix)
            painted = paint(working, face, mask)
        except PhotoError as error:
            record["fault"] = error.code
            continue
        cover = painted.alpha
        if recipe.output.straps and painted.straps is not None:
            cover = np.maximum(cover, painted.straps)
        _lay_over(masked[region.slices], image[region.slices], painted)
        alpha[region.slices] = np.maximum(alpha[region.slices], cover)
        instances[region.slices][cover >= COVERED] = number + 1
        label = recipe.masks[mask].label
        labels.add(label)
        record["mask"] = label
        operations.append({"name": "mask", "mask": label, "instance": number + 1, **painted.parameters})
    for number, record in enumerate(records):
        record["mask_box"] = _box_of(instances == number + 1) if record["mask"] else []
    return Frame(Crops(image, None, masked, alpha), instances, [*records], tuple(sorted(labels)), operations)


def _lay_over(masked: Image, bare: Image, painted: PaintedMask) -> None:
    """Lay a mask over those of other faces, in place: soft edges and its shadow show them, not the bare photo."""
    cover = painted.alpha if painted.straps is None else np.maximum(painted.alpha, painted.straps)
    changed = (painted.image != bare).any(axis=2) | (cover > 0)
    others = changed & (masked != bare).any(axis=2)
    shown = (masked[others].astype(np.float32) - bare[others]) * (1 - cover[others])[:, None]
    masked[changed & ~others] = painted.image[changed & ~others]
    masked[others] = np.clip(np.rint(painted.image[others] + shown), 0, 255).astype(np.uint8)


def _working(image: Image, face: FrameFace, planned: PlannedFace, matrix: Matrix) -> tuple[Region, Working]:
    """The part of a frame that the mask of one face may touch."""
    box = _moved(face, matrix)
    landmarks = _landmarks(face, matrix, planned)
    extent = landmarks if landmarks is not None else np.array([[box.left, box.top], [box.right, box.bottom]])
    region = Region.around(extent, MASK_REACH * float(np.ptp(extent, axis=0).max()), image.shape)
    if min(region.shape) < 1:
        raise PhotoError("crop_outside", "the face lies outside the photo", value=face.box)
    left, top = region.left, region.top
    shift = translate(-left, -top)
    points = None if landmarks is None else (landmarks - np.array([left, top], np.float32)).astype(np.float32)
    here = compose(shift, matrix)
    working = Working(
        image[region.slices], points, box.moved(-left, -top), translate(0, 0), here,
        (planned.width, planned.height), points, {},
    )  # fmt: skip
    return region, working


def _landmarks(face: FrameFace, matrix: Matrix, planned: PlannedFace) -> Landmarks | None:
    if not face.landmarks:
        return None
    points = np.frombuffer(face.landmarks, np.float32).reshape(68, 2)
    if not np.abs(points).max() <= FARTHEST * (planned.width + planned.height):
        raise PhotoError("degenerate_points", "landmarks that are not finite or lie far outside the photo make no face")
    return apply_affine(matrix, points).astype(np.float32)


def _moved(face: FrameFace, matrix: Matrix) -> FaceBox:
    corners = apply_affine(matrix, np.array(face.box, np.float64).reshape(2, 2))
    (left, top), (right, bottom) = corners.tolist()
    return FaceBox(left, top, right, bottom, face.score, face.detector, face.turn)


def _record(face: FrameFace, matrix: Matrix, number: int) -> dict[str, JsonValue]:
    box = _moved(face, matrix)
    points: list[JsonValue] = []
    if face.landmarks:
        moved = apply_affine(matrix, np.frombuffer(face.landmarks, np.float32).reshape(68, 2).astype(np.float64))
        points = [[_rounded(x), _rounded(y)] for x, y in moved.tolist()]
    return {
        "instance": number, "face": face.face, "identity": face.identity, "used": face.used,
        "box": [_rounded(value) for value in (box.left, box.top, box.right, box.bottom)],
        "landmarks": points, "detector": face.detector, "score": face.score, "turn": face.turn,
        "mask": "", "mask_box": [], "fault": face.fault,
    }  # fmt: skip


def _rounded(value: float) -> float:
    return round(value, 2) if math.isfinite(value) else 0.0


def _box_of(where: Sequence[bool] | np.ndarray) -> list[JsonValue]:
    """Left, top, right and bottom of some pixels, between pixels; empty without any."""
    rows, columns = np.flatnonzero(np.any(where, axis=1)), np.flatnonzero(np.any(where, axis=0))
    if not len(rows):
        return []
    return [float(columns[0]) - 0.5, float(rows[0]) - 0.5, float(columns[-1]) + 0.5, float(rows[-1]) + 0.5]
