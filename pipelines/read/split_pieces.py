"""Which samples of a split each reader reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from faceloom.pipelines.store.build_record import ShardRecord, read_record
from faceloom.pipelines.store.paths import shard_tar
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import FaceloomError, StorageError


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of neighbouring samples in one shard: those from number `start` up to, but not including, `stop`."""

    shard: str
    start: int
    stop: int


def split_shards(storage: Storage, split: str) -> tuple[ShardRecord, ...]:
    """Return the shards of one split of a finished build. Each exists at its full length.

    Raises:
        StorageError: there is no finished build, or a shard is missing or cut short.
        FaceloomError: the build has no such split.
    """
    record = read_record(storage)
    shards = tuple(shard for shard in record.shards if shard.split == split)
    if not shards:
        splits = ", ".join(record.by_split) or "no samples at all"
        raise FaceloomError(
            "the build has no such split", where=storage.root, value=split, remedy=f"The build has: {splits}"
        )
    for shard in shards:
        path = shard_tar(shard.name)
        if not storage.exists(path) or storage.size(path) != shard.bytes:
            remedy = "Delete this shard and its index, then run the same `faceloom build` again"
            raise StorageError("the shard is missing or cut short", where=path, remedy=remedy)
    return shards


def own_pieces(shards: Sequence[ShardRecord], reader: int, readers: int, length: int | None = None) -> list[Piece]:
    """Return the samples that one of several readers reads, as pieces of shards.

    All readers together read every sample once, and no two differ by more than one sample.

    Args:
        shards: of the split, in order.
        reader: number of this reader, from 0.
        readers: number of readers.
        length: most samples in a piece; None for whole shards.
    """
    total = sum(shard.samples for shard in shards)
    first, last = total * reader // readers, total * (reader + 1) // readers
    pieces, begin = [], 0
    for shard in shards:
        start, stop = max(first - begin, 0), min(last - begin, shard.samples)
        step = length or max(1, shard.samples)
        pieces += [Piece(shard.name, at, min(at + step, stop)) for at in range(start, stop, step)]
        begin += shard.samples
    return pieces
