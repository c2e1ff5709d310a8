"""Whether shards and parts on disk are finished, and whether their bytes are those that their index lists."""

from __future__ import annotations

import hashlib

from faceloom.pipelines.store.parquet_tables import read_index, read_metadata
from faceloom.pipelines.store.paths import part_index, part_tar, shard_index, shard_tar
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import StorageError
from faceloom.schemas.index import IndexRow


def is_finished(storage: Storage, shard: str) -> bool:
    """Whether a shard exists at its full length."""
    index, tar = shard_index(shard), shard_tar(shard)
    if not (storage.exists(index) and storage.exists(tar)):
        return False
    return storage.size(tar) == read_metadata(storage, index)["bytes"]


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
    return all(matches_index(row, tar, 0) for row in rows)


def matches_index(row: IndexRow, data: bytes, begin: int) -> bool:
    """Whether the members of a sample have the digests that its index lists.

    Args:
        row: of the index.
        data: a piece of the tar file that holds the whole sample.
        begin: offset of `data` in the tar file.
    """
    contents = ((m.sha256, data[m.offset - begin : m.offset - begin + m.size]) for m in row.members)
    return all(hashlib.sha256(content).hexdigest() == sha256 for sha256, content in contents)
