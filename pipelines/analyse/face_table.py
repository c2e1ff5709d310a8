"""Look up the face table: by photo, as it is now, and by content, for photos that were renamed, touched or copied."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import lru_cache

from faceloom.pipelines.store.parquet_tables import read_face_columns, read_faces
from faceloom.pipelines.store.paths import face_table
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.faces import AnalysedPhoto
from faceloom.schemas.photos import Photo

TOO_LARGE = "too_many_pixels"
"""A reject that a higher limit undoes."""


def stamp_of(photo: Photo) -> str:
    """What tells whether a photo, or the landmarks or labels given with it, changed since it was analysed."""
    parts = [photo.stamp]
    if photo.landmarks is not None:
        parts.append(hashlib.sha256(photo.landmarks).hexdigest()[:16])
    if photo.labels:
        parts.append(hashlib.sha256(photo.labels.encode()).hexdigest()[:16])
    return "+".join(parts)


def face_files(storage: Storage, analyser: str) -> list[str]:
    """The files of the face table that this analyser has written to an output."""
    return storage.list(face_table(analyser))


def load_analysed(storage: Storage, files: Iterable[str], photos: Iterable[Photo]) -> dict[str, AnalysedPhoto]:
    """What files of the face table say of some photos as they are now, by photo id and without quality figures.

    A row of an attempt that is to be repeated counts too, while there is no better one.
    """
    listed = {photo.photo_id: photo for photo in photos}
    known: dict[str, AnalysedPhoto] = {}
    for path in files:
        for row in read_faces(storage, path, quality=False):
            photo = listed.get(row.photo_id)
            if photo is None or row.size != photo.size or row.stamp not in ("", stamp_of(photo)):
                continue
            if row.photo_id not in known or _certainty(row) >= _certainty(known[row.photo_id]):
                known[row.photo_id] = row
    return known


def _certainty(row: AnalysedPhoto) -> int:
    if not row.stamp:
        return 0  # to be tried again
    return 1 if row.code == TOO_LARGE else 2  # too large for the limit of its day


def applies_to_identical_bytes(sha256: str, stamp: str, code: str, given: bool) -> bool:
    """Whether a row with these values holds for every other photo of the same bytes, too."""
    return bool(sha256 and stamp) and code != TOO_LARGE and not given


@lru_cache(maxsize=1)
def _files_by_content(root: str, folder: str, table: str) -> dict[bytes, str]:
    """Where the face table speaks of which content, by sha256: read once per process and run, and small."""
    storage, names = Storage(root), ("sha256", "stamp", "code", "given")
    rows = ((path, row) for path in storage.list(folder) for row in read_face_columns(storage, path, names))
    return {bytes.fromhex(row[0]): path for path, row in rows if applies_to_identical_bytes(*row)}


@lru_cache(maxsize=64)
def _rows_by_content(root: str, path: str, table: str) -> dict[str, AnalysedPhoto]:
    """Rows of a file. Photos that were renamed together mostly lie in one."""
    rows = read_faces(Storage(root), path)
    return {row.sha256: row for row in rows if applies_to_identical_bytes(row.sha256, row.stamp, row.code, row.given)}


def row_of_content(root: str, folder: str, table: str, sha256: str) -> AnalysedPhoto | None:
    """What the face table says of some content, whatever the photo was called.

    Args:
        root: of the output.
        folder: of the face table, below the root.
        table: changes whenever the table may have; it is read once per process for each.
        sha256: of the photo's bytes.

    Raises:
        StorageError: the table cannot be read.
    """
    path = _files_by_content(root, folder, table).get(bytes.fromhex(sha256))
    return _rows_by_content(root, path, table).get(sha256) if path else None
