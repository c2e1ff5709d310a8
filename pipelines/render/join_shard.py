"""Join the parts of a shard, in order, into one tar file with one index."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from faceloom.pipelines.context import Context
from faceloom.pipelines.render.part_task import ShardTask
from faceloom.pipelines.run.unforeseen import naming
from faceloom.pipelines.store.parquet_tables import read_index, read_metadata, write_index
from faceloom.pipelines.store.paths import part_index, part_tar, planned_faces, shard_index, shard_tar
from faceloom.pipelines.store.sample_places import find_damage, find_misplaced
from faceloom.pipelines.store.shard_files import is_finished, is_rendered
from faceloom.pipelines.store.storage import Storage
from faceloom.pipelines.store.tar_writer import END
from faceloom.schemas.errors import StorageError
from faceloom.schemas.index import IndexRow, moved

_REMEDY = "Delete this file and run the same command again, which renders its samples anew"


def join_shard(task: ShardTask, context: Context) -> None:
    """Join a shard's parts in order: write the tar first and the index last, then delete the parts. Idempotent.

    If a part is missing because its render failed, nothing is written.
    """
    with naming(f"shard {task.shard}"):
        try:
            _join_shard(task, context)
        except StorageError:
            if not is_finished(context.storage, task.shard):  # by another process, which then deleted the parts
                raise


def _join_shard(task: ShardTask, context: Context) -> None:
    storage = context.storage
    if is_finished(storage, task.shard):
        return
    if not all(is_rendered(storage, part) for part in task.parts):
        return
    rows: list[IndexRow] = []
    found: dict[str, list[IndexRow]] = {}  # the rows of each part's index, by its tar file
    parts: dict[str, Any] = {}
    offset = 0
    for part in task.parts:
        parts[part] = read_metadata(storage, part_index(part))["parts"].get(part, [])  # counted later
        found[part_tar(part)] = read_index(storage, part_index(part))
        for row in found[part_tar(part)]:
            rows.append(moved(row, offset))
            offset += row.length
    if fault := find_misplaced(rows, offset):
        where = ", ".join(sorted(tar for tar, held in found.items() if held))
        raise StorageError(f"damaged: an index cannot be right: {fault}", where=where, remedy=_REMEDY)
    with storage.write(shard_tar(task.shard)) as stream:
        sha256 = hashlib.sha256()
        for data in chain(_contents(storage, found), (END,)):
            sha256.update(data)
            stream.write(data)
    length, digest = offset + len(END), sha256.hexdigest()
    write_index(storage, shard_index(task.shard), rows, parts, length=length, sha256=digest)
    for part in task.parts:
        for path in (part_tar(part), planned_faces(part), part_index(part)):
            storage.remove(path)
    storage.remove(planned_faces(task.shard))


def _contents(storage: Storage, found: Mapping[str, Sequence[IndexRow]]) -> Iterator[bytes]:
    """The bytes of all samples, each compared with its row."""
    for tar, rows in found.items():
        with storage.open(tar) as stream:
            for row in rows:
                data = storage.range_of(stream, tar, row.offset, row.length)
                if fault := find_damage(row, data, row.offset):
                    raise StorageError(f"damaged: sample {row.key}: {fault}", where=tar, remedy=_REMEDY)
                yield data
