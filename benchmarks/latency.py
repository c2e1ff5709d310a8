"""What the latency of an object store costs: photos, tables, tar files, records, and the photos of morphs.

    python benchmarks/latency.py [--photos 150] [--latency 50] [--work 20]

A store on this machine answers each request that many milliseconds late. First each kind of source is read photo by
photo, with some milliseconds of pretended work after each; the cost is the time beyond that work. Then morphs are built
from photos of 1,000 x 800 pixels, with and without the latency; there, waiting includes hashing.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import sys
import tarfile
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from faceloom.pipelines.build import prepare, run_build
from faceloom.pipelines.recordio.record_writer import RecordWriter
from faceloom.pipelines.run.watcher import Watcher
from faceloom.pipelines.sources.ahead_source import AheadSource
from faceloom.pipelines.sources.registry import open_source
from faceloom.pipelines.sources.source import expect
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.photos import Photo
from faceloom.schemas.recipe import parse_recipe
from faceloom.schemas.source_spec import SourceSpec
from tests.object_stores import Fault, s3_server

LENGTH = 100_000
"""Bytes of a photo that is only read."""


def put(storage: Storage, name: str, data: bytes) -> None:
    """Write an object."""
    with storage.write(name) as stream:
        stream.write(data)


def lay(url: str, count: int) -> dict[str, str]:
    """Write the same photos as a folder with a table, as a tar file and as records. Returns where each kind lies."""
    storage = Storage(url)
    photos = {f"{number:04d}.jpg": np.random.default_rng(number).bytes(LENGTH) for number in range(count)}
    for name, data in photos.items():
        put(storage, f"photos/{name}", data)
    put(storage, "photos/list.csv", "\n".join(["uri", *photos]).encode())
    tar, records, index = io.BytesIO(), io.BytesIO(), io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as shard:
        for name, data in photos.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            shard.addfile(member, io.BytesIO(data))
    writer = RecordWriter(records, index)
    for number, data in enumerate(photos.values()):
        writer.write(number, float(number), data)
    put(storage, "set.tar", tar.getvalue())
    put(storage, "set.rec", records.getvalue())
    put(storage, "set.idx", index.getvalue())
    places = {"folder": "photos", "table": "photos/list.csv", "tar": "set.tar", "records": "set.rec"}
    return {kind: f"{url}/{place}" for kind, place in places.items()}


def measure(kind: str, url: str, fault: Fault, latency: float, work: float) -> None:
    """Read the photos of a source, and print what waiting costs."""
    source = open_source(SourceSpec(path=url, kind="flat" if kind == "folder" else "auto"))
    assert isinstance(source, AheadSource)
    fault.delay = latency
    begin = time.perf_counter()
    uris = [row.uri for row in source.scan() if isinstance(row, Photo)]
    scanned = time.perf_counter() - begin
    source.read(uris[-1])  # lists the members of a tar file, once per process
    costs = []
    for ahead in (True, False):
        some = uris if ahead else uris[:20]
        if ahead:
            expect(source, some)
        begin, worked = time.perf_counter(), 0.0
        for uri in some:
            assert len(source.read(uri)) == LENGTH
            now = time.perf_counter()
            time.sleep(work)
            worked += time.perf_counter() - now
        costs.append((time.perf_counter() - begin - worked) / len(some) / work)
    fault.delay = 0
    print(f"{kind:8} listed in {scanned:4.2f} s; waiting costs {costs[0]:6.1%} of the work; one by one {costs[1]:6.1%}")


def build_morphs(url: str, fault: Fault, latency: float, count: int) -> None:
    """Build morphs with and without latency, and print for how long the build waited for photos."""
    storage = Storage(url)
    angles = np.linspace(0, 2 * np.pi, 68, endpoint=False)
    rows = io.StringIO()
    table = csv.writer(rows)
    table.writerow(["uri", "identity", "landmarks"])
    for number in range(count):
        rng = np.random.default_rng(number)
        blocks = rng.integers(0, 256, (50, 63, 3), np.uint8)
        done, data = cv2.imencode(".jpg", cv2.resize(blocks, (1000, 800), interpolation=cv2.INTER_CUBIC))
        assert done
        put(storage, f"{number:04d}.jpg", data.tobytes())
        points = np.stack([500 + 150 * np.cos(angles), 400 + 190 * np.sin(angles)], 1) + rng.normal(0, 4, (68, 2))
        table.writerow([f"{number:04d}.jpg", f"p{number}", json.dumps(points.round(1).tolist())])
    put(storage, "list.csv", rows.getvalue().encode())
    recipe = parse_recipe(
        {
            "name": "x", "sources": [{"path": f"{url}/list.csv"}], "faces": {"min_size": 0}, "morph": {"neighbours": 1},
            "masks": [{"kind": "template", "template": "surgical"}], "split": {"shares": {"train": 1.0}},
        }
    )  # fmt: skip
    for delay in (0.0, latency):
        fault.delay = delay
        with tempfile.TemporaryDirectory() as out:
            result = run_build(prepare(recipe, out), workers=1, resume=True, watcher=Watcher())
        waited, total = result.work["read"], sum(result.work.values())
        print(
            f"morphs, {delay * 1000:2g} ms: waiting for photos {waited:5.2f} s of {total:5.2f} s: {waited / total:5.1%}"
        )
    fault.delay = 0


def main() -> None:
    """Measure all."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--photos", type=int, default=150)
    parser.add_argument("--latency", type=float, default=50, help="milliseconds of each request")
    parser.add_argument("--work", type=float, default=20, help="milliseconds of pretended work for each photo")
    asked = parser.parse_args()
    latency, work = asked.latency / 1000, asked.work / 1000
    print(f"{asked.photos} photos, {asked.latency:g} ms of latency, load {os.getloadavg()[0]:.1f}")
    fault = Fault()
    with s3_server(fault.proxy) as bucket:
        for kind, url in lay(f"{bucket}/read", asked.photos).items():
            measure(kind, url, fault, latency, work)
        build_morphs(f"{bucket}/morphs", fault, latency, asked.photos)


if __name__ == "__main__":
    main()
