"""Erase a person or photos from the output folder of a build: shards, face table, neighbours, rejects, work."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from faceloom.pipelines.release.traces import COLUMNS, Traces
from faceloom.pipelines.store.neighbour_rows import read_neighbours
from faceloom.pipelines.store.output_folder import require_marker
from faceloom.pipelines.store.parquet_tables import (
    read_faces,
    read_index_table,
    read_metadata,
    read_rejects,
    write_faces,
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
from faceloom.schemas.faces import AnalysedPhoto
from faceloom.schemas.photos import Reject

if TYPE_CHECKING:
    import pyarrow as pa

_MOST_TEXT = 2**28


@dataclass(frozen=True, slots=True)
class BuildErasure:
    """What was deleted from the output folder of a build.

    Attributes:
        deleted, rewritten: paths of files.
        rows: number of rows that were taken out of tables.
        left_alone: whether nothing was changed, as nothing in the build is known to be of them.
    """

    deleted: tuple[str, ...]
    rewritten: tuple[str, ...]
    rows: int
    left_alone: bool = False


def erase_from_build(storage: Storage, traces: Traces) -> BuildErasure:
    """Delete everything in the output folder of a build that holds a person or photos.

    Whole shards go, since the next build makes them anew without the person; so do all unfinished work and the build's
    record, so that the folder counts as unfinished. A file that cannot be read goes too: it may hold the person.
    Photos without samples are forgotten too, as their rows do not state whose they are, and so are all rejects, which
    the next build writes again. Photos outside of the folder stay as they are.

    A finished build in which no sample, reject, path or face is known to be of them stays as it is: the name may be
    misspelt. So a photo without samples is found by its sha256 alone, unless its path or a reject names the person.

    The indexes go last, since they list the photos of the person: an erasure that was killed is finished by the same
    call.

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
        if storage.exists(BUILD_RECORD) and not _may_hold(storage, traces, indexes):
            return BuildErasure((), (), 0, left_alone=True)
        goes = [BUILD_RECORD, DATA_CARD, GALLERY, *storage.list(LOGS), *storage.list(REJECTS), *storage.list(WORK)]
        goes += [*storage.partials(), *(path for path in storage.list(NEIGHBOURS) if _names_in(storage, path, traces))]
        last = [path for shard in _shards(storage, traces) for path in (shard_index(shard), shard_tar(shard))]
        goes, last = ([path for path in paths if path != ERASED and storage.exists(path)] for paths in (goes, last))
        storage.write_if_changed(ERASED, b"")
        for path in goes:  # the record first
            storage.remove(path)
        rewritten, deleted, rows = _clean_faces(storage, traces)
        for path in last:  # an index before its tar file
            storage.remove(path)
    return BuildErasure((*goes, *deleted, *last), tuple(rewritten), rows)


def _indexes(storage: Storage) -> list[pa.Table]:
    tables = []
    for path in storage.list(INDEX):
        with contextlib.suppress(StorageError):
            tables.append(read_index_table(storage, path, COLUMNS))
    return tables


def _may_hold(storage: Storage, traces: Traces, indexes: list[pa.Table]) -> bool:
    """Whether something in a finished build is of the person, or cannot be read, or is unfinished."""
    if any(any(traces.rows(table)) for table in indexes) or storage.list(WORK) or storage.partials():
        return True
    if _without_index(storage) or len(indexes) < len(storage.list(INDEX)):
        return True
    try:
        return (
            any(traces.rejects(one) for path in storage.list(INDEX) for one in _rejects(storage, path))
            or any(traces.rejects(one) for path in storage.list(REJECTS) for one in read_rejects(storage, path))
            or any(_is_known(one, traces) for path in storage.list(FACES) for one in read_faces(storage, path))
            or any(_names_in(storage, path, traces, unknown=False) for path in storage.list(NEIGHBOURS))
        )
    except StorageError:
        return True


def _is_known(photo: AnalysedPhoto, traces: Traces) -> bool:
    return photo.sha256 in traces.photos or photo.sha256 in traces.shared or traces.names_path(photo.photo_id)


def _rejects(storage: Storage, index: str) -> list[Reject]:
    parts = read_metadata(storage, index)["parts"].values()
    return [Reject(**reject) for of_part in parts for reject in of_part]


def _without_index(storage: Storage) -> list[str]:
    known = {shard_of_index(path) for path in storage.list(INDEX)}
    tars = [path.removeprefix(f"{SHARDS}/").removesuffix(".tar") for path in storage.list(SHARDS)]
    return [shard for shard in tars if shard not in known]


def _shards(storage: Storage, traces: Traces) -> list[str]:
    """Shards, of this build and older ones, that hold the person, or that cannot be read or have no index."""
    found = []
    for path in storage.list(INDEX):
        try:
            named = any(
                traces.rejects(one) or traces.may_name(one, shard_of_index(path)) for one in _rejects(storage, path)
            )
            keep = not named and not any(traces.rows(read_index_table(storage, path, COLUMNS)))
        except StorageError:
            keep = False
        if not keep:
            found.append(shard_of_index(path))
    return found + _without_index(storage)


def _names_in(storage: Storage, path: str, traces: Traces, *, unknown: bool = True) -> bool:
    """Whether a file of neighbours names the person or a photo, or cannot be read; or a photo without samples."""
    try:
        if path.endswith(".parquet"):
            texts = [f"{row.query} {row.neighbour}" for row in read_neighbours(storage, path)]
        else:
            texts = [storage.read_bytes(path, _MOST_TEXT).decode(errors="replace")]
    except StorageError:
        return True
    return any(traces.names(text) or (unknown and traces.names_unknown(text)) for text in texts)


def _clean_faces(storage: Storage, traces: Traces) -> tuple[list[str], list[str], int]:
    """Take photos of the person, and those without samples, out of the face table. A damaged table is deleted.

    Returns:
        Tables that were written anew, those that were deleted, and the number of rows that were taken out.
    """
    rewritten: list[str] = []
    deleted: list[str] = []
    count = 0
    for path in storage.list(FACES):
        try:
            photos = read_faces(storage, path)
        except StorageError:
            storage.remove(path)
            deleted.append(path)
            continue
        known = traces.others - traces.shared  # the row of a shared photo holds the person's face too
        kept = [one for one in photos if one.sha256 in known and not traces.names_path(one.photo_id)]
        if len(kept) < len(photos):
            write_faces(storage, path, kept)
            rewritten.append(path)
            count += len(photos) - len(kept)
    return rewritten, deleted, count
