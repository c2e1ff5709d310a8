"""Analyse: photos to rows of the face table, in tasks whose results are kept and never computed twice."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import Any

import numpy as np

from faceloom.pipelines.context import Context
from faceloom.pipelines.model_files import file_digest, find_landmark_model, load_detector, load_predictor
from faceloom.pipelines.progress import Ticker
from faceloom.pipelines.stopwatch import Stopwatch
from faceloom.pipelines.storage import Storage
from faceloom.pipelines.tables import read_faces, write_faces
from faceloom.schemas.errors import PhotoError
from faceloom.schemas.faces import AnalysedPhoto, FaceRow
from faceloom.schemas.keys import digest
from faceloom.schemas.photos import Photo
from faceloom.schemas.recipe import Faces
from faceloom.schemas.versions import ANALYSER
from faceloom.transforms.analyse import PhotoAnalysis, analyse_photo

TASK_PHOTOS = 100
PASSING = {"vanished", "unreadable"}
"""Rejects that the next run should try again although the photo looks unchanged."""


RowKey = tuple[str, int, str]


@dataclass(frozen=True, slots=True)
class AnalyseTask:
    """Some photos to analyse.

    Attributes:
        path: where their rows go.
        photos: the photos.
        candidates: rows already known for other photos of the same size in bytes: one may have the same content.
    """

    path: str
    photos: tuple[Photo, ...]
    candidates: tuple[AnalysedPhoto, ...]


def analyser_id(faces: Faces) -> str:
    """Identity of the analysis that a recipe asks for: 12 hex digits over all that its rows depend on.

    Raises:
        ModelFileError: the landmark model is missing.
    """
    model = file_digest(find_landmark_model(faces.landmark_model))
    return digest(ANALYSER, faces.select, faces.assume, faces.max_pixels, model)[:12]


def stamp_of(photo: Photo) -> str:
    """What tells whether a photo, or the landmarks given with it, changed since it was analysed."""
    return photo.stamp if photo.landmarks is None else f"{photo.stamp}+{digest(photo.landmarks)[:16]}"


def load_analysed(storage: Storage, analyser: str) -> dict[RowKey, AnalysedPhoto]:
    """All rows that this analyser has written to an output, by photo id, size and stamp."""
    rows = (row for path in storage.list(f"faces/{analyser}") for row in read_faces(storage, path))
    return {(row.photo_id, row.size, row.stamp): row for row in rows}


def row_key(photo: Photo) -> RowKey:
    """Under which key a row that speaks of this very photo is known."""
    return photo.photo_id, photo.size, stamp_of(photo)


def find_row(photo: Photo, known: Mapping[RowKey, AnalysedPhoto]) -> AnalysedPhoto:
    """The row of a photo that has been analysed, or of the attempt that is to be repeated next time."""
    return known.get(row_key(photo)) or known[photo.photo_id, photo.size, ""]


def tasks_for(photos: Iterable[Photo], known: Mapping[RowKey, AnalysedPhoto], analyser: str) -> list[AnalyseTask]:
    """Tasks for the photos that no row speaks of yet."""
    by_size: dict[int, list[AnalysedPhoto]] = {}
    for row in known.values():
        by_size.setdefault(row.size, []).append(row)
    new = [photo for photo in photos if row_key(photo) not in known]
    # Tasks of one size, and a number of them that a few workers can share evenly.
    number = 4 * math.ceil(len(new) / (4 * TASK_PHOTOS))
    tasks = []
    for cut in range(number):
        some = tuple(new[len(new) * cut // number : len(new) * (cut + 1) // number])
        if not some:
            continue
        candidates = {row.sha256: row for photo in some if not photo.landmarks for row in by_size.get(photo.size, ())}
        name = digest([row_key(photo) for photo in some])[:24]
        tasks.append(AnalyseTask(f"faces/{analyser}/{name}.parquet", some, tuple(candidates.values())))
    return tasks


def analyse_task(task: AnalyseTask, context: Context) -> dict[str, float]:
    """Analyse a task's photos and write their rows. Every photo gets a row; a bad one gets a reject's.

    Returns:
        Seconds by stage.

    Raises:
        SourceError: a whole source is gone.
        StorageError: the rows cannot be written.
    """
    watch = Stopwatch()
    same = {row.sha256: row for row in task.candidates if "+" not in row.stamp}
    rows = []
    with Ticker(context.progress) as ticker:
        for photo in task.photos:
            rows.append(_analyse_one(photo, same, context, watch))
            ticker.tick()
    with watch.time("write"):
        write_faces(context.storage, task.path, rows)
    return dict(watch.seconds)


def _analyse_one(photo: Photo, same: Mapping[str, AnalysedPhoto], context: Context, watch: Stopwatch) -> AnalysedPhoto:
    row = AnalysedPhoto(photo.photo_id, photo.size, stamp_of(photo), "", 0, 0, 1, ())
    try:
        with watch.time("read"):
            data = context.source(photo.source).read(photo.uri)
            sha256 = hashlib.sha256(data).hexdigest()
        row = replace(row, sha256=sha256)
        if photo.landmarks is None and (known := same.get(sha256)):
            return replace(known, photo_id=row.photo_id, size=row.size, stamp=row.stamp)
        found = _analyse(data, photo, context.recipe.faces, watch)
    except PhotoError as error:
        stamp = "" if error.code in PASSING else row.stamp
        return replace(row, stamp=stamp, code=error.code, message=str(error))
    faces = tuple(
        FaceRow(
            box=(face.box.left, face.box.top, face.box.right, face.box.bottom),
            landmarks=np.ascontiguousarray(face.landmarks, np.float32).tobytes(),
            score=face.box.score,
            quality=tuple((field.name, float(getattr(face.quality, field.name))) for field in fields(face.quality)),
        )
        for face in found.faces
    )
    return replace(row, width=found.width, height=found.height, orientation=found.header.exif_orientation, faces=faces)


@lru_cache(maxsize=2)
def _predictor(path: str | None) -> Any:
    return load_predictor(find_landmark_model(path))


def _analyse(data: bytes, photo: Photo, faces: Faces, watch: Stopwatch) -> PhotoAnalysis:
    given = None if photo.landmarks is None else np.array(photo.landmarks, np.float32)
    return analyse_photo(
        data,
        select=faces.select,
        assume=faces.assume,
        predictor=_predictor(faces.landmark_model),
        detector=load_detector(),
        max_pixels=faces.max_pixels,
        given_landmarks=given,
        timed=watch.time,
    )
