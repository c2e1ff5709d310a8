"""Look up the face table by photo, and by content for photos that were renamed, touched or copied."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt

from faceloom.pipelines.analyse.analysis import TOO_LARGE, Analysis
from faceloom.pipelines.analyse.photo_table import PhotoTable
from faceloom.pipelines.store.checked_shards import is_unreadable
from faceloom.pipelines.store.face_columns import read_columns, read_face_table, write_merged_faces
from faceloom.pipelines.store.parquet_tables import read_face_columns, read_faces
from faceloom.pipelines.store.paths import face_table, face_table_file
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import StorageError
from faceloom.schemas.faces import AnalysedPhoto
from faceloom.schemas.keys import digest
from faceloom.schemas.photos import Photo

if TYPE_CHECKING:
    import pyarrow as pa

Found = TypeVar("Found")
OnDamage = Callable[[str, StorageError], None]
MERGED_BYTES = 2**24
"""Size of a merged file: some 20,000 photos."""
FEWEST_MERGED = 20
"""Small files that are left as they are; each merge writes all rows of the small files again."""


def face_files(storage: Storage, analyser: str) -> list[str]:
    """The files of an analyser's face table in an output."""
    return storage.list(face_table(analyser))


def load_analysed(
    storage: Storage, files: Iterable[str], photos: Iterable[Photo], on_damage: OnDamage | None = None
) -> Analysis:
    """Rows of the face table for photos that did not change, by photo id.

    A row of an attempt that the next run repeats counts too, unless there is a better row.

    Args:
        storage: the output folder.
        files: from `face_files`.
        photos: as listed.
        on_damage: called with the path and the error of a damaged file, which is then left out. By default the error
            is raised.
    """
    analysed = Analysis(storage, PhotoTable.of(photos))
    add_files(storage, analysed, files, on_damage)
    return analysed


def add_files(storage: Storage, analysed: Analysis, files: Iterable[str], on_damage: OnDamage | None = None) -> None:
    """Take the rows of more files of the face table. Arguments as for `load_analysed`."""
    analysed.add(piece for _, piece in _read_each(files, partial(read_columns, storage), on_damage))


def _read_each(
    files: Iterable[str], read: Callable[[str], Found], on_damage: OnDamage | None
) -> Iterator[tuple[str, Found]]:
    for path in files:
        try:
            found = read(path)
        except StorageError as error:
            if on_damage is None or is_unreadable(error):
                raise
            on_damage(path, error)
            continue
        yield path, found


def merge_files(storage: Storage, analyser: str, on_damage: OnDamage | None = None) -> None:
    """Merge the small files that tasks wrote into larger ones, once there are many.

    A merged file is complete before the small ones are removed, so a kill loses no row. Rows that are then in two
    files are read as one, and stored once by the next merge.
    """
    sizes = {path: storage.size(path) for path in face_files(storage, analyser)}
    small = [path for path, size in sizes.items() if size < MERGED_BYTES // 2]
    if len(small) < FEWEST_MERGED:
        return
    tables: dict[str, pa.Table] = {}
    held = 0
    for path, table in _read_each(small, partial(read_face_table, storage), on_damage):
        tables[path] = table
        held += sizes[path]
        if held >= MERGED_BYTES:
            _merge(storage, analyser, tables)
            tables, held = {}, 0
    if len(tables) > 1:
        _merge(storage, analyser, tables)


def _merge(storage: Storage, analyser: str, tables: Mapping[str, pa.Table]) -> None:
    path = face_table_file(analyser, digest("merged", *tables)[:24])
    write_merged_faces(storage, path, list(tables.values()))
    for one in tables:
        if one != path:
            storage.remove(one)


def applies_to_identical_bytes(sha256: str, stamp: str, code: str, given: bool) -> bool:
    """Whether a row with these values applies to all other photos with the same bytes."""
    return bool(sha256 and stamp) and code != TOO_LARGE and not given


@dataclass(frozen=True, eq=False, slots=True)
class _Contents:
    """The first 64 bits of each content in the face table, in ascending order, and the file of its row."""

    heads: npt.NDArray[np.uint64]
    file: npt.NDArray[np.int32]
    files: list[str]

    def find(self, sha256: str) -> Iterator[str]:
        head = np.uint64(int(sha256[:16], 16))
        at = range(*(int(np.searchsorted(self.heads, head, side)) for side in ("left", "right")))
        return (self.files[self.file[place]] for place in at)


@lru_cache(maxsize=1)
def _contents(root: str, folder: str, table: str) -> _Contents:
    """The contents of a face table. Read once per process and run."""
    storage, names = Storage(root), ("sha256", "stamp", "code", "given")
    files = storage.list(folder)
    heads = [
        sorted(
            {
                int(row[0][:16], 16)
                for row in read_face_columns(storage, path, names)
                if applies_to_identical_bytes(*row)
            }
        )
        for path in files
    ]
    file = np.repeat(np.arange(len(files), dtype=np.int32), [len(some) for some in heads])
    joined = np.array([head for some in heads for head in some], np.uint64)
    order = np.argsort(joined, kind="stable")
    return _Contents(joined[order], file[order], files)


@lru_cache(maxsize=2)
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
    files = _contents(root, folder, table).find(sha256)
    return next((row for path in files if (row := _rows_by_content(root, path, table).get(sha256))), None)
