"""Find the masks on every photo of a folder with a trained detector."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from faceloom.models.detector.predict import MaskDetector
from faceloom.pipelines.analyse.mask_gate import SHARE_DIGITS, WAITING, cut_faces, masked_share
from faceloom.pipelines.apply.photos import (
    PhotoResults,
    face_finder,
    photos_below,
    read_photo,
    refuse_other_results,
    remove_older_results,
)
from faceloom.pipelines.run.watcher import Watcher
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import PhotoError
from faceloom.schemas.face_options import Faces
from faceloom.schemas.json_text import parse_json
from faceloom.transforms.analyse import Face, PhotoAnalysis
from faceloom.transforms.decode import MAX_PIXELS
from faceloom.transforms.geometry import apply_affine, compose, invert, translate
from faceloom.transforms.sample.encode import encode, json_bytes
from faceloom.transforms.types import BoolMask, Image, Matrix, Size

FACES = "faces.jsonl"
"""File of the target folder with a line for each face."""
FIELDS = {"photo", "face", "box", "turn", "share"}
"""Of a line."""
_MOST_LINE = 2**16


@dataclass(frozen=True, eq=False)
class _Waiting:
    """A photo whose faces the network has not seen yet."""

    name: str
    analysis: PhotoAnalysis
    faces: Sequence[Face]
    cuts: Sequence[tuple[Image, Matrix]]


def detect_folder(run: Path, photos: Path, to: str, watcher: Watcher, *, device: str = "auto") -> PhotoResults:
    """Find the masks on all faces of each photo below a folder.

    A photo gives a PNG map of its own size under its name, 255 where a mask is; `faces.jsonl` has a line for each face.

    Args:
        run: folder of the detector.
        photos: folder of photos, or one photo.
        to: folder of the results; it is created, and existing results of these photos are replaced or deleted.
        watcher: gets the progress.
        device: `cpu`, `cuda`, or `auto`, which takes CUDA if there is a usable GPU.

    Raises:
        CheckpointError: the folder is no checkpoint of a detector, or it is damaged.
        TrainingError: the device is unknown or not available.
        FaceloomError: there are no photos, or the target is the folder of the photos or holds other files.
        StorageError: the machine cannot read a photo, or not write a result; no result is deleted.
    """
    detector = MaskDetector.load(run, device=device)
    names, target = photos_below(photos, to), Storage(to)
    refuse_other_results(target, [name for name, _ in names], (FACES,) if _holds_own_lines(target) else ())
    find = face_finder(Faces(select="all"))
    target.remove(FACES)  # a run that is stopped leaves no lines beside other maps
    written: list[str] = []
    left_out: dict[str, str] = {}
    lines: list[bytes] = []
    waiting: list[_Waiting] = []
    watcher.stage("detect", len(names), "photos")
    for number, (name, path) in enumerate(names, 1):
        try:
            data = read_photo(path)
            analysis = find(data)
            cuts = cut_faces(detector.card, data, analysis.header, [face.box for face in analysis.faces], MAX_PIXELS)
            cut = [(face, one) for face, one in zip(analysis.faces, cuts, strict=True) if one is not None]
            if not cut:
                raise PhotoError("degenerate_points", "the boxes of the faces cannot be cut")
            waiting.append(_Waiting(name, analysis, [face for face, _ in cut], [one for _, one in cut]))
        except PhotoError as error:
            left_out[name] = str(error)
        if number == len(names) or sum(len(one.cuts) for one in waiting) >= WAITING:
            for one, regions in zip(waiting, _found(detector, waiting), strict=True):
                matrices = [matrix for _, matrix in one.cuts]
                region = on_photo(regions, matrices, (one.analysis.width, one.analysis.height))
                with target.write(f"{one.name}.png") as stream:
                    stream.write(encode(region.astype(np.uint8) * 255, "png"))
                written.append(f"{one.name}.png")
                lines += _lines(one, regions)
            waiting.clear()
        watcher.done(number)
    removed = remove_older_results(target, left_out)
    with target.write(FACES) as stream:
        stream.write(b"".join(lines))
    return PhotoResults(tuple(written), len(lines), left_out, removed)


def _holds_own_lines(target: Storage) -> bool:
    """Whether the list of faces is one of ours: it is empty, or its first line has our fields."""
    if not target.exists(FACES):
        return False
    with target.open(FACES) as stream:
        line = stream.readline(_MOST_LINE)
    try:
        record = parse_json(line, _MOST_LINE) if line else dict.fromkeys(FIELDS)
    except ValueError:
        return False
    return isinstance(record, dict) and record.keys() == FIELDS


def _found(detector: MaskDetector, waiting: Sequence[_Waiting]) -> list[BoolMask]:
    """The maps of the crops of each photo, bool (faces, S, S)."""
    if not waiting:
        return []
    maps = detector.find(np.stack([crop for one in waiting for crop, _ in one.cuts]))
    return np.split(maps, np.cumsum([len(one.cuts) for one in waiting])[:-1])


def _lines(photo: _Waiting, regions: BoolMask) -> list[bytes]:
    lines = []
    for at, (face, region, (_, matrix)) in enumerate(zip(photo.faces, regions, photo.cuts, strict=True)):
        box = face.box
        record = {
            "photo": photo.name,
            "face": at,
            "box": [round(float(edge), 2) for edge in (box.left, box.top, box.right, box.bottom)],
            "turn": box.turn,
            "share": round(masked_share(region, matrix, box), SHARE_DIGITS),
        }
        lines.append(json_bytes(record) + b"\n")
    return lines


def on_photo(regions: BoolMask, matrices: Sequence[Matrix], size: Size) -> BoolMask:
    """Maps of crops, put back on the photo; where several overlap, their union. Bool (H, W).

    Args:
        regions: bool (faces, S, S).
        matrices: photo to crop, 2x3, of each face.
        size: (width, height) of the photo, upright.
    """
    import cv2

    found = np.zeros(size[::-1], bool)
    for region, matrix in zip(regions, matrices, strict=True):
        part, moved, extent = reach_on_photo(matrix, regions.shape[-1], size)
        if all(extent):
            found[part] |= cv2.warpAffine(region.astype(np.float32), moved, extent) >= 0.5
    return found


def reach_on_photo(matrix: Matrix, side: int, size: Size) -> tuple[tuple[slice, slice], Matrix, Size]:
    """The part of a photo that a crop shows.

    Args:
        matrix: photo to crop, 2x3.
        side: of the crop, in pixels.
        size: (width, height) of the photo.

    Returns:
        Rows and columns of the part, crop to part, 2x3, and (width, height) of the part, 0 if the crop lies outside.
    """
    back = invert(matrix)
    reach = apply_affine(back, np.array([(-1, -1), (side, -1), (-1, side), (side, side)], np.float64))
    left, top = np.clip(np.floor(reach.min(0)), 0, size).astype(int)
    right, bottom = np.clip(np.ceil(reach.max(0)) + 1, 0, size).astype(int)
    extent = max(0, int(right - left)), max(0, int(bottom - top))
    return np.s_[top:bottom, left:right], compose(translate(-left, -top), back), extent
