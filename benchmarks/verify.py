"""Seconds that `release verify` takes without --deep, and bytes per second that a deep one compares.

    python benchmarks/verify.py [--shards 1000] [--samples 1000] [--rounds 3]

Makes a release whose indexes have 600 bytes of noise for each sample, as those of real builds do. Its shards are holes
of the listed length, since they are not read. One process of four threads; the files are in the page cache. The rate of
a deep verification is that of sha256 over one large file.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import tempfile
import time
from pathlib import Path

import numpy as np

from faceloom.pipelines.release.manifest import pool_name, published
from faceloom.pipelines.release.publish import BESIDE, write_release
from faceloom.pipelines.release.root import locked_root
from faceloom.pipelines.release.verify import verify_release
from faceloom.pipelines.store.file_faults import ListedFile, find_fault
from faceloom.pipelines.store.paths import shard_index, shard_tar
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.release import Code, Release, ReleaseShard, SplitUse

LIMIT = 5.0
"""Seconds for 1,000 shards that are wanted."""
ROW = 600
"""Bytes of an index for each sample."""
SAMPLE = 40_000
"""Bytes of a sample."""
LARGE = 2**28


def make_shard(storage: Storage, number: int, samples: int, noise: bytes) -> ReleaseShard:
    """A shard of holes, and an index of noise."""
    index = number.to_bytes(8, "big") + noise
    sha256, index_sha256 = f"{number:064x}", hashlib.sha256(index).hexdigest()
    name = pool_name(f"train-{number:010b}-0", sha256, index_sha256)
    with storage.write(shard_index(name), durable=False) as stream:
        stream.write(index)
    with storage.write(shard_tar(name), durable=False) as stream:
        stream.truncate(samples * SAMPLE)
    return ReleaseShard(
        name=name, split="train", samples=samples, bytes=samples * SAMPLE, sha256=sha256, index_bytes=len(index),
        index_sha256=index_sha256,
    )  # fmt: skip


def make_release(storage: Storage, shards: int, samples: int) -> None:
    """A release `noise@1.0.0`."""
    noise = np.random.default_rng(0).integers(0, 256, samples * ROW, np.uint8).tobytes()
    with locked_root(storage, create=True):
        made = tuple(make_shard(storage, number, samples, noise) for number in range(shards))
        total = shards * samples
        release = Release(
            name="noise", version="1.0.0", code=Code(faceloom="0", analyser="0", renderer="0"), libraries={},
            recipe={"name": "noise"}, plan="0" * 64, seed="0x0", sources=(), members=("face.jpg",), photos=total,
            splits={"train": SplitUse(samples=total, people=total, shards=shards)}, faces=total, planned=total,
            written=total, by_mask={"none": total}, rejects={}, shards=made,
        )  # fmt: skip
        write_release(storage, published(release), dict.fromkeys(BESIDE, b"noise"))


def deep_rate(storage: Storage) -> float:
    """Bytes per second that are compared with a sha256."""
    data = bytes(LARGE)
    with storage.write("large", durable=False) as stream:
        stream.write(data)
    listed = ListedFile("large", LARGE, hashlib.sha256(data).hexdigest())
    begin = time.perf_counter()
    assert find_fault(storage, listed, "") is None
    return LARGE / (time.perf_counter() - begin)


def main() -> None:
    """Make a release and verify it a few times."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--shards", type=int, default=1000)
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    print(f"{asked.shards:,} shards of {asked.samples:,} samples, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as folder:
        storage = Storage(str(Path(folder) / "root"))
        make_release(storage, asked.shards, asked.samples)
        for _ in range(asked.rounds):
            begin = time.perf_counter()
            done = verify_release(storage, "noise@1.0.0")
            seconds = time.perf_counter() - begin
            assert not done.faults
            print(f"verified in {seconds:.2f} s, limit {LIMIT:g} s for 1,000 shards")
        print(f"--deep compares {deep_rate(storage) / 1e6:,.0f} MB/s with one thread")


if __name__ == "__main__":
    main()
