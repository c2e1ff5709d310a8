"""What the tasks of a search for neighbours cost: processor seconds, memory, bytes on disk, recall of an index.

    OPENBLAS_NUM_THREADS=1 python benchmarks/neighbour_tasks.py FOLDER [--faces 10000 100000] [--some 3]

Makes the synthetic faces of `neighbours.py` in FOLDER, as the task of textures leaves them (160 kB each); those that it
holds already are used again. Each task runs in a process of its own. All tasks of a stage cost about the same, so
`--some` of each are measured, and multiplied; the tasks for the centroids and for the sample are one each. Recall is
that of the groups which are searched.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import os
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any
from unittest import mock

import cv2
import numpy as np
import pyarrow as pa
from memory import peak_of
from neighbours import SIDE, draw_faces, make_landmarks

from faceloom.pipelines.analyse.analysis import Analysis
from faceloom.pipelines.analyse.photo_table import PhotoTable
from faceloom.pipelines.build import render_tasks
from faceloom.pipelines.context import Context
from faceloom.pipelines.plan import index_search, plan_morphs
from faceloom.pipelines.plan.block_groups import BlockGroups, write_groups
from faceloom.pipelines.plan.choose import choose_faces
from faceloom.pipelines.plan.index_search import PIECE, IndexTask
from faceloom.pipelines.plan.mix_faces import face_keys, rows_by_split
from faceloom.pipelines.plan.neighbour_search import SearchTask, SplitNeighbours, search_task_group
from faceloom.pipelines.plan.planned_faces import PlannedFaces
from faceloom.pipelines.plan.shard_layout import make_plan
from faceloom.pipelines.plan.textures import BLOCK
from faceloom.pipelines.run.stopwatch import Stopwatch
from faceloom.pipelines.run.watcher import Watcher
from faceloom.pipelines.store.array_files import write_arrays
from faceloom.pipelines.store.neighbour_rows import NeighbourRows, read_neighbours
from faceloom.pipelines.store.output_folder import locked_output
from faceloom.pipelines.store.parquet_tables import table_schema
from faceloom.pipelines.store.paths import search_faces, search_rows, search_vectors, texture_block, texture_facts
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.faces import AnalysedPhoto, FaceRow
from faceloom.schemas.photos import Photo
from faceloom.schemas.recipe import parse_recipe
from faceloom.transforms.neighbours.faces import Neighbour
from faceloom.transforms.neighbours.ivf import recall
from faceloom.transforms.neighbours.sketch import sketch


def context_of(folder: Path, candidates: str) -> Context:
    """A build with morphs in a folder."""
    recipe = parse_recipe({"name": "x", "morph": {"candidates": candidates}})
    return Context(recipe.model_dump_json(by_alias=True), str(folder))


def array_of(value: object) -> np.ndarray:
    """A JSON value as the facts of a block hold it."""
    return np.frombuffer(json.dumps(value).encode(), np.uint8)


def make_blocks(folder: Path, count: int) -> float:
    """Write the blocks that are missing; returns the processor seconds of all sketches."""
    storage, landmarks, drawn, seconds = Storage(str(folder)), make_landmarks(count), draw_faces(count), 0.0
    for start in range(0, count, BLOCK):
        name = f"{start:024x}"
        numbers = range(start, min(start + BLOCK, count))
        if storage.exists(texture_facts(name)):
            for _ in numbers:
                next(drawn)
            continue
        textures = np.stack([next(drawn) for _ in numbers])
        begun = time.process_time()
        sketches = sketch(textures)
        seconds += time.process_time() - begun
        with storage.write(texture_block(name), durable=False) as stream:
            stream.write(textures.data)
        names = [[f"{number:016x}-f00", f"{number:064x}", f"person {number // 3}"] for number in numbers]
        facts = {"side": np.array(SIDE), "landmarks": landmarks[start : start + BLOCK], "sketches": sketches}
        write_arrays(
            storage, texture_facts(name), {**facts, "names": array_of(names), "failed": array_of({})}, durable=False
        )
    return seconds


def measured(work: Callable[..., Any], *arguments: object) -> tuple[Any, float, int]:
    """Run a function in a process of its own: its result, processor seconds, and peak memory in MB."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_timed, work, arguments).result()


def _timed(work: Callable[..., Any], arguments: tuple[object, ...]) -> tuple[Any, float, int]:
    cv2.setNumThreads(1)
    start = time.process_time()
    result = work(*arguments)
    return result, time.process_time() - start, peak_of(os.getpid())


def make_part(folder: Path, task: IndexTask) -> None:
    """Run a task of the index."""
    index_search.make_part(task, context_of(folder, "ivf"))


def search(folder: Path, name: str, group: int, candidates: str) -> dict[str, float]:
    """Run a task of the search."""
    task = SearchTask(name, group, PIECE if candidates == "ivf" else 0)
    return search_task_group(task, context_of(folder, candidates))[2]


