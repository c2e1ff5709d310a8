"""The differences of two releases or builds, sample by sample, from their indexes alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from faceloom.pipelines.run.watcher import Watcher
from faceloom.pipelines.store.build_record import BuildRecord, ShardRecord
from faceloom.pipelines.store.parquet_tables import read_index_table
from faceloom.pipelines.store.paths import shard_index
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import StorageError
from faceloom.schemas.release import Release, ReleaseShard

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

KINDS = ("added", "removed", "moved", "rerendered", "relabelled", "lineage")
"""Kinds of change. A sample with several is of the first one that fits."""
KIND_NAMES = {
    "added": "added", "removed": "removed", "moved": "moved to another split", "rerendered": "re-rendered",
    "relabelled": "relabelled", "lineage": "lineage only", "unchanged": "unchanged",
}  # fmt: skip
"""Kinds of change as people read them."""
_COMPARED = ("split", "pixels", "label", "inputs")
_READ = ("key", "identity", "split", "mask", "people", "inputs", "members")
_SHOWN = ("split", "identity", "people", "mask", "shard")
_BETWEEN = "\0"  # stands between the people of a sample
_THREADS = 2  # decompression releases the interpreter's lock; more threads would only take memory
_VERIFY = "Run `faceloom release verify`, or `faceloom verify` for a build, which names what is damaged"


@dataclass(frozen=True, slots=True)
class SampleSet:
    """A release or a build to compare.

    Attributes:
        name: of the release, or path of the build, for people.
        shards: all of it.
        splits, members: names of its splits, and of the files of its samples.
    """

    name: str
    storage: Storage
    shards: tuple[ReleaseShard | ShardRecord, ...]
    splits: frozenset[str]
    members: frozenset[str]


@dataclass(frozen=True, slots=True, eq=False)
class Diff:
    """The differences of two sets of samples.

    Attributes:
        before, after: their names.
        samples: numbers of samples of both.
        shards: numbers of shards that both share, that only the first has, and that only the second has.
        counts: number of samples by kind of change, and as `unchanged`.
        by_split: number of changed samples by kind and split, the later split where both have the sample.
        by_identity: number of changed samples by person and kind; a morph counts for both people.
        splits_added, splits_removed, members_added, members_removed: sorted names.
        changes: a row per changed sample, sorted by kind and key: `kind`, `key`, and split, identity, mask and shard as
            `split_before`, `split_after` …, null where the sample is not there.
    """

    before: str
    after: str
    samples: tuple[int, int]
    shards: tuple[int, int, int]
    counts: dict[str, int]
    by_split: dict[str, dict[str, int]]
    by_identity: dict[str, dict[str, int]]
    splits_added: tuple[str, ...]
    splits_removed: tuple[str, ...]
    members_added: tuple[str, ...]
    members_removed: tuple[str, ...]
    changes: pa.Table

    def plain(self, *, listed: bool = False) -> dict[str, Any]:
        """The diff as JSON values; `listed` adds each changed sample."""
        shared, only_before, only_after = self.shards
        return {
            "before": {"name": self.before, "samples": self.samples[0], "shards": shared + only_before},
            "after": {"name": self.after, "samples": self.samples[1], "shards": shared + only_after},
            "shared_shards": shared,
            "counts": self.counts,
            "by_split": self.by_split,
            "by_identity": self.by_identity,
            "splits": {"added": list(self.splits_added), "removed": list(self.splits_removed)},
            "members": {"added": list(self.members_added), "removed": list(self.members_removed)},
            **({"changes": self.changes.to_pylist()} if listed else {}),
        }


def release_set(storage: Storage, release: Release) -> SampleSet:
    """A release, to compare it."""
    name = f"{release.name}@{release.version}"
    return SampleSet(name, storage, release.shards, frozenset(release.splits), frozenset(release.members))


def build_set(storage: Storage, record: BuildRecord) -> SampleSet:
    """A finished build, to compare it. Its members are those of its first sample.

    Raises:
        StorageError: an index is missing or damaged.
    """
    members: set[str] = set()
    for shard in [shard for shard in record.shards if shard.samples][:1]:
        first = read_index_table(storage, shard_index(shard.name), ("members",)).column(0)
        members = {member["name"] for member in (first[0].as_py() if len(first) else ())}
    splits = frozenset(split for split, count in record.by_split.items() if count)
    return SampleSet(storage.root, storage, record.shards, splits, frozenset(members))


def diff(before: SampleSet, after: SampleSet, watcher: Watcher | None = None) -> Diff:
    """Compare two sets of samples by their keys. Shards with equal digests are not read.

    A sample is `moved` if its split differs; otherwise `rerendered` if the content of a file other than `json` differs,
    or if it has other files; otherwise `relabelled` if its identity, people, mask label or `json` differs; otherwise
    `lineage` if only the record of its origin in the index differs.

    Args:
        before, after: the sets.
        watcher: receives the progress.

    Raises:
        StorageError: an index is missing or damaged, or holds a key twice.
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    shared = {_content(shard) for shard in before.shards} & {_content(shard) for shard in after.shards}
    own = [[shard for shard in one.shards if _content(shard) not in shared] for one in (before, after)]
    watcher = watcher or Watcher()
    watcher.stage("compare", len(own[0]) + len(own[1]), "indexes")
    old = _read(before, own[0], watcher, 0)
    new = _read(after, own[1], watcher, len(own[0]))
    at_new = pc.index_in(old["key"], value_set=new["key"])
    both = np.flatnonzero(at_new.is_valid().to_numpy(zero_copy_only=False))
    partner = at_new.drop_null().to_numpy().astype(np.int64)
    removed = np.flatnonzero(at_new.is_null().to_numpy(zero_copy_only=False))
    is_new = np.ones(len(new), np.bool_)
    is_new[partner] = False
    added = np.flatnonzero(is_new)

    kind = _kinds(old.select(_COMPARED).take(pa.array(both)), new.select(_COMPARED).take(pa.array(partner)))
    changed = kind >= 0
    pieces = [("added", None, added), ("removed", removed, None)]
    pieces += [
        (name, both[kind == number], partner[kind == number]) for number, name in enumerate(KINDS) if name not in _ALONE
    ]
    changes = pa.concat_tables([_rows(name, old, was, new, now) for name, was, now in pieces])
    changes = changes.sort_by([("kind", "ascending"), ("key", "ascending")])
    counts = {name: len(was if was is not None else now) for name, was, now in pieces}  # type: ignore[arg-type]
    unread = sum(shard.samples for shard in before.shards) - len(old)
    counts["unchanged"] = unread + int(len(both) - changed.sum())
    return Diff(
        before.name,
        after.name,
        (sum(shard.samples for shard in before.shards), sum(shard.samples for shard in after.shards)),
        (len(before.shards) - len(own[0]), len(own[0]), len(own[1])),
        {name: counts[name] for name in (*KINDS, "unchanged")},
        _by_split(changes),
        _by_person(changes),
        tuple(sorted(after.splits - before.splits)),
        tuple(sorted(before.splits - after.splits)),
        tuple(sorted(after.members - before.members)),
        tuple(sorted(before.members - after.members)),
        changes.drop_columns(["people_before", "people_after"]),
    )


