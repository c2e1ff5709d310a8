"""Erase a person or photos from the output folder of a build: shards, face table, neighbours, rejects, work."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from faceloom.pipelines.release.traces import COLUMNS, Traces
from faceloom.pipelines.store.output_folder import require_marker
from faceloom.pipelines.store.parquet_tables import (
    read_faces,
    read_index_table,
    read_metadata,
    read_neighbours,
    read_rejects,
    write_faces,
    write_rejects,
)
from faceloom.pipelines.store.paths import (
    BUILD_RECORD,
    DATA_CARD,
    ERASED,
    FACES,
    GALLERY,
    INDEX,
    LOGS,
    NEIGHBOURS,
    REJECTS,
    SHARDS,
    WORK,
    shard_index,
    shard_of_index,
    shard_tar,
)
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import StorageError
from faceloom.schemas.photos import Reject

if TYPE_CHECKING:
    import pyarrow as pa

Row = TypeVar("Row")
_MOST_TEXT = 2**28


@dataclass(frozen=True, slots=True)
class BuildErasure:
    """What was deleted from the output folder of a build.

    Attributes:
        deleted, rewritten: paths of files.
        rows: number of rows that were taken out of tables.
    """

    deleted: tuple[str, ...]
    rewritten: tuple[str, ...]
    rows: int


def erase_from_build(storage: Storage, traces: Traces) -> BuildErasure:
    """Delete everything in the output folder of a build that holds a person or photos.

    Whole shards go, since the next build makes them anew without the person; so do all unfinished work and the build's
    record, so that the folder counts as unfinished. A file that cannot be read goes too: it may hold the person.
    Photos without samples are forgotten too, as their rows do not tell whose they are. Photos outside of the folder
    stay as they are.

    Args:
        storage: the output folder.
        traces: of a release, which knows all photos of the person; those that the indexes of the build list are added.

    Raises:
        StorageError: the folder is no output of faceloom, another process is writing to it, or a file cannot be deleted
            or written.
    """
    require_marker(storage)  # before the lock file is written
    with storage.exclusive():
        indexes = _indexes(storage)
        traces = traces.with_photos_of(indexes)
        known = {photo for table in indexes for photo in table["photo_sha256"].to_pylist()} - traces.photos
        goes = [path for path in (BUILD_RECORD, DATA_CARD, GALLERY) if storage.exists(path)]
        goes += [path for shard in _shards(storage, traces) for path in (shard_index(shard), shard_tar(shard))]
        goes += [path for path in storage.list(NEIGHBOURS) if _names_in(storage, path, traces)]
        goes += [path for path in storage.list(LOGS) if _names_in(storage, path, traces)]
        goes += [*storage.list(WORK), *storage.partials()]
        goes = [path for path in goes if storage.exists(path)]
        storage.write_if_changed(ERASED, b"")
        for path in goes:  # the record first, an index before its tar file
            storage.remove(path)
        rewritten: list[str] = []
        rows = 0
        for path in storage.list(FACES):
            rows += _without(
                storage, path, read_faces, write_faces, goes, rewritten,
                lambda photo: photo.sha256 not in known or traces.names_path(photo.photo_id),
            )  # fmt: skip
        for path in storage.list(REJECTS):
            rows += _without(storage, path, read_rejects, write_rejects, goes, rewritten, traces.rejects)
    return BuildErasure(tuple(goes), tuple(rewritten), rows)


def _indexes(storage: Storage) -> list[pa.Table]:
    tables = []
    for path in storage.list(INDEX):
        with contextlib.suppress(StorageError):
            tables.append(read_index_table(storage, path, COLUMNS))
    return tables


def _shards(storage: Storage, traces: Traces) -> list[str]:
    """Shards, of this build and older ones, that hold the person, or that cannot be read or have no index."""
    found = []
    for path in storage.list(INDEX):
        try:
            parts = read_metadata(storage, path)["parts"].values()
            named = any(traces.rejects(Reject(**reject)) for of_part in parts for reject in of_part)
            keep = not named and not any(traces.rows(read_index_table(storage, path, COLUMNS)))
        except StorageError:
            keep = False
        if not keep:
            found.append(shard_of_index(path))
    known = {shard_of_index(path) for path in storage.list(INDEX)}
    tars = [path.removeprefix(f"{SHARDS}/").removesuffix(".tar") for path in storage.list(SHARDS)]
    return found + [shard for shard in tars if shard not in known]


def _names_in(storage: Storage, path: str, traces: Traces) -> bool:
    """Whether a file of neighbours or a log names a photo or the person, or cannot be read."""
    try:
        if path.endswith(".parquet"):
            return any(traces.names(f"{row.query} {row.neighbour}") for row in read_neighbours(storage, path))
        return traces.names(storage.read_bytes(path, _MOST_TEXT).decode(errors="replace"))
    except StorageError:
        return True


def _without(
    storage: Storage,
    path: str,
    read: Callable[[Storage, str], list[Row]],
    write: Callable[[Storage, str, Sequence[Row]], None],
    deleted: list[str],
    rewritten: list[str],
    is_gone: Callable[[Row], bool],
) -> int:
    """Write a table without some of its rows; returns their number. A table that cannot be read is deleted."""
    try:
        rows = read(storage, path)
    except StorageError:
        storage.remove(path)
        deleted.append(path)
        return 0
    kept = [row for row in rows if not is_gone(row)]
    if len(kept) < len(rows):
        write(storage, path, kept)
        rewritten.append(path)
    return len(rows) - len(kept)
