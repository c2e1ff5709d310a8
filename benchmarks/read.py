"""Samples per second that the reader gives, against bare webdataset on the same shards, and a random sample by key.

    python benchmarks/read.py [--megabytes 400] [--rounds 5]

Makes shards of two kinds: samples of some 250 kB, pairs of 512 x 512 PNG, and of some 16 kB, pairs of 112 x 112 JPEG.
Reads them in turn with bare webdataset, with `open_split(verify=False)` and with `open_split()`, undecoded, and prints
rates and their ratios to bare webdataset of the same round. One process; the files are in the page cache. Other work
on the machine changes wall time more than processor time, so both are given.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from faceloom.pipelines.read.sample_lookup import open_samples
from faceloom.pipelines.read.split_reader import open_split
from faceloom.pipelines.store.build_record import RECORD_FORMAT, BuildRecord, read_record, shard_record, write_record
from faceloom.pipelines.store.parquet_tables import write_index
from faceloom.pipelines.store.paths import shard_index, shard_tar
from faceloom.pipelines.store.storage import Storage
from faceloom.pipelines.store.tar_writer import END, append_sample, sample_length
from faceloom.schemas.index import IndexRow

KINDS = {"250 kB": {"face.png": 120_000, "mask.png": 4_000, "masked.png": 124_000}, "16 kB": {"face.jpg": 7_000,
         "mask.png": 800, "masked.jpg": 6_500}}  # fmt: skip
"""Bytes of the members of a sample, beside those of its landmarks and its record."""
LIMITS = {"verify=False": 0.95, "verify=True": 0.8}
LOOKUP_LIMIT = 3.0
"""Milliseconds of a random sample by key."""


def write(root: Path, sizes: dict[str, int], samples: int, shards: int) -> None:
    """Write a finished build of noise."""
    storage, noise, records = Storage(str(root)), np.random.default_rng(0).bytes(max(sizes.values()) + samples), []
    files = {**sizes, "json": 1_500, "landmarks.npy": 672}
    for shard in range(shards):
        name, rows, offset = f"train-{shard:04b}-{'ab' * 6}", [], 0
        with storage.write(shard_tar(name)) as stream:
            for number in range(samples):
                photo = hashlib.sha256(b"%d %d" % (shard, number)).hexdigest()
                key = f"{photo[:16]}-f00-m000"
                content = [(name, noise[number : number + size]) for name, size in sorted(files.items())]
                members = append_sample(stream, offset, key, content)
                length = sample_length(members)
                rows.append(
                    IndexRow(
                        key, f"person {number // 5}", "train", "part", "1" * 64, offset, length, members, "surgical",
                        "s", f"{number}.jpg", photo, 0, (f"person {number // 5}",), (), "[]", "1", None, None,
                    )
                )  # fmt: skip
                offset += length
            stream.write(END)
        digest = hashlib.sha256(storage.read_bytes(shard_tar(name))).hexdigest()
        write_index(storage, shard_index(name), rows, {"part": []}, length=offset + len(END), sha256=digest)
        records.append(shard_record(storage, name, "train", samples))
    total = samples * shards
    record = BuildRecord(
        format=RECORD_FORMAT, code="1", libraries={}, recipe={"name": "x"}, plan="0" * 64, analyser="1", renderer="1",
        photos=total, faces=total, planned=total, written=total, rejects={}, by_split={"train": total},
        by_mask={"surgical": total}, by_source={"s": total}, shards=tuple(records),
    )  # fmt: skip
    write_record(storage, record)


def bare(root: Path) -> Iterable[Any]:
    """The same shards through webdataset alone."""
    import webdataset

    shards = read_record(Storage(str(root))).shards
    return webdataset.WebDataset([str(root / shard_tar(one.name)) for one in shards], shardshuffle=False)


READERS: dict[str, Callable[[Path], Iterable[Any]]] = {
    "bare webdataset": bare,
    "verify=False": lambda root: open_split(root, "train", decode=False, verify=False),
    "verify=True": lambda root: open_split(root, "train", decode=False),
}


def measure(root: Path, rounds: int) -> None:
    """Read a build with each reader in turn, and print the medians."""
    rates: dict[str, list[tuple[float, float]]] = {name: [] for name in READERS}
    for number in range(rounds + 1):  # the first warms the cache
        for name, reader in READERS.items():
            wall, processor = time.perf_counter(), time.process_time()
            count = sum(1 for _ in reader(root))
            done = count / (time.process_time() - processor), count / (time.perf_counter() - wall)
            if number:
                rates[name].append(done)
    for name, found in rates.items():
        processor, wall = (statistics.median(one) for one in zip(*found))
        ratios = [
            statistics.median(own / other for own, other in zip(one, others))
            for one, others in zip(zip(*found), zip(*rates["bare webdataset"]))
        ]
        limit = f", limit {LIMITS[name]}" if name in LIMITS else ""
        print(
            f"  {name:16} {processor:7,.0f} samples/s processor, {wall:7,.0f} wall; "
            f"{ratios[0]:.2f} and {ratios[1]:.2f} of bare{limit}"
        )


def look_up(root: Path, count: int = 300) -> None:
    """Time random samples by key, undecoded and checked."""
    begin = time.process_time()
    samples = open_samples(root, decode=False)
    opened = time.process_time() - begin
    keys = [samples.key(number) for number in random.Random(0).choices(range(len(samples)), k=count)]
    times = []
    for key in keys:
        begin = time.perf_counter()
        samples.by_key(key)
        times.append((time.perf_counter() - begin) * 1000)
    print(
        f"  by key           {statistics.median(times):.2f} ms median, {sorted(times)[count * 99 // 100]:.2f} ms of a "
        f"hundred the slowest, limit {LOOKUP_LIMIT}; opened in {opened:.2f} s processor"
    )


def main() -> None:
    """Measure both kinds."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--megabytes", type=int, default=400, help="of samples of each kind")
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    for name, sizes in KINDS.items():
        samples = max(4, asked.megabytes * 1_000_000 // (sum(sizes.values()) + 5_000))
        with tempfile.TemporaryDirectory() as folder:
            write(Path(folder), sizes, samples // 4, 4)
            print(f"{samples // 4 * 4:,} samples of {name}, load {os.getloadavg()[0]:.1f}")
            measure(Path(folder), asked.rounds)
            look_up(Path(folder))


if __name__ == "__main__":
    main()
