"""Who is near whom: the search for neighbours in tasks over blocks of faces, its results kept from run to run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from typing import overload

import numpy as np
import numpy.typing as npt

from faceloom.pipelines.context import Context
from faceloom.pipelines.plan.textures import (
    TextureTask,
    face_facts,
    failed_faces,
    is_made,
    joined,
    make_textures,
    open_block,
    write_blocks,
)
from faceloom.pipelines.run.progress import tick
from faceloom.pipelines.run.run_tasks import run_tasks
from faceloom.pipelines.run.stopwatch import Stopwatch
from faceloom.pipelines.run.watcher import Watcher
from faceloom.pipelines.store.failures import refuse_failed
from faceloom.pipelines.store.parquet_tables import read_neighbours, write_neighbours
from faceloom.pipelines.store.paths import (
    WORK,
    neighbour_facts,
    neighbour_table,
    search_groups,
    search_index,
    search_rows,
    work_name,
)
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.keys import digest
from faceloom.schemas.morph import Morph
from faceloom.schemas.plan import PlannedFace
from faceloom.schemas.versions import RENDERER
from faceloom.transforms.neighbours.exact import nearest
from faceloom.transforms.neighbours.faces import Faces, Metric, Neighbour

GROUP = 10
"""Blocks of textures that are compared together: the more, the fewer times each is opened."""
RECALL_SAMPLE = 200
"""Queries whose true neighbours are found as well, to measure what an index misses."""


@dataclass(frozen=True, slots=True)
class Nearness:
    """Who is near whom in one split.

    Attributes:
        rows: of all faces, nearest first.
        failed: faces that could not be compared, by key, with code and message.
        recall: measured share of the true neighbours among the rows; None where they are exact.
        kept: paths of what was found, in the output.
        seconds: of work by stage, added up over workers; empty if all was known.
    """

    rows: tuple[Neighbour, ...]
    failed: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    recall: float | None = None
    kept: tuple[str, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SearchTask:
    """The search for the neighbours of one group of blocks among all groups of its split."""

    split: str
    number: int

    @property
    def path(self) -> str:
        """Of the rows that are found."""
        return search_rows(self.split, self.number)


class Groups(Sequence[Faces]):
    """All groups of a split, each opened when it is asked for."""

    def __init__(self, storage: Storage, split: str) -> None:
        self._storage = storage
        self.names: list[list[str]] = json.loads(storage.read_bytes(search_groups(split)))

    def __len__(self) -> int:
        return len(self.names)

    @overload
    def __getitem__(self, at: int) -> Faces: ...
    @overload
    def __getitem__(self, at: slice) -> list[Faces]: ...
    def __getitem__(self, at: int | slice) -> Faces | list[Faces]:
        if isinstance(at, slice):
            return [self[number] for number in range(len(self))[at]]
        return joined([open_block(self._storage, block) for block in self.names[at]])


def find_neighbours(
    context: Context, morph: Morph, faces: Sequence[PlannedFace], *, workers: int, watcher: Watcher
) -> Nearness:
    """Find the nearest faces of every face of one split.

    What was found is kept by a digest of everything that it depends on, so a finished build finds it there and makes no
    texture again. A run that is stopped leaves its blocks to the next.

    Args:
        context: of the build.
        morph: what the recipe says.
        faces: of the split, with landmarks.
        workers: processes.
        watcher: is told how it goes.

    Raises:
        SourceError: a photo changed or vanished since it was analysed.
    """
    storage = context.storage
    faces = sorted(faces, key=lambda face: face.key)
    name = _name(context, morph, faces)
    kept, facts = neighbour_table(name), neighbour_facts(name)
    seconds: dict[str, float] = {}
    if not (storage.exists(kept) and storage.exists(facts)):
        tasks = write_blocks(storage, context.recipe, morph, faces)
        blocks = [task.name for task in tasks]
        seconds |= _make_all(context, tasks, workers, watcher)
        _write_json(storage, search_groups(name), [blocks[at : at + GROUP] for at in range(0, len(blocks), GROUP)])
        recall = _index(storage, name, morph) if morph.candidates == "ivf" else None
        rows, more = _search_all(context, name, len(faces), workers, watcher)
        failed = {key: why for block in blocks for key, why in failed_faces(storage, block).items()}
        _write_json(storage, facts, {"failed": failed, "recall": recall})
        write_neighbours(storage, kept, rows)
        seconds |= more
        for path in storage.list(WORK):
            if work_name(path).startswith((name, *blocks)):
                storage.remove(path)
    told = json.loads(storage.read_bytes(facts))
    failed = {key: (code, message) for key, (code, message) in told["failed"].items()}
    return Nearness(tuple(read_neighbours(storage, kept)), failed, told["recall"], (kept, facts), seconds)


def _name(context: Context, morph: Morph, faces: Sequence[PlannedFace]) -> str:
    settings = morph.model_dump(mode="json", exclude={"draw", "weights", "background"}, by_alias=True)
    align = context.recipe.align.model_dump(mode="json", exclude={"size"})
    return digest(RENDERER, settings, align, context.recipe.faces.assume, face_facts(faces))[:24]


def _write_json(storage: Storage, path: str, value: object) -> None:
    with storage.write(path) as stream:
        stream.write(json.dumps(value, sort_keys=True).encode())


def metric_of(morph: Morph) -> Metric:
    """The distance that a recipe asks for."""
    return Metric(morph.lambda_, 255.0 if morph.texture_units == "unit" else 1.0)


def _make_all(context: Context, tasks: Sequence[TextureTask], workers: int, watcher: Watcher) -> dict[str, float]:
    to_do = [task for task in tasks if not is_made(context.storage, task.name)]
    watcher.stage("textures", sum(task.faces for task in to_do), "faces")
    seconds = run_tasks(to_do, partial(_make_textures, context=context), workers=workers, on_count=watcher.done)
    refuse_failed(context.storage, "nothing was compared with them")
    return seconds


def _make_textures(task: TextureTask, context: Context) -> tuple[str, None, dict[str, float]]:
    return "", None, make_textures(task, context)


def _search_all(
    context: Context, name: str, faces: int, workers: int, watcher: Watcher
) -> tuple[list[Neighbour], dict[str, float]]:
    storage = context.storage
    tasks = [SearchTask(name, number) for number in range(len(Groups(storage, name)))]
    to_do = [task for task in tasks if not storage.exists(task.path)]
    watcher.stage("compare", faces, "faces")
    seconds = run_tasks(to_do, partial(_search, context=context), workers=workers, on_count=watcher.done)
    return [row for task in tasks for row in read_neighbours(storage, task.path)], seconds


def _search(task: SearchTask, context: Context) -> tuple[str, None, dict[str, float]]:
    storage, morph, watch = context.storage, context.recipe.morph, Stopwatch()
    assert morph is not None
    groups, metric = Groups(storage, task.split), metric_of(morph)
    queries = groups[task.number]
    with watch.time("compare"):
        if not len(queries):
            rows = []
        elif morph.candidates == "ivf":
            from faceloom.transforms.neighbours.ivf import nearest_by_index

            candidates, index = _open_all(storage.root, task.split), _read_index(storage.root, task.split)
            rows = nearest_by_index(queries, index, candidates, metric, morph.neighbours, morph.same_identity)
        else:
            rows = nearest(queries, groups, metric, morph.neighbours, morph.same_identity)
        tick(len(queries.keys))
    write_neighbours(storage, task.path, rows)
    return "", None, dict(watch.seconds)


@lru_cache(maxsize=1)
def _open_all(root: str, split: str) -> tuple[Faces, ...]:
    """All groups of a split, opened once per process, without what only an index is made of."""
    groups = Groups(Storage(root), split)
    return tuple(replace(group, sketches=group.sketches[:0].copy()) for group in groups)


@lru_cache(maxsize=1)
def _read_index(root: str, split: str) -> npt.NDArray[np.uint8]:
    return np.asarray(np.load(Storage(root).local(search_index(split))))


def _index(storage: Storage, name: str, morph: Morph) -> float:
    """Write the index of a split, and measure on some of its faces how many true neighbours it finds."""
    from faceloom.transforms.neighbours.ivf import build_index, nearest_by_index, recall

    groups, metric = Groups(storage, name), metric_of(morph)
    if not any(map(len, groups)):
        return 1.0
    index = build_index(groups, metric)
    with storage.write(search_index(name), durable=False) as stream:
        np.save(stream, index)
    some = groups[:: max(1, len(groups) // 20)]
    every = max(1, sum(map(len, some)) // RECALL_SAMPLE)
    queries = joined([group[::every] for group in some])
    count, same = morph.neighbours, morph.same_identity
    found = nearest_by_index(queries, index, _open_all(storage.root, name), metric, count, same)
    return recall(found, nearest(queries, groups, metric, count, same))
