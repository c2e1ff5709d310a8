"""Which samples of a split each reader reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from faceloom.pipelines.store.build_record import ShardRecord, read_record
from faceloom.pipelines.store.checked_shards import check_shards, reading
from faceloom.pipelines.store.paths import BUILD_RECORD
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import FaceloomError


class Counted(Protocol):
    """A shard whose name and number of samples are known: a `ShardRecord`, or a `ReleaseShard`."""

    @property
    def name(self) -> str:
        """Name of the shard."""

    @property
    def samples(self) -> int:
        """Number of its samples."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of neighbouring samples in one shard: those from number `start` up to, but not including, `stop`."""

    shard: str
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start


def split_shards(storage: Storage, split: str | None) -> tuple[ShardRecord, ...]:
    """Return the shards of one split of a finished build, or of all. Each exists with the length that is listed.

    Raises:
        StorageError: there is no finished build, or a shard is missing or of another length.
        FaceloomError: the build has no such split.
    """
    with reading(BUILD_RECORD):
        record = read_record(storage)
    shards = check_shards(storage, record, split)
    if not shards:
        splits = ", ".join(record.by_split) or "no samples at all"
        value = "" if split is None else split
        remedy = f"The build has: {splits}. Name another split, or give people to this one under `split` in the recipe"
        raise FaceloomError("the build has no such split", where=storage.root, value=value, remedy=remedy)
    return shards


def own_run(total: int, reader: int, readers: int) -> range:
    """Return the numbers, of `total` in all, that one of several readers reads. No two differ by more than one."""
    return range(total * reader // readers, total * (reader + 1) // readers)


def own_pieces(shards: Sequence[Counted], reader: int, readers: int, length: int | None = None) -> list[Piece]:
    """Return the samples that one of several readers reads, as pieces of shards.

    All readers together read every sample once, and no two differ by more than one sample.

    Args:
        shards: of the split, in order.
        reader: number of this reader, from 0.
        readers: number of readers.
        length: most samples in a piece; None for whole shards.
    """
    run = own_run(sum(shard.samples for shard in shards), reader, readers)
    pieces = []
    for piece in cut_pieces([Piece(shard.name, 0, shard.samples) for shard in shards], run.start, run.stop):
        step = length or len(piece)
        pieces += [Piece(piece.shard, at, min(at + step, piece.stop)) for at in range(piece.start, piece.stop, step)]
    return pieces


def cut_pieces(pieces: Sequence[Piece], first: int, last: int) -> list[Piece]:
    """Cut a run out of a sequence of pieces: the samples from number `first` up to, but not including, `last`.

    Samples are counted over all pieces in their order; numbers before the first or after the last sample are ignored.
    """
    found, begin = [], 0
    for piece in pieces:
        start, stop = max(first - begin, 0), min(last - begin, len(piece))
        if start < stop:
            found.append(Piece(piece.shard, piece.start + start, piece.start + stop))
        begin += len(piece)
    return found