def plan(folder: Path, count: int) -> dict[str, float]:
    """Plan a morph with each of ten neighbours, as the command does after the search. Returns seconds by step."""
    recipe = parse_recipe({"name": "x", "faces": {"min_size": 0}, "split": {"shares": {"train": 1.0}}, "morph": {}})
    context = Context(recipe.model_dump_json(by_alias=True), str(folder))
    watch = Stopwatch()
    with locked_output(context.storage):
        with watch.time("made-up faces"):
            choice = choose_faces(recipe, made_up(str(folder), count))
        assert isinstance(choice.faces, PlannedFaces)
        rows = ring(face_keys(PlannedFaces(choice.faces.table.taken(next(rows_by_split(choice.faces))[1]))))
        found = mock.patch.object(plan_morphs, "find_neighbours", lambda *_, **__: SplitNeighbours(rows))
        with found, watch.time("morphs"):
            choice, _ = plan_morphs.with_morphs(context, choice, workers=1, watcher=Watcher())
        with watch.time("digests, layout"):
            planned = make_plan(recipe, choice, [])
        with watch.time("rows of the tasks"):
            render_tasks(planned, context)
    return dict(watch.seconds)


def made_up(folder: str, count: int) -> Analysis:
    """Photos of one face each, three of each person."""
    points = make_landmarks(1)[0].tobytes()
    photos, rows = [], {}
    for number in range(count):
        photo = Photo("s", f"{number:08d}.jpg", f"person {number // 3}", None, None, None, (), None, 100, "t")
        face = FaceRow((0.0, 0.0, SIDE - 1.0, SIDE - 1.0), points, 1.0, ())
        sha = hashlib.sha256(photo.uri.encode()).hexdigest()
        rows[photo.photo_id] = AnalysedPhoto(photo.photo_id, 100, "t", sha, SIDE, SIDE, 1, (face,))
        photos.append(photo)
    return Analysis.of(Storage(folder), PhotoTable.of(photos), rows)


def ring(keys: Any) -> NeighbourRows:
    """Ten neighbours of each face, among those that follow it by key."""
    count = len(keys)
    query, rank = np.repeat(np.arange(count), 10), np.tile(np.arange(10), count)
    columns = {"query": keys.take(query), "neighbour": keys.take((query + 7 * rank + 3) % count), "rank": rank}
    names = ("distance", "landmark_distance", "texture_distance")
    columns |= {name: rank + 0.5 / (at + 1) for at, name in enumerate(names)}
    return NeighbourRows(pa.table(columns, schema=table_schema(Neighbour)))


def report(what: str, tasks: int, runs: list[tuple[Any, float, int]]) -> None:
    """Print a line for a stage, from some of its tasks."""
    each = sum(seconds for _, seconds, _ in runs) / len(runs)
    stages = {name: sum(found[name] for found, _, _ in runs) / len(runs) for name in (runs[0][0] or {})}
    inside = "".join(f", {name} {seconds:.1f} s wall" for name, seconds in stages.items())
    peak = max(peak for _, _, peak in runs)
    print(f"  {what:16} {tasks:5} x {each:7.1f} s = {tasks * each:9.0f} s, peak {peak} MB{inside}", flush=True)


def measure(folder: Path, count: int, some: int) -> None:
    """Print the rows of one size."""
    storage, search_name = Storage(str(folder)), f"{count:024x}"
    blocks = [f"{start:024x}" for start in range(0, count, BLOCK)]
    write_groups(storage, search_name, blocks)
    groups = len(BlockGroups(storage, search_name))
    print(f"\n{count} faces, {groups} groups, load {os.getloadavg()[0]:.1f}", flush=True)
    for what in ("centroids", "sample"):
        report(what, 1, [measured(make_part, folder, IndexTask(search_name, what))])
    pieces = [
        IndexTask(search_name, "piece", at // PIECE, (at, min(at + PIECE, groups))) for at in range(0, groups, PIECE)
    ]
    report("pieces", len(pieces), [measured(make_part, folder, piece) for piece in pieces])
    chosen = sorted({groups * number // some for number in range(some)})
    rows = {}
    for candidates in ("ivf", "all"):
        report(candidates, groups, [measured(search, folder, search_name, group, candidates) for group in chosen])
        found = [read_neighbours(storage, search_rows(search_name, group)) for group in chosen]
        rows[candidates] = [row for part in found for row in part]
    report("command", 1, [measured(plan, folder / f"plan-{count}", count)])
    sizes = {
        "textures": sum(map(storage.size, map(texture_block, blocks))),
        "facts": sum(map(storage.size, map(texture_facts, blocks))),
        "index": sum(
            storage.size(path(search_name, piece.number)) for piece in pieces for path in (search_vectors, search_faces)
        ),
    }
    print(f"  bytes per face: {', '.join(f'{name} {size / count:,.0f}' for name, size in sizes.items())}")
    print(f"  recall {100 * recall(rows['ivf'], rows['all']):.1f} %, load {os.getloadavg()[0]:.1f}", flush=True)


def main() -> None:
    """Make the faces of the largest size, and measure all sizes on them."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--faces", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--some", type=int, default=3)
    asked = parser.parse_args()
    cv2.setNumThreads(1)
    print(f"sketches of new faces {make_blocks(asked.folder, max(asked.faces)):.1f} s processor")
    for count in asked.faces:
        measure(asked.folder, count, asked.some)


if __name__ == "__main__":
    main()
