"""Records per second that the RecordIO source lists and reads: plain, packed, and without an index.

    python benchmarks/recordio.py [--records 20000] [--bytes 6000]

Writes noise records of the length of a 112 x 112 JPEG, lists them with their labels, and reads each by its name, as in
a build. One process; the file is in the page cache, so the figures are those of the code.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

import numpy as np

from faceloom.pipelines.recordio.record_writer import RecordWriter
from faceloom.pipelines.sources.registry import open_source
from faceloom.schemas.photos import Photo
from faceloom.schemas.source_spec import SourceSpec

LIMIT = 3000
"""Records per second that are wanted, listed and read."""


def write(path: Path, records: int, length: int, packed: bool) -> None:
    """Write a file of records, ten a person."""
    noise = np.random.default_rng(0).integers(0, 256, length + records, np.uint8).tobytes()
    with path.open("wb") as stream, path.with_suffix(".idx").open("wb") as index:
        writer = RecordWriter(stream, index)
        for number in range(records):
            person = float(number // 10)
            writer.write(number, (person, 0.0) if packed else person, noise[number : number + length])


def measure(name: str, path: Path) -> None:
    """List and read one file, and print the rates."""
    source = open_source(SourceSpec(path=str(path)))
    begin = time.perf_counter()
    photos = [row for row in source.scan() if isinstance(row, Photo)]
    listed = time.perf_counter()
    read = sum(len(source.read(photo.uri)) for photo in photos)
    done = time.perf_counter()
    assert read == sum(photo.size for photo in photos)
    rates = [len(photos) / seconds for seconds in (listed - begin, done - listed, done - begin)]
    print(f"{name:14} {rates[0]:9,.0f} listed/s  {rates[1]:9,.0f} read/s  {rates[2]:9,.0f} both/s, limit {LIMIT:,}")


def main() -> None:
    """Measure three kinds of file."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--records", type=int, default=20_000)
    parser.add_argument("--bytes", type=int, default=6_000)
    asked = parser.parse_args()
    print(f"{asked.records:,} records of {asked.bytes:,} bytes, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as folder:
        for name in ("plain", "packed", "without index"):
            path = Path(folder) / f"{name.replace(' ', '_')}.rec"
            write(path, asked.records, asked.bytes, name == "packed")
            if name == "without index":
                path.with_suffix(".idx").unlink()
            measure(name, path)


if __name__ == "__main__":
    main()