def both_values(row: Mapping[str, str | None], name: str) -> str:
    """A value of a changed sample before and after, such as `train → test`; one value if it is the same.

    Args:
        row: of `Diff.changes`.
        name: such as `split`; an empty value, such as the mask of a bare face, is shown as `none`.
    """
    there = [value for value in (row[f"{name}_before"], row[f"{name}_after"]) if value is not None]
    return " → ".join(dict.fromkeys(value or "none" for value in there))


_ALONE = ("added", "removed")


def _content(shard: ReleaseShard | ShardRecord) -> tuple[str, str]:
    return shard.sha256, shard.index_sha256


def _read(samples: SampleSet, shards: Iterable[ReleaseShard | ShardRecord], watcher: Watcher, done: int) -> pa.Table:
    """A row per sample: its key, what is shown of it, and what it is compared by."""
    import pyarrow as pa
    import pyarrow.compute as pc

    tables = [_empty()]
    with ThreadPoolExecutor(_THREADS) as pool:
        for number, table in enumerate(pool.map(partial(_compact, samples.storage), shards), done + 1):
            tables.append(table)
            watcher.done(number)
    table = pa.concat_tables(tables).combine_chunks()
    if pc.count_distinct(table["key"]).as_py() < len(table):
        counts = pc.value_counts(table["key"])
        twice = counts.filter(pc.greater(counts.field("counts"), 1))[0]["values"]
        raise StorageError("two samples have the same key", where=samples.name, value=twice, remedy=_VERIFY)
    return table


def _empty() -> pa.Table:
    import pyarrow as pa

    texts = ("key", "identity", "split", "mask", "inputs", "people", "shard")
    return pa.schema(
        [(name, pa.string()) for name in texts] + [("pixels", pa.int64()), ("label", pa.string())]
    ).empty_table()


