"""Gates on the files of a release: digests, samples as tar readers see them, and counts."""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from faceloom.pipelines.store.build_record import BuildRecord, ShardRecord
from faceloom.pipelines.store.checked_shards import check_every_byte, is_unreadable, read_rows
from faceloom.pipelines.store.parquet_tables import read_metadata
from faceloom.pipelines.store.paths import shard_index, shard_tar
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.counted import counted
from faceloom.schemas.errors import StorageError
from faceloom.schemas.index import IndexRow
from faceloom.schemas.release import GateResult, Release, ReleaseShard

if TYPE_CHECKING:
    import pyarrow as pa

_CHUNK = 2**20
MOST_EXAMPLES = 3
"""Faults that a report names."""


@dataclass(frozen=True, slots=True)
class ShardFacts:
    """What reading one shard to its last byte found.

    Attributes:
        bytes: of the tar file and its index.
        samples, files: numbers that a tar reader finds.
        wrong_sums: a fault for each file whose digest is not the listed one.
        faults: what is wrong with its samples.
    """

    bytes: int
    samples: int
    files: int
    wrong_sums: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()


def named_examples(faults: Sequence[str]) -> str:
    """The first faults, and how many more there are."""
    more = len(faults) - MOST_EXAMPLES
    return "; ".join(faults[:MOST_EXAMPLES]) + (f"; and {more:,} more" if more > 0 else "")


def read_shard(storage: Storage, shard: ReleaseShard, members: Sequence[str]) -> ShardFacts:
    """Read a shard to its last byte: its digest, its samples by the index, and its samples in the order of the tar.

    Args:
        storage: the folder that holds it.
        shard: with its listed sizes and digests.
        members: names of the files that each sample must have.

    Raises:
        StorageError: the system refuses to read a file.
    """
    tar, index = shard_tar(shard.name), shard_index(shard.name)
    try:
        sums = (
            _fault(storage, tar, shard.bytes, shard.sha256),
            _fault(storage, index, shard.index_bytes, shard.index_sha256),
        )
        wrong = tuple(fault for fault in sums if fault)
        if wrong:  # what its samples look like means nothing now
            return ShardFacts(0, 0, 0, wrong)
        rows = read_rows(storage, ShardRecord(**shard.model_dump()))
        check_every_byte(storage, shard.name)
        files, faults = _walk(storage, shard.name, rows, members)
        if read_metadata(storage, index)["sha256"] != shard.sha256:
            faults += (f"{index}: it lists another sha256 of its tar file",)
    except StorageError as error:
        if is_unreadable(error):
            raise
        return ShardFacts(0, 0, 0, (), (f"{error.where}: {error.what}",))
    return ShardFacts(shard.bytes + shard.index_bytes, len(rows), files, (), faults)


def _fault(storage: Storage, path: str, size: int, sha256: str) -> str:
    """What is wrong with a file; empty if its length and digest are the listed ones."""
    if not storage.exists(path):
        return f"{path} is missing"
    if (found := storage.size(path)) != size:
        return f"{path} has {found:,} bytes, not {size:,}"
    digest = hashlib.sha256()
    with storage.open(path) as stream:
        while data := stream.read(_CHUNK):
            digest.update(data)
    return "" if digest.hexdigest() == sha256 else f"{path} has another sha256 than listed"


def _walk(
    storage: Storage, shard: str, rows: Sequence[IndexRow], members: Sequence[str]
) -> tuple[int, tuple[str, ...]]:
    """Read the headers of a tar file in order, as `tarfile` and webdataset do, and compare them with the index."""
    wanted, count, where = sorted(members), 0, shard_tar(shard)
    for row in rows:
        if sorted(member.name for member in row.members) != wanted:
            has = ", ".join(member.name for member in row.members)
            return count, (f"{where}: {row.key} has the files {has[:200]}, not {', '.join(wanted)[:200]}",)
    # Every header is known to be as our writer makes it, so none of them can lead the tar reader astray.
    with storage.open(where) as stream, tarfile.open(fileobj=stream, mode="r:") as tar:
        for row in rows:
            for member in row.members:
                found = tar.next()
                listed = (f"{row.key}.{member.name}", member.offset, member.size)
                if found is None or not found.isreg() or (found.name, found.offset_data, found.size) != listed:
                    shown = found and (found.name, found.offset_data, found.size)
                    return count, (f"{where}: tarfile finds {shown}, and the index lists {listed}",)
                count += 1
                cast(Any, tar).members.clear()  # it would keep all of them
        if (found := tar.next()) is not None:
            return count, (f"{where}: tarfile finds {found.name}, which the index does not list",)
    return count, ()


def checksums(release: Release, facts: Sequence[ShardFacts]) -> GateResult:
    """Every shard and index has the listed length and sha256."""
    wrong = [fault for one in facts for fault in one.wrong_sums]
    size = sum(one.bytes for one in facts)
    found = f"{2 * len(release.shards):,} files of {size:,} bytes have the listed sha256"
    if wrong:
        found = f"damaged: {counted(len(wrong), 'file')}: {named_examples(wrong)}"
    return GateResult(
        gate="checksums",
        passed=not wrong,
        found=found,
        figures={"files": 2 * len(facts), "bytes": size, "damaged": len(wrong)},
    )


def samples(facts: Sequence[ShardFacts]) -> GateResult:
    """Every sample opens in the order of the tar and by the ranges of the index, with the same files."""
    faults = [fault for one in facts for fault in one.faults]
    count, files = sum(one.samples for one in facts), sum(one.files for one in facts)
    found = f"{count:,} samples with {files:,} files open in tar order and by the ranges of the index alike"
    if faults:
        found = f"do not open: {counted(len(faults), 'shard')}: {named_examples(faults)}"
    return GateResult(
        gate="samples", passed=not faults, found=found,
        figures={"samples": count, "files": files, "faults": len(faults)},
    )  # fmt: skip


def counts(release: Release, record: BuildRecord | None, table: pa.Table) -> GateResult:
    """Planned samples are written, rejected or erased, and the indexes hold the written ones.

    Args:
        release: with its counts.
        record: of the build that it comes from, if it comes from one.
        table: `key`, `split` and `mask` of all samples.
    """
    import pyarrow.compute as pc

    rejected = sum(release.rejects.get("render", {}).values())
    masks = {row["values"] or "none": row["counts"] for row in pc.value_counts(table["mask"]).to_pylist()}
    by_split = {row["values"]: row["counts"] for row in pc.value_counts(table["split"]).to_pylist()}
    faults = []
    if release.planned != release.written + rejected + release.erased:
        faults.append("planned differs from written, rejected and erased samples")
    if len(table) != release.written:
        faults.append(f"the indexes hold {len(table):,} samples, and {release.written:,} are listed")
    if by_split != {name: split.samples for name, split in release.splits.items()}:
        faults.append("the samples of the splits are not those of the indexes")
    if masks != release.by_mask:
        faults.append("the samples by mask are not those of the indexes")
    if (twice := len(table) - pc.count_distinct(table["key"]).as_py()) > 0:
        faults.append(f"{counted(twice, 'sample')} with the key of another one")
    if record and (record.planned, record.plan, record.rejects) != (release.planned, release.plan, release.rejects):
        faults.append("plan or rejects are not those of the build")
    found = (
        f"{release.planned:,} planned samples are {release.written:,} written, {rejected:,} rejected and "
        f"{release.erased:,} erased"
    )
    return GateResult(
        gate="counts", passed=not faults, found="; ".join(faults) or found,
        figures={"planned": release.planned, "written": len(table), "rejected": rejected, "erased": release.erased},
    )  # fmt: skip
