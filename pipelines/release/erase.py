"""Erase a person or photos: a new release without them, made from the folder of releases alone."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from faceloom.pipelines.release.channel_log import append_entry, read_log
from faceloom.pipelines.release.create import check_version
from faceloom.pipelines.release.manifest import Published, manifest_bytes, read_manifest
from faceloom.pipelines.release.provenance import count_content
from faceloom.pipelines.release.publish import free_unused, publish, refuse_existing
from faceloom.pipelines.release.redact import redacted_texts
from faceloom.pipelines.release.resolve import listed_versions, resolve, set_names, short_name
from faceloom.pipelines.release.rewrite_shard import rewrite_shard
from faceloom.pipelines.release.root import locked_root
from faceloom.pipelines.release.traces import COLUMNS, Traces, traces_of
from faceloom.pipelines.release.version_bump import next_version
from faceloom.pipelines.run.watcher import Watcher
from faceloom.pipelines.store.build_record import ShardRecord
from faceloom.pipelines.store.parquet_tables import read_index_table, read_metadata
from faceloom.pipelines.store.paths import channel_log, release_file, release_folder, shard_index
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import ReleaseError, StorageError
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
        dropped: splits that it no longer has, as all of their samples are erased.
        still_in: other releases of the folder that hold the person or the photos, if only in a reject, or are too
            damaged to know, as `NAME@VERSION`.
        same_photos: number of its samples that come from a photo of the person, or from one whose path names them, but
            show others by their `people`.
        named_in: files that still name the person: other words in them are the same, or a reason in a log does.
    """

    published: Published
    traces: Traces
    samples: int
    morphs: int
    rewritten: int
    shared: int
    dropped: tuple[str, ...]
    still_in: tuple[str, ...]
    same_photos: int
    named_in: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ShardPlan:
    """What an erasure does to a shard.

    Attributes:
        kept: keys of the samples that stay.
        gone: number of samples that go.
        named: whether a reject in its index is of the person or a photo.
        rewritten: whether its files change; also if a reject may be of the person, which nothing states.
    """

    kept: frozenset[str]
    gone: int
    named: bool
    rewritten: bool


def erase(
    root: Storage,
    reference: str,
    version: str,
    *,
    identity: str = "",
    photos: Iterable[str] = (),
    drop_split: bool = False,
    watcher: Watcher | None = None,
) -> Erasure:
    """Make a release that holds no sample with a person or a photo, and no morph that has them as a parent.

    Only the shards that hold them are written anew. The older release stays until it is purged. An erasure that was
    killed is finished by the same call.

    Args:
        root: the folder of releases.
        reference: of the release, such as `faces@1.0.0`; it may be yanked.
        version: of the new release.
        identity: the person, as `people` of the index names them.
        photos: sha256 of photos.
        drop_split: let a split go if the erasure takes all of its samples; the version must rise by a major step.
        watcher: receives the progress.

    Raises:
        FaceloomError: neither identity nor photo is given, or a photo is no sha256.
        ReleaseError: the version exists and is another release, the release holds nothing of them, or a split or the
            whole release would be left empty.
        GateError: the new release does not pass its gates.
        StorageError: a file is damaged or cannot be written.
    """
    watcher, asked = watcher or Watcher(), traces_of(identity, photos)
    check_version(version)
    with locked_root(root):
        old = _older(root, reference, version)
        release = old.release
        if not _is_child(root, old, version):
            refuse_existing(root, release.name, version)
        watcher.stage("search", len(release.shards), "indexes")
        tables = {}
        for count, shard in enumerate(release.shards, 1):
            tables[shard.name] = read_index_table(root, shard_index(shard.name), COLUMNS)
            watcher.done(count)
        traces = asked.with_photos_of(tables.values())
        rejects = {shard.name: _rejects(root, shard.name) for shard in release.shards}
        plans = plan_erasure(tables, rejects, traces)
        dropped = _empty_splits(release, plans, drop_split=drop_split)
        try:
            shards = _write_shards(root, release, plans, traces, watcher)
            made = _manifest(root, old, version, shards, traces)
            done = _finished(root, made) or publish(root, made, watcher=watcher)
            if not any((e.action, e.release) == ("erase", done.id) for e in read_log(root, release.name)):
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
            dropped=dropped,
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
        named = any(traces.rejects(one) for one in rejects.get(name, ()))
        may_name = any(traces.may_name(one, name) for one in rejects.get(name, ()))
        plans[name] = ShardPlan(kept, sum(goes), named, named or may_name or any(goes))
    return plans


