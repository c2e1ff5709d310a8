"""Analyse photos: from listed photos to rows of the face table, in tasks whose results are cached."""

from __future__ import annotations

import hashlib
import math
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np

from faceloom.pipelines.analyse.analysis import TOO_LARGE
from faceloom.pipelines.analyse.detectors import Kind, detector_id, load_detectors
from faceloom.pipelines.analyse.face_table import applies_to_identical_bytes, row_of_content
from faceloom.pipelines.analyse.landmark_models import landmark_id, load_landmarks
from faceloom.pipelines.analyse.mask_gate import MaskGate, gate_id, load_gate
from faceloom.pipelines.analyse.model_files import load_detector
from faceloom.pipelines.analyse.photo_table import stamp_of
from faceloom.pipelines.context import Context
from faceloom.pipelines.run.progress import tick
from faceloom.pipelines.run.stopwatch import Stopwatch
from faceloom.pipelines.run.unforeseen import naming, refuse_machine_fault
from faceloom.pipelines.sources.source import expect, labels_of
from faceloom.pipelines.store.parquet_tables import write_faces
from faceloom.pipelines.store.paths import face_table, face_table_file
from faceloom.schemas.errors import PhotoError, RecipeError
from faceloom.schemas.face_options import Faces
from faceloom.schemas.faces import FIGURES, UNREADABLE, AnalysedPhoto, FaceRow
from faceloom.schemas.keys import digest
from faceloom.schemas.photos import Photo
from faceloom.schemas.versions import ANALYSER
from faceloom.transforms.analyse import PhotoAnalysis, analyse_photo
from faceloom.transforms.decode import PhotoHeader, read_header
from faceloom.transforms.detect import FaceBox
from faceloom.transforms.given import given_face
from faceloom.transforms.quality import FaceQuality
from faceloom.transforms.types import Points

TASK_PHOTOS = 100
SCORE_DIGITS = 4
"""Decimals of a detector's score that are kept."""
RETRY_CODES = {"vanished", "unreadable"}
"""Rejects that the next run tries again although the photo did not change."""


@dataclass(frozen=True, slots=True)
class AnalyseTask:
    """Some photos to analyse.

    Attributes:
        path: file for their rows.
        photos: the photos.
        table: digest that names the face table before this run; empty if there was none. It may hold rows of the same
            bytes under another photo id.
        detector: `detector_kind` where the work was planned; by default that of the machine that does it.
    """

    path: str
    photos: tuple[Photo, ...]
    table: str = ""
    detector: Kind | None = None


def analyser_id(faces: Faces, detector: Kind | None = None) -> str:
    """Identity of the analysis that a recipe asks for: 12 hex digits over everything that its rows depend on.

    Rows do not depend on `max_pixels`: they hold the size of every photo, and the plan rejects photos that are too
    large.

    Args:
        faces: of the recipe.
        detector: see `AnalyseTask`.

    Raises:
        ModelFileError: the landmark model or a detector is missing.
        RecipeError: the detector of masks is missing.
    """
    found_by = (*landmark_id(faces), detector_id(faces, detector), *gate_id(faces))
    kept = () if faces.damaged == "reject" else ("damaged photos kept",)
    return digest(ANALYSER, faces.select, faces.assume, *found_by, *kept)[:12]


