"""Look up the face table by photo, and by content for photos that were renamed, touched or copied."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from faceloom.pipelines.analyse.analysis import TOO_LARGE, Analysis
from faceloom.pipelines.analyse.photo_table import PhotoTable
from faceloom.pipelines.store.face_columns import read_columns
from faceloom.pipelines.store.parquet_tables import read_face_columns, read_faces
from faceloom.pipelines.store.paths import face_table
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.faces import AnalysedPhoto
from faceloom.schemas.photos import Photo


def face_files(storage: Storage, analyser: str) -> list[str]:
    """The files of an analyser's face table in an output."""
    return storage.list(face_table(analyser))


def load_analysed(storage: Storage, files: Iterable[str], photos: Iterable[Photo]) -> Analysis:
    """Rows of the face table for photos that did not change, by photo id and without quality figures.

    A row of an attempt that the next run repeats counts too, unless there is a better row.
    """
    analysed = Analysis(storage, PhotoTable.of(photos))
    add_files(storage, analysed, files)
    return analysed


def add_files(storage: Storage, analysed: Analysis, files: Iterable[str]) -> None:
    """Take the rows of more files of the face table."""
    analysed.add(read_columns(storage, path) for path in files)


def applies_to_identical_bytes(sha256: str, stamp: str, code: str, given: bool) -> bool:
    """Whether a row with these values applies to all other photos with the same bytes."""
    return bool(sha256 and stamp) and code != TOO_LARGE and not given


@lru_cache(maxsize=1)
def _files_by_content(root: str, folder: str, table: str) -> dict[bytes, str]:
    """The file of the face table with the row of each content, by sha256. Read once per process and run."""
    storage, names = Storage(root), ("sha256", "stamp", "code", "given")
    rows = ((path, row) for path in storage.list(folder) for row in read_face_columns(storage, path, names))
    return {bytes.fromhex(row[0]): path for path, row in rows if applies_to_identical_bytes(*row)}


@lru_cache(maxsize=64)
def _rows_by_content(root: str, path: str, table: str) -> dict[str, AnalysedPhoto]:
    """Rows of a file by sha256. Cached, because photos that were renamed together are mostly in one file."""
    rows = read_faces(Storage(root), path)
    return {row.sha256: row for row in rows if applies_to_identical_bytes(row.sha256, row.stamp, row.code, row.given)}


def row_of_content(root: str, folder: str, table: str, sha256: str) -> AnalysedPhoto | None:
    """Look up a content in the face table, under any photo id.

    Args:
        root: of the output.
        folder: of the face table, below the root.
        table: changes whenever the table may have changed, so that the cached table is read again.
        sha256: of the photo's bytes.

    Raises:
        StorageError: the table cannot be read.
    """
    path = _files_by_content(root, folder, table).get(bytes.fromhex(sha256))
    return _rows_by_content(root, path, table).get(sha256) if path else None
