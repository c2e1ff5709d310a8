"""Read a photo or the files beside it again in a later stage, and check that they did not change."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from faceloom.pipelines.context import Context
from faceloom.pipelines.run.unforeseen import refuse_machine_fault
from faceloom.pipelines.sources.source import labels_of
from faceloom.schemas.errors import PhotoError
from faceloom.schemas.labels import PAIR, LabelFiles
from faceloom.schemas.plan import PlannedFace


def read_unchanged(context: Context, source: str, uri: str, sha256: str) -> bytes:
    """Read the bytes of a photo.

    Raises:
        PhotoError: `changed`, if they do not match the digest; or the photo cannot be read.
        SourceError: the whole source is gone.
        WorkerError: the machine is to blame that it cannot be read; the photo may be unchanged.
    """
    with _machine_faults_apart(f"{source}/{uri}"):
        data = context.source(source).read(uri)
    if hashlib.sha256(data).hexdigest() != sha256:
        raise PhotoError("changed", "the photo changed after it was analysed", where=f"{source}/{uri}")
    return data


def read_labels(context: Context, face: PlannedFace) -> LabelFiles | None:
    """Read the label files of a planned face's photo, or the other files of its pair; None if the plan has none.

    Raises:
        PhotoError: `changed`, if they do not match the planned digest; or they cannot be read.
        WorkerError: see `read_unchanged`.
    """
    if not face.labels:
        return None
    where = f"{face.source}/{face.uri}"
    with _machine_faults_apart(where):
        labels = labels_of(context.source(face.source), face.uri)
    if labels is None or labels.sha256 != face.labels:
        files = "masked photo or map" if labels and labels.order == PAIR else "label files"
        raise PhotoError("changed", f"the photo's {files} changed after it was analysed", where=where)
    return labels


@contextmanager
def _machine_faults_apart(where: str) -> Iterator[None]:
    try:
        yield
    except PhotoError as error:
        refuse_machine_fault(where, error)
        raise


def bad_photos(context: Context, faces: Iterable[PlannedFace]) -> dict[str, str]:
    """Find all photos of some faces and their neighbours that changed or cannot be read; the reason by photo id.

    Where one photo changed, others often did too; reporting all of them at once saves runs.
    """
    bad = {}
    faces = list(faces)
    neighbours = [face.morph.other for face in faces if face.morph]
    with_labels = {(face.source, face.uri) for face in faces}  # of a neighbour, only the photo is read
    for (source, uri), face in {(face.source, face.uri): face for face in [*neighbours, *faces]}.items():
        try:
            read_unchanged(context, source, uri, face.photo_sha256)
            if (source, uri) in with_labels:
                read_labels(context, face)
        except PhotoError as error:
            bad[f"{face.source}/{face.uri}"] = error.what
    return bad
