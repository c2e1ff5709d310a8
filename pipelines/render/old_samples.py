"""Samples of a part that older shards hold, so that they are copied and not rendered. Every byte is checked."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import IO

from faceloom.pipelines.store.parquet_tables import read_index
from faceloom.pipelines.store.paths import shard_index, shard_tar
from faceloom.pipelines.store.sample_places import find_damage
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import StorageError
from faceloom.schemas.index import IndexRow


@dataclass(frozen=True, slots=True)
class OldSample:
    """A sample in an older shard.

    Attributes:
        row: of the index of that shard.
    """

    shard: str
    row: IndexRow


class OldSampleReader(contextlib.ExitStack):
    """Reads samples of older shards. The tar file of the last one stays open: the next sample is mostly in it too."""

    def __init__(self, storage: Storage) -> None:
        super().__init__()
        self._storage = storage
        self._shard = ""
        self._stream: IO[bytes]

    def read(self, old: OldSample) -> bytes:
        """Read the bytes of a sample, tar headers and padding included.

        Raises:
            StorageError: a byte differs from the index, or the shard cannot be read.
        """
        tar, row = shard_tar(old.shard), old.row
        if old.shard != self._shard:
            self.close()
            self._stream = self.enter_context(self._storage.open(tar))
            self._shard = old.shard
        data = self._storage.range_of(self._stream, tar, row.offset, row.length)
        if fault := find_damage(row, data, row.offset):
            remedy = "Run the same command again, which renders the sample"
            raise StorageError(f"sample {row.key} is damaged: {fault}", where=tar, remedy=remedy)
        return data


def find_old_samples(storage: Storage, shards: Sequence[str], inputs: Mapping[str, str]) -> dict[str, OldSample]:
    """Find samples in older shards, by key, and check every byte of them. Damaged samples and shards are left out.

    Args:
        storage: the output folder.
        shards: names of older shards.
        inputs: digest of everything that each wanted sample depends on, by key.
    """
    found: dict[str, OldSample] = {}
    for shard in shards:
        with contextlib.suppress(StorageError, OSError):
            rows = _rows(storage, shard, storage.stamp(shard_index(shard)))
            wanted = [row for row in rows if row.key not in found and inputs.get(row.key) == row.inputs]
            with storage.open(shard_tar(shard)) as stream:
                found |= {row.key: OldSample(shard, row) for row in wanted if _is_whole(storage, shard, stream, row)}
    return found


def _is_whole(storage: Storage, shard: str, stream: IO[bytes], row: IndexRow) -> bool:
    try:
        return not find_damage(row, storage.range_of(stream, shard_tar(shard), row.offset, row.length), row.offset)
    except StorageError:
        return False


@lru_cache(maxsize=2)
def _rows(storage: Storage, shard: str, version: tuple[object, ...]) -> list[IndexRow]:
    """Rows of an index. Neighbouring parts of a shard need the same ones; `version` changes when the file does."""
    return read_index(storage, shard_index(shard))
