"""Find parts to lift: parts that an older shard of this output holds, so that they are copied and not rendered."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass

from faceloom.pipelines.store.parquet_tables import read_index_columns, read_metadata
from faceloom.pipelines.store.paths import INDEX, shard_index, shard_of_index
from faceloom.pipelines.store.shard_files import find_damaged, is_finished
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import StorageError
from faceloom.schemas.plan import Shard


@dataclass(frozen=True, slots=True)
class Lift:
    """The byte range of a part in the tar of an older shard."""

    shard: str
    offset: int
    length: int


def find_lifts(storage: Storage, missing: Iterable[Shard]) -> dict[str, Lift]:
    """Find the parts of missing shards in finished shards. Returns lifts by part digest.

    An older shard that is damaged, or whose index is, is left out: its parts are rendered again.
    """
    wanted = {part.digest for shard in missing for part in shard.parts}
    lifts: dict[str, Lift] = {}
    if not wanted:
        return lifts
    for path in storage.list(INDEX):
        with contextlib.suppress(StorageError):
            lifts |= _lifts_of(storage, path, wanted - set(lifts))
    damaged = find_damaged(storage, sorted({lift.shard for lift in lifts.values()}))
    return {part: lift for part, lift in lifts.items() if lift.shard not in damaged}


def _lifts_of(storage: Storage, path: str, wanted: set[str]) -> dict[str, Lift]:
    shard = shard_of_index(path)
    held = wanted.intersection(read_metadata(storage, path)["parts"])
    if not held or path != shard_index(shard) or not is_finished(storage, shard):
        return {}
    columns = read_index_columns(storage, path, ["part", "offset", "length"])
    lifts = {}
    for part in held:
        spans = [
            (offset, offset + length)
            for name, offset, length in zip(columns["part"], columns["offset"], columns["length"], strict=True)
            if name == part
        ]
        begin = min((start for start, _ in spans), default=0)
        lifts[part] = Lift(shard, begin, max((stop for _, stop in spans), default=0) - begin)
    return lifts
