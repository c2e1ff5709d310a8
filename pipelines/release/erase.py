"""Erase a person or photos: a new release without them, made from the folder of releases alone."""

from __future__ import annotations

import contextlib
import hashlib
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from faceloom.pipelines.release.channel_log import append_entry
from faceloom.pipelines.release.create import check_version
from faceloom.pipelines.release.manifest import Published, pool_name, read_manifest
from faceloom.pipelines.release.provenance import count_content
from faceloom.pipelines.release.publish import free_unused, publish, refuse_existing
from faceloom.pipelines.release.resolve import read_versions, resolve, set_names
from faceloom.pipelines.release.root import locked_root
from faceloom.pipelines.release.traces import COLUMNS, Traces, traces_of
from faceloom.pipelines.run.watcher import Watcher
from faceloom.pipelines.store.build_record import ShardRecord
from faceloom.pipelines.store.checked_shards import AGAIN, read_rows
from faceloom.pipelines.store.parquet_tables import read_index_table, read_metadata, write_index
from faceloom.pipelines.store.paths import channel_log, release_folder, shard_index, shard_tar
from faceloom.pipelines.store.sample_places import find_damage
from faceloom.pipelines.store.storage import Storage
from faceloom.pipelines.store.tar_writer import END
from faceloom.schemas.errors import ReleaseError, StorageError
from faceloom.schemas.index import IndexRow, moved
from faceloom.schemas.photos import Reject
from faceloom.schemas.release import Release, ReleaseShard

if TYPE_CHECKING:
    import pyarrow as pa

_MOST_TEXT = 2**30


@dataclass(frozen=True, slots=True)
class Erasure:
    """A release that was made by an erasure.

    Attributes:
        published: the new release.
        traces: what was erased.
        samples: number of samples that it no longer holds, morphs included.
        morphs: how many of these are morphs.
        rewritten, shared: number of shards that were written anew, and that it shares with the older release.
        still_in: other releases of the folder that hold the person or the photos, or are too damaged to know, as
            `NAME@VERSION`.
        same_photos: number of its samples that come from a photo of the person, but show others by their `people`.
        named_in: files that still name the person: other words in them are the same, or a reason in a log does.
    """

    published: Published
    traces: Traces
    samples: int
    morphs: int
    rewritten: int
    shared: int
    still_in: tuple[str, ...]
    same_photos: int
    named_in: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ShardPlan:
    """What an erasure does to a shard.

    Attributes:
        kept: keys of the samples that stay.
        gone: number of samples that go.
        rewritten: whether its files change.
    """

    kept: frozenset[str]
    gone: int
    rewritten: bool


def erase(
    root: Storage,
    reference: str,
    version: str,
    *,
    identity: str = "",
    photos: Iterable[str] = (),
    watcher: Watcher | None = None,
) -> Erasure:
    """Make a release that holds no sample with a person or a photo, and no morph that has them as a parent.

    Only the shards that hold them are written anew. The older release stays until it is purged.

    Args:
        root: the folder of releases.
        reference: of the release, such as `faces@1.0.0`; it may be yanked.
        version: of the new release.
        identity: the person, as `people` of the index names them.
        photos: sha256 of photos.
        watcher: receives the progress.

    Raises:
        FaceloomError: neither identity nor photo is given, or a photo is no sha256.
        ReleaseError: the version exists, the release holds nothing of them, or a split would be left empty.
        GateError: the new release does not pass its gates.
        StorageError: a file is damaged or cannot be written.
    """
    watcher, asked = watcher or Watcher(), traces_of(identity, photos)
    check_version(version)
    with locked_root(root):
        old = resolve(root, reference)
        release = old.release
        refuse_existing(root, release.name, version)
        watcher.stage("search", len(release.shards), "indexes")
        tables = {}
        for count, shard in enumerate(release.shards, 1):
            tables[shard.name] = read_index_table(root, shard_index(shard.name), COLUMNS)
            watcher.done(count)
        traces = asked.with_photos_of(tables.values())
        rejects = {shard.name: _rejects(root, shard.name) for shard in release.shards}
        plans = plan_erasure(tables, rejects, traces)
        _refuse_nothing_or_all(release, plans, f"{release.name}@{release.version}")
        try:
            shards = _write_shards(root, release, plans, traces, watcher)
            done = publish(root, _manifest(root, old, version, shards, traces), watcher=watcher)
            append_entry(root, "erase", done.id, why=f"made from {release.version} by an erasure")
        finally:
            with contextlib.suppress(StorageError):  # verify names what is wrong
                free_unused(root)
        gone = [table.filter(_mask(traces, table)) for table in tables.values()]
        return Erasure(
            published=done,
            traces=traces,
            samples=sum(len(table) for table in gone),
            morphs=sum(1 for table in gone for parents in table["parents"].to_pylist() if parents),
            rewritten=sum(plan.rewritten and bool(plan.kept) for plan in plans.values()),
            shared=sum(not plan.rewritten for plan in plans.values()),
            still_in=_still_in(root, traces),
            same_photos=_same_photos(tables, plans, traces),
            named_in=_named_in(root, done.release, traces),
        )