def _older(root: Storage, reference: str, version: str) -> Published:
    """The release to erase from. `latest` names the new release once it is there, and so does a channel."""
    found = resolve(root, reference)
    if found.release.version == version and found.release.parent:
        name, before = short_name(found.release.parent).split("@")
        if root.exists(release_file(name, before)):
            return read_manifest(root, name, before)
    return found


def _is_child(root: Storage, old: Published, version: str) -> bool:
    """Whether the version exists and was made from the older release."""
    name = old.release.name
    there = root.exists(release_file(name, version)) and version in listed_versions(root, name)
    return there and read_manifest(root, name, version).release.parent == old.id


def _finished(root: Storage, made: Release) -> Published | None:
    """The release if it is there already, since the process that published it was killed; None if it is not.

    Raises:
        ReleaseError: the version exists and is another release.
    """
    if not root.exists(release_file(made.name, made.version)):
        return None
    found = read_manifest(root, made.name, made.version)
    if manifest_bytes(found.release.model_copy(update={"gates": ()})) != manifest_bytes(made):
        refuse_existing(root, made.name, made.version)
    return found


def _rejects(root: Storage, shard: str) -> list[Reject]:
    parts = read_metadata(root, shard_index(shard))["parts"]
    return [Reject(**reject) for of_part in parts.values() for reject in of_part]


def _empty_splits(release: Release, plans: Mapping[str, ShardPlan], *, drop_split: bool) -> tuple[str, ...]:
    """The splits that lose all samples. They are refused unless they may go, and so is an erasure of nothing or all."""
    where = f"{release.name}@{release.version}"
    if not any(plan.gone or plan.named for plan in plans.values()):
        what = "no sample of this release holds the person or the photo"
        remedy = "Identities are spelled as in the column `people` of the indexes; morphs count. Check the spelling"
        raise ReleaseError(what, where=where, remedy=remedy)
    left: Counter[str] = Counter()
    for shard in release.shards:
        left[shard.split] += len(plans[shard.name].kept)
    if not left.total():
        remedy = f"Delete the release with `faceloom release purge {where}`"
        raise ReleaseError("the erasure would leave no samples", where=where, remedy=remedy)
    empty = tuple(split for split, count in sorted(left.items()) if not count)
    if empty and not drop_split:
        what, major = "the erasure would leave a split without samples", next_version(release.version, "major")
        remedy = (
            f"Let the split go with --drop-split --as {major}, or build again without the person, with other shares or "
            "another seed, release that, and purge this one"
        )
        raise ReleaseError(what, where=where, value=", ".join(empty), remedy=remedy)
    return empty


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
    return Release(
        **{
            **dict(release),
            **redacted_texts(release, traces),
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
    """Releases that hold a sample or a reject of the person, and damaged ones, which may hold one."""
    holds: dict[str, bool] = {}

    def may_hold(shard: str) -> bool:
        if shard not in holds:
            try:
                rows = traces.rows(read_index_table(root, shard_index(shard), COLUMNS))
                holds[shard] = any(rows) or any(map(traces.rejects, _rejects(root, shard)))
            except StorageError:
                holds[shard] = True
        return holds[shard]

    found = []
    for name in set_names(root):
        for version in listed_versions(root, name):
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
        key in plans[name].kept and (photo in traces.shared or traces.in_path(uri))
        for name, table in tables.items()
        for key, photo, uri in zip(*(table[name].to_pylist() for name in ("key", "photo_sha256", "uri")), strict=True)
    )


def _named_in(root: Storage, release: Release, traces: Traces) -> tuple[str, ...]:
    """Files of the new release, and the log of its set, in which the person is named."""
    log = channel_log(release.name)
    paths = [*root.list(release_folder(release.name, release.version)), *([log] if root.exists(log) else [])]
    found = [path for path in paths if traces.names_word(root.read_bytes(path, _MOST_TEXT).decode(errors="replace"))]
    if log not in found and any(traces.names(entry.why) for entry in read_log(root, release.name)):
        found.append(log)  # a page is full of quoted figures, so a number is looked for in reasons alone
    return tuple(found)
