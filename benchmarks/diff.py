"""Time and memory of the diff of two large releases.

    python benchmarks/diff.py [--samples 1000000] [--shard 5000] [--members 8] [--scratch FOLDER]

Writes the indexes of two made-up releases, without tar files: the second one differs from the first in every shard, by
one re-rendered sample in ten, one removed in fifty, and as many added. Then compares them in one process.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from hashlib import sha256
from typing import Any

from faceloom.pipelines.release.diff import SampleSet, diff
from faceloom.pipelines.store.build_record import ShardRecord
from faceloom.pipelines.store.parquet_tables import write_table
from faceloom.pipelines.store.paths import shard_index
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.index import IndexRow

LIMIT_SECONDS, LIMIT_MB = 20, 2000
MEMBERS = ("alpha.png", "face.jpg", "json", "landmarks.npy", "lr.png", "lr_mask.png", "mask.png", "masked.jpg")


def _text(*parts: object) -> str:
    return sha256(repr(parts).encode()).hexdigest()


def _rows(first: int, count: int, version: int, members: int) -> dict[str, list[Any]]:
    """Columns of the index of one shard."""
    columns: dict[str, list[Any]] = {name: [] for name in IndexRow.__dataclass_fields__}
    for number in range(first, first + count):
        changed = version if number % 10 == 0 else 0
        photo = _text("photo", number if number % 50 or not version else -number)
        at, files = 0, []
        for name in MEMBERS[:members]:
            files.append({"name": name, "offset": at + 512, "size": 3000, "sha256": _text(photo, name, changed)})
            at += 3584
        person = f"person {number // 20}"
        values = {
            "key": f"{photo[:16]}-f00-m000", "identity": person, "split": "train", "part": "a" * 24,
            "inputs": _text(photo, changed)[:24], "offset": 0, "length": at, "members": files, "mask": "surgical",
            "source": "s", "uri": f"{person}/{number}.jpg", "photo_sha256": photo, "face": 0, "people": [person],
            "parents": [], "operations": f'[{{"name": "mask", "seed": "{photo[:16]}", "changed": {changed}}}]',
            "renderer": "1", "licence": "CC0", "consent": None,
        }  # fmt: skip
        for name, value in values.items():
            columns[name].append(value)
    return columns


def write(storage: Storage, version: int, samples: int, shard: int, members: int) -> SampleSet:
    """Write the indexes of one release."""
    shards = []
    for number, first in enumerate(range(0, samples, shard)):
        count, name = min(shard, samples - first), f"train-{number:012b}-{version:012d}"
        facts = {"format": "1", "parts": "{}", "bytes": "0", "sha256": '""'}
        write_table(storage, shard_index(name), IndexRow, _rows(first, count, version, members), facts, durable=False)
        digest = _text(name)
        shards.append(
            ShardRecord(
                name=name, split="train", samples=count, bytes=0, sha256=digest, index_bytes=0, index_sha256=digest
            )
        )
    return SampleSet(f"faces@1.{version}.0", storage, tuple(shards), frozenset({"train"}), frozenset(MEMBERS[:members]))


def main() -> None:
    """Write two releases and compare them."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--samples", type=int, default=1_000_000)
    parser.add_argument("--shard", type=int, default=5000)
    parser.add_argument("--members", type=int, default=8)
    parser.add_argument("--scratch")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=asked.scratch) as folder:
        storage = Storage(folder)
        sets = [write(storage, version, asked.samples, asked.shard, asked.members) for version in (0, 1)]
        before_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        begin, cpu = time.perf_counter(), time.process_time()
        found = diff(sets[0], sets[1])
        seconds, cpu = time.perf_counter() - begin, time.process_time() - cpu
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"two releases of {asked.samples:,} samples in {len(sets[0].shards)} shards, load {os.getloadavg()[0]:.1f}")
    print(", ".join(f"{name} {count:,}" for name, count in found.counts.items()))
    print(
        f"diff {seconds:.1f} s wall, {cpu:.1f} s processor, limit {LIMIT_SECONDS} s; "
        f"peak {peak:,.0f} MB, {before_mb:,.0f} MB before, limit {LIMIT_MB:,} MB"
    )


if __name__ == "__main__":
    main()