def plan_erasure(
    tables: Mapping[str, pa.Table], rejects: Mapping[str, Sequence[Reject]], traces: Traces
) -> dict[str, ShardPlan]:
    """Decide which samples of each shard stay.

    Args:
        tables: `traces.COLUMNS` of each shard's index.
        rejects: that are stored with each index; one that names the person has the index written anew.
        traces: what to erase.
    """
    plans = {}
    for name, table in tables.items():
        goes = traces.rows(table)
        kept = frozenset(key for key, leaves in zip(table["key"].to_pylist(), goes, strict=True) if not leaves)
        named = any(map(traces.rejects, rejects.get(name, ())))
        plans[name] = ShardPlan(kept, sum(goes), named or any(goes))
    return plans


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
        part: [reject for reject in found if _stays(Reject(**reject), places, traces)]
        for part, found in read_metadata(storage, shard_index(shard.name))["parts"].items()
    }
    index = _index_bytes(list(_packed(rows)), parts, length, sha256)
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


def _stays(reject: Reject, places: set[tuple[str, str]], traces: Traces) -> bool:
    """Whether a reject stays: it is of a photo that still has samples. Other photos may be of the person."""
    return (reject.source, reject.uri) in places and not traces.rejects(reject)


def _contents(storage: Storage, shard: str, rows: Sequence[IndexRow]) -> Iterator[bytes]:
    """The bytes of some samples of a shard, each compared with the index, and the end of a tar file."""
    tar = shard_tar(shard)
    for row in rows:
        data = storage.read_range(tar, row.offset, row.length)
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


def _index_bytes(rows: Sequence[IndexRow], parts: dict[str, Any], length: int, sha256: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:  # holds only what stays
        passing = Storage(folder)
        write_index(passing, shard_index("x"), rows, parts, length=length, sha256=sha256, durable=False)
        return passing.read_bytes(shard_index("x"))


def _rejects(root: Storage, shard: str) -> list[Reject]:
    parts = read_metadata(root, shard_index(shard))["parts"]
    return [Reject(**reject) for of_part in parts.values() for reject in of_part]


def _refuse_nothing_or_all(release: Release, plans: Mapping[str, ShardPlan], where: str) -> None:
    if not any(plan.rewritten for plan in plans.values()):
        what = "no sample of this release holds the person or the photo"
        remedy = "Identities are spelled as in the column `people` of the indexes; morphs count. Check the spelling"
        raise ReleaseError(what, where=where, remedy=remedy)
    left: Counter[str] = Counter()
    for shard in release.shards:
        left[shard.split] += len(plans[shard.name].kept)
    if empty := [split for split, count in sorted(left.items()) if not count]:
        what = "the erasure would leave a split without samples"
        remedy = (
            "Build again without the person, with other shares or another seed, and release that; then purge this one"
        )
        raise ReleaseError(what, where=where, value=", ".join(empty), remedy=remedy)


def _write_shards(
    root: Storage, release: Release, plans: Mapping[str, ShardPlan], traces: Traces, watcher: Watcher
) -> tuple[ReleaseShard, ...]:
    watcher.stage("rewrite", sum(plan.rewritten for plan in plans.values()), "shards")
    shards, count = [], 0
    for shard in release.shards:
        plan = plans[shard.name]
        if not plan.rewritten:
            shards.append(shard)
            continue
        if plan.kept:
            shards.append(rewrite_shard(root, shard, plan.kept, traces))
        count += 1
        watcher.done(count)
    return tuple(shards)


def _manifest(root: Storage, old: Published, version: str, shards: tuple[ReleaseShard, ...], traces: Traces) -> Release:
    release = old.release
    kinds = {source.name: source.kind for source in release.sources}
    counts = count_content(root, [ShardRecord(**shard.model_dump()) for shard in shards], kinds)
    written = sum(shard.samples for shard in shards)
    texts = traces.redacted(release.model_dump(mode="json", include={"description", "recipe", "models", "misses"}))
    return Release(
        **{
            **dict(release),
            **texts,
            "version": version,
            "parent": old.id,
            "sources": counts.sources,
            "splits": counts.splits,
            "by_mask": counts.by_mask,
            "written": written,
            "erased": release.erased + release.written - written,
            "warnings": tuple(text for text in release.warnings if not traces.names(text)),
            "shards": shards,
            "gates": (),
        }
    )


def _mask(traces: Traces, table: pa.Table) -> pa.Array:
    import pyarrow as pa

    return pa.array(traces.rows(table), pa.bool_())


def _still_in(root: Storage, traces: Traces) -> tuple[str, ...]:
    """Releases that hold a sample of the person, and damaged ones, which may hold one."""
    holds: dict[str, bool] = {}

    def may_hold(shard: str) -> bool:
        if shard not in holds:
            try:
                holds[shard] = any(traces.rows(read_index_table(root, shard_index(shard), COLUMNS)))
            except StorageError:
                holds[shard] = True
        return holds[shard]

    found = []
    for name in set_names(root):
        for version in read_versions(root, name).versions:
            try:
                shards = read_manifest(root, name, version).release.shards
            except StorageError:
                found.append(f"{name}@{version}")
                continue
            if any(may_hold(shard.name) for shard in shards):
                found.append(f"{name}@{version}")
    return tuple(found)


def _same_photos(tables: Mapping[str, pa.Table], plans: Mapping[str, ShardPlan], traces: Traces) -> int:
    return sum(
        key in plans[name].kept and photo in traces.photos
        for name, table in tables.items()
        for key, photo in zip(table["key"].to_pylist(), table["photo_sha256"].to_pylist(), strict=True)
    )


def _named_in(root: Storage, release: Release, traces: Traces) -> tuple[str, ...]:
    """Files of the new release, and the log of its set, in which the person is named."""
    log = channel_log(release.name)
    paths = [*root.list(release_folder(release.name, release.version)), *([log] if root.exists(log) else [])]
    return tuple(path for path in paths if traces.names(root.read_bytes(path, _MOST_TEXT).decode(errors="replace")))
