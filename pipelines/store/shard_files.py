"""Which shards and parts on disk are finished, and which of them are damaged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from faceloom.pipelines.store.checked_shards import check_every_byte, check_length, is_unreadable
from faceloom.pipelines.store.parquet_tables import read_index
from faceloom.pipelines.store.paths import part_index, part_tar, shard_index, shard_tar
from faceloom.pipelines.store.sample_places import find_damage, find_misplaced
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import StorageError

_THREADS = 4  # hashing releases the interpreter's lock


def is_finished(storage: Storage, shard: str) -> bool:
    """Whether a shard exists with exactly the length that its index lists. Reads no sample.

    Raises:
        StorageError: the system refuses to read it.
    """
    if not (storage.exists(shard_index(shard)) and storage.exists(shard_tar(shard))):
        return False
    return not _fault(check_length, storage, shard)


def find_damaged(
    storage: Storage, shards: Sequence[str], on_count: Callable[[int], None] = lambda _: None
) -> dict[str, str]:
    """Read every byte of finished shards; returns what is wrong with the damaged ones, by name.

    Args:
        storage: the output folder.
        shards: names of finished shards.
        on_count: called with the number of shards that are read.

    Raises:
        StorageError: the system refuses to read one.
    """
    damaged = {}
    with ThreadPoolExecutor(_THREADS) as pool:
        for count, (shard, fault) in enumerate(
            zip(shards, pool.map(partial(_fault, check_every_byte, storage), shards), strict=True), 1
        ):
            if fault:
                damaged[shard] = fault
            on_count(count)
    return damaged


def _fault(check: Callable[[Storage, str], object], storage: Storage, shard: str) -> str:
    """What a check finds wrong with a shard; empty if nothing."""
    try:
        check(storage, shard)
    except StorageError as error:
        if is_unreadable(error):
            raise
        return error.what
    return ""


def is_rendered(storage: Storage, part: str) -> bool:
    """Whether a part exists; after a power cut it need not be whole."""
    return storage.exists(part_index(part)) and storage.exists(part_tar(part))


def is_whole(storage: Storage, part: str) -> bool:
    """Whether a part of an earlier run exists to its last byte. Reads all of it."""
    if not is_rendered(storage, part):
        return False
    try:
        rows, tar = read_index(storage, part_index(part)), storage.read_bytes(part_tar(part))
    except StorageError:
        return False
    return not find_misplaced(rows, len(tar)) and not any(find_damage(row, tar, 0) for row in rows)
