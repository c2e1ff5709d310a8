"""Which samples of a split each reader reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from faceloom.pipelines.store.build_record import ShardRecord, read_record
from faceloom.pipelines.store.checked_shards import check_shards, reading
from faceloom.pipelines.store.paths import BUILD_RECORD
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import FaceloomError


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of neighbouring samples in one shard: those from number `start` up to, but not including, `stop`."""

    shard: str
    start: int
    stop: int


def split_shards(storage: Storage, split: str) -> tuple[ShardRecord, ...]:
    """Return the shards of one split of a finished build. Each exists with the length that the record lists.

    Raises:
        StorageError: there is no finished build, or a shard is missing or of another length.
        FaceloomError: the build has no such split.
    """
    with reading(BUILD_RECORD):
        record = read_record(storage)
    shards = check_shards(storage, record, split)
    if not shards:
        splits = ", ".join(record.by_split) or "no samples at all"
        raise FaceloomError(
            "the build has no such split", where=storage.root, value=split, remedy=f"The build has: {splits}"
        )
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
