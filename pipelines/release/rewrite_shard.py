"""Write a shard of the pool anew with some of its samples, for an erasure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence

from faceloom.pipelines.release.manifest import pool_name
from faceloom.pipelines.release.traces import Traces
from faceloom.pipelines.store.build_record import ShardRecord
from faceloom.pipelines.store.checked_shards import AGAIN, read_rows
from faceloom.pipelines.store.parquet_tables import index_bytes, read_metadata
from faceloom.pipelines.store.paths import shard_index, shard_tar
from faceloom.pipelines.store.sample_places import find_damage
from faceloom.pipelines.store.storage import Storage
from faceloom.pipelines.store.tar_writer import END
from faceloom.schemas.errors import StorageError
from faceloom.schemas.index import IndexRow, moved
from faceloom.schemas.photos import Reject
from faceloom.schemas.release import ReleaseShard


def rewrite_shard(storage: Storage, shard: ReleaseShard, kept: frozenset[str], traces: Traces) -> ReleaseShard:
    """Write a shard with some of its samples, and its index without rejects that name the person, into the pool.

    The tar file is read twice, because its name is a digest of its content.

    Args:
        storage: the folder of releases.
        shard: the shard as it is.
        kept: keys of the samples to keep, at least one.
        traces: what to erase.

    Raises:
        StorageError: the shard is damaged, or the new one cannot be written.
    """
    old = read_rows(storage, ShardRecord(**shard.model_dump()))
    rows = [row for row in old if row.key in kept]
    places = {(row.source, row.uri) for row in rows}
    digest = hashlib.sha256()
    for data in _contents(storage, shard.name, rows):
        digest.update(data)
    length, sha256 = sum(row.length for row in rows) + len(END), digest.hexdigest()
    parts = {
        part: [reject for reject in found if _stays(Reject(**reject), shard.name, places, traces)]
        for part, found in read_metadata(storage, shard_index(shard.name))["parts"].items()
    }
    index = bytes(index_bytes(list(_packed(rows)), parts, length=length, sha256=sha256))
    index_sha256 = hashlib.sha256(index).hexdigest()
    name = pool_name(shard.name, sha256, index_sha256)
    with storage.write(shard_tar(name)) as stream:
        for data in _contents(storage, shard.name, rows):
            stream.write(data)
    with storage.write(shard_index(name)) as stream:
        stream.write(index)
    return ReleaseShard(
        name=name, split=shard.split, samples=len(rows), bytes=length, sha256=sha256, index_bytes=len(index),
        index_sha256=index_sha256,
    )  # fmt: skip


def _stays(reject: Reject, shard: str, places: set[tuple[str, str]], traces: Traces) -> bool:
    """Whether a reject stays: it is of a photo that still has samples. Other photos may be of the person."""
    has_samples = (reject.source, reject.uri) in places
    return has_samples and not traces.rejects(reject) and not traces.may_name(reject, shard)


def _contents(storage: Storage, shard: str, rows: Sequence[IndexRow]) -> Iterator[bytes]:
    """The bytes of some samples of a shard, each compared with the index, and the end of a tar file."""
    tar = shard_tar(shard)
    with storage.open(tar) as stream:
        for row in rows:
            data = storage.range_of(stream, tar, row.offset, row.length)
            if fault := find_damage(row, data, row.offset):
                raise StorageError(f"sample {row.key} is damaged: {fault}", where=tar, remedy=AGAIN)
            yield data
    yield END


def _packed(rows: Iterable[IndexRow]) -> Iterator[IndexRow]:
    """Rows whose samples lie side by side from the start of a tar file."""
    at = 0
    for row in rows:
        yield moved(row, at)
        at += row.length
