"""Time and memory of planning large sets: listing, face table, choosing, splits, layout and plan rows of the tasks.

    python benchmarks/planning.py FOLDER [--faces 100000 1000000] [--per-file 100] [--runs 2]

Makes face tables of random photos in FOLDER: identities with few photos and with hundreds, 68 landmarks each, two masks
to draw from, two variants of each face, 1 % of the photos without a face, 1 % twice. The source lists the photos and
has no bytes of them, since planning reads none. A table that FOLDER holds already is used again. Each run is a process
of its own. The first one finds the table in files of `--per-file` photos, as analysis leaves them.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pyarrow as pa

from faceloom.pipelines import build
from faceloom.pipelines.analyse import survey as survey_module
from faceloom.pipelines.analyse.photo_task import analyser_id
from faceloom.pipelines.context import Context
from faceloom.pipelines.plan.choose import choose_faces
from faceloom.pipelines.render.mask_painter import mask_digests
from faceloom.pipelines.run.watcher import Watcher
from faceloom.pipelines.store.output_folder import locked_output
from faceloom.pipelines.store.parquet_tables import write_table
from faceloom.pipelines.store.paths import face_table_file
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.faces import FaceRow
from faceloom.schemas.photos import Photo
from faceloom.schemas.recipe import parse_recipe

RECIPE = {
    "name": "plan",
    "sources": [{"path": "made-up"}],
    "per_face": 2,
    "masks": [{"kind": "polygon", "shape": "A"}, {"kind": "polygon", "shape": "C", "weight": 2.0}],
    "split": {"shares": {"train": 0.8, "val": 0.1, "test": 0.1}},
}
BLOCK = 100_000


def people(count: int) -> np.ndarray:
    """The person of each photo: most have a few photos, some hundreds."""
    rng = np.random.default_rng(1)
    sizes = np.minimum(rng.zipf(1.6, count // 2 + 1), 800)
    if sizes.sum() < count:
        return rng.integers(0, count, count)
    return np.repeat(np.arange(len(sizes)), sizes)[:count].copy()  # a slice would keep the rest, a GB


def uris(numbers: range, persons: np.ndarray) -> list[str]:
    """Path of each photo."""
    return [f"{person:07d}/{number:08d}.jpg" for number, person in zip(numbers, persons.tolist(), strict=True)]


@dataclass(frozen=True)
class MadeUp:
    """A source of photos without bytes."""

    count: int
    name: str = "made-up"

    def scan(self) -> Iterator[Photo]:
        """List the photos, sorted by person."""
        everyone = people(self.count)
        for start in range(0, self.count, BLOCK):
            numbers = range(start, min(start + BLOCK, self.count))
            some = everyone[numbers.start : numbers.stop]
            for number, person, uri in zip(numbers, some.tolist(), uris(numbers, some), strict=True):
                stamp = f"17{number:08d}123456789"
                yield Photo(self.name, uri, f"person {person}", None, "CC0", None, (), None, 20_000 + person, stamp)


@dataclass(frozen=True)
class MadeUpContext(Context):
    """A build of these photos."""

    photos: int = 0

    def source(self, name: str) -> Any:
        """The only source."""
        return MadeUp(self.photos)


def make_table(storage: Storage, count: int, per_file: int, analyser: str) -> None:
    """Write the face table of the photos, in files of `per_file`."""
    rng, everyone = np.random.default_rng(0), people(count)
    for start in range(0, count, per_file):
        numbers = range(start, min(start + per_file, count))
        some, rows = everyone[numbers.start : numbers.stop], len(numbers)
        faceless = np.array([number % 100 == 7 for number in numbers])
        contents = [number - number % 100 if number % 100 == 11 else number for number in numbers]
        points = rng.uniform(50, 200, (rows, 68, 2)).astype(np.float32)
        boxes = np.concatenate([points.min(axis=1), points.max(axis=1)], axis=1).astype(np.float64)
        columns: dict[str, Any] = {
            "photo_id": [f"{MadeUp.name}/{uri}" for uri in uris(numbers, some)],
            "size": 20_000 + some,
            "stamp": [f"17{number:08d}123456789" for number in numbers],
            "sha256": [hashlib.sha256(b"%d" % content).hexdigest() for content in contents],
            "width": np.full(rows, 250),
            "height": np.full(rows, 250),
            "orientation": np.ones(rows, np.int64),
            "code": np.where(faceless, "no_face", "").tolist(),
            "message": np.where(faceless, "the detector finds no face", "").tolist(),
            "given": np.zeros(rows, bool),
            "labels": [""] * rows,
            "box": [None if bare else box for bare, box in zip(faceless, boxes.tolist(), strict=True)],
            "landmarks": [None if bare else one.tobytes() for bare, one in zip(faceless, points, strict=True)],
            "score": pa.array(np.ones(rows), mask=faceless),
            "quality": [
                None if bare else one
                for bare, one in zip(faceless.tolist(), rng.uniform(0, 200, (rows, 5)).tolist(), strict=True)
            ],
            "detector": [None if bare else "hog" for bare in faceless.tolist()],
            "turn": pa.array(np.zeros(rows, np.int64), mask=faceless),
            "landmarks_unsure": pa.array(np.zeros(rows, bool), mask=faceless),
            "masked": pa.array(np.full(rows, -1.0), mask=faceless),
        }  # fmt: skip
        name = hashlib.sha256(b"%d" % start).hexdigest()[:24]
        write_table(storage, face_table_file(analyser, name), FaceRow, columns, durable=False)


class Timer(Watcher):
    """Notes the processor time at the start of each stage."""

    def __init__(self) -> None:
        self.marks: list[tuple[str, float, int]] = []

    def mark(self, name: str) -> None:
        """What was done until now has this name."""
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        self.marks.append((name, time.process_time(), peak))

    def stage(self, name: str, total: int | None, unit: str) -> None:
        """A stage begins."""
        if name == "plan":
            self.mark("list photos, read the face table")


def measure(out: str, count: int) -> dict[str, Any]:
    """Plan one set, and write down what its tasks need. Returns seconds and MB by step."""
    recipe = parse_recipe(RECIPE)
    context = MadeUpContext(recipe.model_dump_json(exclude_unset=True), out, mask_digests(recipe), photos=count)
    watcher = Timer()
    watcher.mark("start")
    begin = time.perf_counter()

    def noted(*given: Any, **named: Any) -> Any:
        choice = choose_faces(*given, **named)
        watcher.mark("choose faces, draw masks, split")
        return choice

    with (
        mock.patch.object(survey_module, "kind_of", lambda source: "flat"),
        mock.patch.object(build, "choose_faces", noted),
    ):
        found, plan = build.plan_build(context, workers=1, watcher=watcher)
    watcher.mark("digest and divide")
    assert not found.analysed_now
    with locked_output(context.storage):
        tasks = build.render_tasks(plan, context)
    watcher.mark("write the rows of the tasks")
    steps = [
        {"step": name, "seconds": round(at - before, 1), "peak": peak}
        for (_, before, _), (name, at, peak) in zip(watcher.marks, watcher.marks[1:], strict=False)
    ]
    return {
        "plan": plan.digest, "shards": len(plan.shards), "tasks": len(tasks.tasks), "samples": plan.samples,
        "wall": round(time.perf_counter() - begin, 1), "steps": steps,
    }  # fmt: skip


def main() -> None:
    """Measure each size in processes of their own, and print a table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--faces", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--per-file", type=int, default=100)
    parser.add_argument("--runs", type=int, default=2)
    parser.add_argument("--child", action="store_true")
    asked = parser.parse_args()
    if asked.child:
        print(json.dumps(measure(str(asked.folder), asked.faces[0])))
        return
    recipe = parse_recipe(RECIPE)
    for count in asked.faces:
        out = asked.folder / f"{count}"
        storage, analyser = Storage(str(out)), analyser_id(recipe.faces)
        if not out.exists():
            with locked_output(storage, keep=True):
                make_table(storage, count, asked.per_file, analyser)
        for run in range(asked.runs):
            files = len(storage.list(f"faces/{analyser}"))
            command = [sys.executable, __file__, str(out), "--faces", str(count), "--child"]
            result = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
            seconds = sum(step["seconds"] for step in result["steps"])
            print(f"{count:,} photos in {files:,} files, run {run + 1}, load {os.getloadavg()[0]:.1f}")
            print(f"  {result['samples']:,} samples, {result['shards']:,} shards, {result['tasks']:,} tasks, plan "
                  f"{result['plan'][:12]}")  # fmt: skip
            for step in result["steps"]:
                print(f"  {step['step']:<36} {step['seconds']:8.1f} s processor, peak {step['peak']:6,} MB")
            print(f"  {'all':<36} {seconds:8.1f} s processor, {result['wall']:.1f} s wall", flush=True)


if __name__ == "__main__":
    main()