def _compact(storage: Storage, shard: ReleaseShard | ShardRecord) -> pa.Table:
    """The rows of one index in some 150 bytes each: the digests of a sample's files become one hash."""
    import pyarrow as pa
    import pyarrow.compute as pc

    path = shard_index(shard.name)
    table = read_index_table(storage, path, _READ).combine_chunks()
    if len(table) != shard.samples:
        what = f"the index has {len(table):,} rows, and {shard.samples:,} samples are listed"
        raise StorageError(what, where=path, remedy=_VERIFY)
    column = {name: table.column(name).combine_chunks() for name in _READ}
    files = pc.list_flatten(column["members"])
    sums = pc.binary_join_element_wise(files.field("name"), files.field("sha256"), ":")
    of_row, is_record = pc.list_parent_indices(column["members"]), pc.equal(files.field("name"), "json")
    pixels, records = (
        _joined(sums.filter(wanted), of_row.filter(wanted), len(table)) for wanted in (pc.invert(is_record), is_record)
    )
    people = pc.binary_join(column["people"], _BETWEEN)
    label = pc.binary_join_element_wise(column["identity"], column["mask"], people, records, "\0")
    return pa.table(
        {
            **{name: column[name] for name in ("key", "identity", "split", "mask", "inputs")},
            "people": people,
            "shard": pa.array([shard.name] * len(table), pa.string()),
            "pixels": _hashes(pixels),
            "label": label,
        }
    )


def _joined(texts: pa.Array, of_row: pa.Array, count: int) -> pa.Array:
    """The texts of each of `count` rows as one text; `of_row` holds the number of each text's row, ascending."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    first = np.searchsorted(of_row.to_numpy(), np.arange(count + 1)).astype(np.int32)
    return pc.binary_join(pa.ListArray.from_arrays(pa.array(first), texts), "\n")


def _hashes(texts: pa.Array) -> pa.Array:
    """A 64-bit hash of each text, for comparisons in this process: the texts of a million samples take 1 GB."""
    import numpy as np
    import pyarrow as pa

    _, offsets, buffer = pa.concat_arrays([texts]).buffers()  # a copy, which begins at its first text
    ends = np.frombuffer(offsets, np.int32)[: len(texts) + 1].tolist() if len(texts) else [0]
    data = buffer.to_pybytes() if buffer else b""
    return pa.array([hash(data[begin:end]) for begin, end in pairwise(ends)], pa.int64())


def _kinds(old: pa.Table, new: pa.Table) -> npt.NDArray[np.int8]:
    """For each pair of rows the number of its kind in `KINDS`; -1 where nothing differs."""
    import numpy as np
    import pyarrow.compute as pc

    kind = np.full(len(old), -1, np.int8)
    for column, name in reversed(list(zip(_COMPARED, KINDS[2:], strict=True))):
        differs = pc.not_equal(old[column], new[column]).combine_chunks().to_numpy(zero_copy_only=False)
        kind[differs] = KINDS.index(name)
    return kind


def _rows(
    kind: str, old: pa.Table, was: npt.NDArray[np.int64] | None, new: pa.Table, now: npt.NDArray[np.int64] | None
) -> pa.Table:
    """The changes of one kind: rows `was` of the old table, and rows `now` of the new one, either or both."""
    import pyarrow as pa

    before = None if was is None else old.select(["key", *_SHOWN]).take(pa.array(was))
    after = None if now is None else new.select(["key", *_SHOWN]).take(pa.array(now))
    there = after if before is None else before
    assert there is not None
    missing = pa.nulls(len(there), pa.string())
    columns: dict[str, Any] = {"kind": pa.array([kind] * len(there), pa.string()), "key": there["key"]}
    for name in _SHOWN:
        columns[f"{name}_before"] = missing if before is None else before[name]
        columns[f"{name}_after"] = missing if after is None else after[name]
    return pa.table(columns)


def _by_split(changes: pa.Table) -> dict[str, dict[str, int]]:
    """Count changes by kind and split."""
    return _pivot(changes["kind"], _later(changes, "split"))


def _by_person(changes: pa.Table) -> dict[str, dict[str, int]]:
    """Count changes by person and kind."""
    import pyarrow as pa
    import pyarrow.compute as pc

    people = pc.split_pattern(_later(changes, "people"), _BETWEEN).combine_chunks()
    kinds = changes["kind"].take(pc.cast(pc.list_parent_indices(people), pa.int64()))
    return _pivot(pc.list_flatten(people), kinds)


def _later(changes: pa.Table, name: str) -> pa.ChunkedArray:
    """The later value of a column; the earlier one of removed samples."""
    import pyarrow.compute as pc

    return pc.coalesce(changes[f"{name}_after"], changes[f"{name}_before"])


def _pivot(outer: pa.Array | pa.ChunkedArray, inner: pa.Array | pa.ChunkedArray) -> dict[str, dict[str, int]]:
    """Count pairs of values."""
    import pyarrow as pa

    counts = pa.table({"outer": outer, "inner": inner}).group_by(["outer", "inner"]).aggregate([([], "count_all")])
    found: dict[str, dict[str, int]] = {}
    for row in counts.sort_by([("outer", "ascending"), ("inner", "ascending")]).to_pylist():
        found.setdefault(row["outer"], {})[row["inner"]] = row["count_all"]
    return found
