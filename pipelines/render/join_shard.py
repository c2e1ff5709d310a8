"""Join the parts of a shard, in order, into one tar file with one index."""

from __future__ import annotations

from dataclasses import replace
from functools import cache, partial
from typing import Any

from faceloom.pipelines.context import Context
from faceloom.pipelines.render.part_task import ShardTask
from faceloom.pipelines.run.unforeseen import naming
from faceloom.pipelines.store.parquet_tables import read_index, read_metadata, write_index
from faceloom.pipelines.store.paths import part_index, part_tar, planned_faces, shard_index, shard_tar
from faceloom.pipelines.store.shard_files import is_finished, is_rendered, matches_index
from faceloom.pipelines.store.storage import Storage
from faceloom.pipelines.store.tar_writer import END
from faceloom.schemas.errors import StorageError
from faceloom.schemas.index import IndexRow


def join_shard(task: ShardTask, context: Context) -> None:
    """Join a shard's parts in order: write the tar first and the index last, then delete the parts. Idempotent.

    If a part is missing because its render failed, nothing is written.
    """
    with naming(f"shard {task.shard}"):
        _join_shard(task, context)


def _join_shard(task: ShardTask, context: Context) -> None:
    storage = context.storage
    if is_finished(storage, task.shard):
        return
    lifts = dict(task.lifts)
    if not all(part in lifts or is_rendered(storage, part) for part in task.parts):
        return
    rows: list[IndexRow] = []
    parts: dict[str, Any] = {}
    read = cache(partial(read_index, storage))  # several parts may be lifted from one shard
    with storage.write(shard_tar(task.shard)) as stream:
        offset = 0
        for part in task.parts:
            lift = lifts.get(part)
            index = shard_index(lift.shard) if lift else part_index(part)
            begin = lift.offset if lift else 0
            part_rows = [row for row in read(index) if row.part == part]
            parts[part] = read_metadata(storage, index)["parts"][part]
            for row in part_rows:
                stream.write(_sample_bytes(storage, shard_tar(lift.shard) if lift else part_tar(part), row))
            rows += [_moved(row, offset - begin) for row in part_rows]
            offset += sum(row.length for row in part_rows)
        stream.write(END)
    write_index(storage, shard_index(task.shard), rows, parts, length=offset + len(END))
    for part in task.parts:
        for path in (part_tar(part), planned_faces(part), part_index(part)):
            storage.remove(path)


def _sample_bytes(storage: Storage, tar: str, row: IndexRow) -> bytes:
    data = storage.read_range(tar, row.offset, row.length)
    if not matches_index(row, data, row.offset):
        remedy = "Delete this file and run the same command again to recreate it"
        raise StorageError(f"damaged: sample {row.key} does not match the index", where=tar, remedy=remedy)
    return data


def _moved(row: IndexRow, by: int) -> IndexRow:
    members = tuple(replace(member, offset=member.offset + by) for member in row.members)
    return replace(row, offset=row.offset + by, members=members)
