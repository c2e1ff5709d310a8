"""A sheet of masked photos: photo, found mask, edited face, and the user's own face swapped in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from faceloom.models.detector.predict import MaskDetector
from faceloom.models.editor.predict import MaskEditor
from faceloom.pipelines.apply.detector import on_photo
from faceloom.pipelines.apply.editor import FoundMask, edit_photo, find_masks
from faceloom.pipelines.apply.photos import face_finder, photos_below, read_photo
from faceloom.pipelines.apply.swap import find_own_face
from faceloom.pipelines.evaluation.sheet import draw_grid
from faceloom.pipelines.run.watcher import Watcher
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import PhotoError
from faceloom.schemas.face_options import Faces
from faceloom.schemas.keys import digest
from faceloom.transforms.align import cut_crop, face_box_matrix, warp_alpha
from faceloom.transforms.analyse import Face, PhotoAnalysis
from faceloom.transforms.decode import MAX_PIXELS, decode_rgb
from faceloom.transforms.morph.swap import swap_face
from faceloom.transforms.sample.encode import encode
from faceloom.transforms.types import Image, Landmarks

SHEET = "sheet.png"
"""File of the target folder."""
COLUMNS = ("photo", "found mask", "edited", "swap")
SIDE, MARGIN = 192, 0.5
"""Side of a cell in pixels, and its margin around the face, as a share of the face box."""
TINT = (255, 0, 128)
"""Colour, RGB, of a found mask over the photo."""


@dataclass(frozen=True)
class SheetResults:
    """What the sheet shows.

    Attributes:
        photos: number of photos in the folder.
        shown: photos of its rows, from top to bottom.
        masked, edited, swapped: number of rows in which a mask was found, a face painted, and a face swapped in.
        left_out: reason of each chosen photo without a row.
        not_swapped: reason of each row without a swapped face.
    """

    photos: int
    shown: tuple[str, ...]
    masked: int
    edited: int
    swapped: int
    left_out: dict[str, str]
    not_swapped: dict[str, str]


def draw_sheet(
    editor: Path,
    detector: Path,
    face: Path,
    photos: Path,
    to: str,
    watcher: Watcher,
    *,
    count: int,
    device: str = "auto",
) -> SheetResults:
    """Draw `sheet.png`: a row for each photo, cut around its largest face with a mask.

    Args:
        editor: folder of the editor's run.
        detector: folder of the detector's run.
        face: photo of a bare face, frontal; it is put on each photo.
        photos: folder of photos, or one photo.
        to: folder of the sheet; it is created, and an existing sheet is replaced.
        watcher: gets the progress.
        count: most photos; they are chosen by a digest of their names.
        device: `cpu`, `cuda`, or `auto`, which takes CUDA if there is a usable GPU.

    Raises:
        CheckpointError: a folder is no checkpoint of its kind, or it is damaged.
        TrainingError: the device is unknown or not available.
        FaceloomError: the face cannot be used, there are no photos, or the target is the folder of the photos.
    """
    finder, painter = MaskDetector.load(detector, device=device), MaskEditor.load(editor, device=device)
    names, target = photos_below(photos, to), Storage(to)
    own = find_own_face(face)
    find = face_finder(Faces(select="all"))
    chosen = sorted(names, key=lambda item: digest("shown", item[0]))[:count]
    target.remove(SHEET)
    rows: dict[str, list[Image | None]] = {}
    left_out: dict[str, str] = {}
    not_swapped: dict[str, str] = {}
    watcher.stage("draw", len(chosen), "photos")
    for number, (name, path) in enumerate(chosen, 1):
        try:
            data = read_photo(path)
            rows[name], fault = _row(finder, painter, own, data, find(data))
            if fault:
                not_swapped[name] = fault
        except PhotoError as error:
            left_out[name] = str(error)
        watcher.done(number)
    if rows:
        with target.write(SHEET) as stream:
            stream.write(encode(draw_grid(COLUMNS, list(rows.values()), list(rows)), "png"))
    masked, edited, swapped = (sum(row[column] is not None for row in rows.values()) for column in (1, 2, 3))
    return SheetResults(len(names), tuple(rows), masked, edited, swapped, left_out, not_swapped)


def _row(
    finder: MaskDetector, painter: MaskEditor, own: tuple[Image, Landmarks], data: bytes, analysis: PhotoAnalysis
) -> tuple[list[Image | None], str]:
    """The pictures of a row, and why its last one is missing."""
    boxes = [face.box for face in analysis.faces]
    masks = find_masks(finder, data, analysis.header, boxes)
    at = _most_masked(analysis.faces, masks)
    face, found = analysis.faces[at], masks[at]
    matrix = face_box_matrix(face.box, None, SIDE, margin=MARGIN)
    photo = decode_rgb(data, header=analysis.header, max_pixels=MAX_PIXELS)

    def cut(picture: Image) -> Image:
        return cut_crop(picture, matrix, (SIDE, SIDE), "constant")[0]

    row: list[Image | None] = [cut(photo), None, None, None]
    if found is not None:
        region = on_photo(found.region[None], [found.matrix], analysis.header.size)
        share = 0.6 * warp_alpha(region.astype(np.float32), matrix, (SIDE, SIDE))[..., None]
        row[1] = np.rint(cut(photo) * (1 - share) + np.array(TINT) * share).astype(np.uint8)
        edited, faces = edit_photo(painter, data, analysis.header, boxes, masks)
        row[2] = cut(edited) if faces else None
    if face.unsure:
        return row, "the landmarks are probably wrong"
    try:
        row[3] = cut(swap_face(photo, face.landmarks, *own))
    except PhotoError as error:
        return row, str(error)
    return row, ""


def _most_masked(faces: Sequence[Face], masks: Sequence[FoundMask | None]) -> int:
    """The largest face with a mask; without one the largest face."""
    return max(range(len(faces)), key=lambda at: (masks[at] is not None, faces[at].box.width))