def tasks_for(
    photos: Iterable[Photo],
    known: Mapping[str, AnalysedPhoto],
    analyser: str,
    max_pixels: int,
    table: str = "",
    detector: Kind | None = None,
) -> list[AnalyseTask]:
    """Make tasks for the photos that have no final row.

    Args:
        photos: as listed.
        known: from `load_analysed`.
        analyser: from `analyser_id`.
        max_pixels: the recipe's limit; photos that were too large for a lower limit are analysed again.
        table, detector: see `AnalyseTask`.
    """
    new = [photo for photo in photos if _needs_analysis(known.get(photo.photo_id), max_pixels)]
    number = task_count(len(new))
    tasks = []
    for cut in range(number):
        some = tuple(new[len(new) * cut // number : len(new) * (cut + 1) // number])
        name = digest([(photo.photo_id, photo.size, stamp_of(photo)) for photo in some])[:24]
        tasks.append(AnalyseTask(face_table_file(analyser, name), some, table, detector))
    return tasks


def task_count(photos: int) -> int:
    """Number of tasks for some photos. They are of equal size, and a multiple of four, so that a few workers share them
    evenly."""
    return min(photos, 4 * math.ceil(photos / (4 * TASK_PHOTOS)))


def _needs_analysis(row: AnalysedPhoto | None, max_pixels: int) -> bool:
    if row is None or not row.stamp:
        return True
    return row.code == TOO_LARGE and 0 < row.width * row.height <= max_pixels


def analyse_task(task: AnalyseTask, context: Context) -> dict[str, float]:
    """Analyse the photos of a task and write a row for each of them; the row of a bad photo is a reject.

    Returns:
        Seconds by stage.

    Raises:
        SourceError: a whole source is gone.
        StorageError: the rows cannot be written.
        RecipeError: the detector of masks is missing, or changed since the task was planned.
        WorkerError: anything unforeseen, on a photo that it names; no row is written.
    """
    watch = Stopwatch()
    rows: list[AnalysedPhoto] = []
    same: dict[str, AnalysedPhoto] = {}
    numbers: dict[str, int] = {}
    for source, photos in groupby(task.photos, key=lambda photo: photo.source):
        expect(context.source(source), [photo.uri for photo in photos])
    gate, added = _load_gate(task, context), dict[int, int]()  # by row: under which number its faces are measured
    for number, photo in enumerate(task.photos):
        with naming(photo.photo_id):
            row, pixels = _analyse_one(photo, task, same, context, watch)
            if gate and pixels:
                row = _add(gate, number, row, *pixels, context, watch)
                added |= {number: number} if row.faces else {}
            elif (first := numbers.get(row.sha256)) in added and not row.given:
                added[number] = added[first]
        rows.append(row)
        if applies_to_identical_bytes(row.sha256, row.stamp, row.code, row.given):
            same.setdefault(row.sha256, row)
            numbers.setdefault(row.sha256, number)
        tick()
    if gate:
        with watch.time("masked"), naming(task.path):
            rows = [
                replace(row, faces=gate.measured(added[number], row.faces)) if number in added else row
                for number, row in enumerate(rows)
            ]
    with watch.time("write"), naming(task.path):
        write_faces(context.storage, task.path, rows)
    return dict(watch.seconds)


def _load_gate(task: AnalyseTask, context: Context) -> MaskGate | None:
    faces, planned = context.recipe.faces, task.path.rpartition("/")[0]
    gate = load_gate(faces)
    if gate and (found := face_table(analyser_id(faces, task.detector))) != planned:
        remedy = "Wait until its training has ended, and run the same command again; all machines need the same models"
        what = "the detector of masks, or another model, changed since the photos were listed"
        value = f"{found} instead of {planned}"
        raise RecipeError(what, where="$.faces.masked.detector", value=value, remedy=remedy)
    return gate


def _known_copy(sha256: str, task: AnalyseTask, context: Context) -> AnalysedPhoto | None:
    folder = task.path.rpartition("/")[0]
    return row_of_content(context.root, folder, task.table, sha256) if task.table else None


def _analyse_one(
    photo: Photo, task: AnalyseTask, same: Mapping[str, AnalysedPhoto], context: Context, watch: Stopwatch
) -> tuple[AnalysedPhoto, tuple[bytes, PhotoHeader] | None]:
    """The row of a photo and, if its faces were searched, its bytes and header."""
    given = photo.landmarks is not None or bool(photo.faces)
    row = AnalysedPhoto(photo.photo_id, photo.size, stamp_of(photo), "", 0, 0, 1, (), given=given)
    limit = context.recipe.faces.max_pixels
    try:
        with watch.time("read"):
            data = context.source(photo.source).read(photo.uri)
            sha256 = hashlib.sha256(data).hexdigest()
            row = _with_labels(replace(row, sha256=sha256), photo, context)
        if not given and (known := same.get(sha256) or _known_copy(sha256, task, context)):
            return replace(known, photo_id=row.photo_id, size=row.size, stamp=row.stamp, labels=row.labels), None
        header = read_header(data, max_pixels=sys.maxsize)
        row = replace(row, width=header.size[0], height=header.size[1], orientation=header.exif_orientation)
        if row.width * row.height > limit:
            raise PhotoError(TOO_LARGE, f"the picture has more than {limit} pixels")
        found = _analyse(data, header, photo, context.recipe.faces, task.detector, watch)
    except PhotoError as error:
        refuse_machine_fault(photo.photo_id, error)
        stamp = "" if error.code in RETRY_CODES else row.stamp
        return replace(row, stamp=stamp, code=error.code, message=str(error)), None
    faces = tuple(
        FaceRow(
            box=(face.box.left, face.box.top, face.box.right, face.box.bottom),
            landmarks=np.ascontiguousarray(face.landmarks, np.float32).tobytes(),
            score=round(face.box.score, SCORE_DIGITS),
            quality=_figures(face.quality),
            detector=face.box.detector,
            turn=face.box.turn,
            landmarks_unsure=face.unsure,
        )
        for face in found.faces
    )
    return replace(row, faces=faces), (data, header)


def _add(
    gate: MaskGate,
    number: int,
    row: AnalysedPhoto,
    data: bytes,
    header: PhotoHeader,
    context: Context,
    watch: Stopwatch,
) -> AnalysedPhoto:
    """Give the faces of a photo to the gate; the row is a reject if its pixels cannot be read."""
    try:
        with watch.time("masked"):
            gate.add(number, data, header, row.faces, context.recipe.faces.max_pixels)
    except PhotoError as error:
        refuse_machine_fault(row.photo_id, error)
        return replace(row, faces=(), code=error.code, message=str(error))
    return row


def _figures(quality: FaceQuality | None) -> tuple[float, ...]:
    """Figures as the face table holds them, in the precision of float32."""
    return () if quality is None else tuple(float(np.float32(getattr(quality, name))) for name in FIGURES)


def _with_labels(row: AnalysedPhoto, photo: Photo, context: Context) -> AnalysedPhoto:
    """The row with the digest of its photo's label files. If they cannot be read, the photo itself is not rejected."""
    if not photo.labels:
        return row
    try:
        labels = labels_of(context.source(photo.source), photo.uri)
    except PhotoError as error:
        refuse_machine_fault(photo.photo_id, error)
        # They may become readable without any change in the listing, so the next run tries again.
        return replace(row, stamp="", labels=f"{UNREADABLE}{error}")
    return replace(row, labels=labels.sha256 if labels else "")


def _analyse(
    data: bytes, header: PhotoHeader, photo: Photo, faces: Faces, kind: Kind | None, watch: Stopwatch
) -> PhotoAnalysis:
    detectors = load_detectors(faces, kind)
    return analyse_photo(
        data,
        select=faces.select,
        assume=faces.assume,
        predictor=load_landmarks(faces),
        detector=load_detector(),
        network=detectors.network,
        hog_first=detectors.hog_first,
        max_pixels=faces.max_pixels,
        keep_damaged=faces.damaged == "keep",
        given_landmarks=_points(photo.landmarks),
        given=[given_face(face.box and FaceBox(*face.box), _points(face.landmarks)) for face in photo.faces],
        timed=watch.time,
        header=header,
    )


def _points(landmarks: bytes | None) -> Points | None:
    return None if landmarks is None else np.frombuffer(landmarks, np.float32).reshape(-1, 2)
