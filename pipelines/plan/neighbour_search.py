"""Search for the nearest neighbours of faces, in tasks over groups of blocks. Results are kept for later runs."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from typing import Annotated, Any, overload

import numpy as np
import numpy.typing as npt
from pydantic import Field

from faceloom.pipelines.context import Context
from faceloom.pipelines.plan.textures import (
    TextureTask,
    face_facts,
    failed_faces,
    has_textures,
    join_blocks,
    make_textures,
    open_block,
    write_blocks,
)
from faceloom.pipelines.run.progress import tick
from faceloom.pipelines.run.run_tasks import run_tasks
from faceloom.pipelines.run.runners import Workers
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
from faceloom.pipelines.store.storage import MOST_BYTES, REPAIR, Storage
from faceloom.schemas.column_types import Key, adapter
from faceloom.schemas.errors import StorageError
from faceloom.schemas.json_text import parse_json
from faceloom.schemas.keys import digest
from faceloom.schemas.morph import Morph
from faceloom.schemas.plan import PlannedFace
from faceloom.schemas.versions import RENDERER
from faceloom.transforms.neighbours.exact import nearest
from faceloom.transforms.neighbours.faces import Faces, Metric, Neighbour

GROUP = 10
"""Blocks of textures that one task compares with all others: larger groups open each block fewer times."""
RECALL_SAMPLE = 200
"""Faces whose true neighbours are searched too, to measure the recall of an index."""


@dataclass(frozen=True, slots=True)
class SplitNeighbours:
    """The neighbours of all faces of one split.

    Attributes:
        rows: for each face its neighbours, nearest first.
        failed: faces that could not be compared, by key, with code and message.
        recall: measured share of the true neighbours that an index found; None for an exact search.
        kept: paths of the result in the output.
        seconds: of work by stage, added up over workers; empty if an earlier run found the result.
    """

    rows: tuple[Neighbour, ...]
    failed: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    recall: float | None = None
    kept: tuple[str, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SearchTask:
    """The search for the neighbours of one group of blocks among all groups of its split.

    Attributes:
        search: name of the search.
        group: number of the group.
    """

    search: str
    group: int

    @property
    def path(self) -> str:
        """Of the rows that are found."""
        return search_rows(self.search, self.group)


class BlockGroups(Sequence[Faces]):
    """All groups of a search. A group is opened each time it is asked for.

    Attributes:
        names: of the blocks of each group.
    """

    def __init__(self, storage: Storage, search: str) -> None:
        self._storage = storage
        self.names: list[list[Key]] = _read_json(storage, search_groups(search), list[list[Key]])

    def __len__(self) -> int:
        return len(self.names)

    @overload
    def __getitem__(self, at: int) -> Faces: ...
    @overload
    def __getitem__(self, at: slice) -> list[Faces]: ...
    def __getitem__(self, at: int | slice) -> Faces | list[Faces]:
        if isinstance(at, slice):
            return [self[number] for number in range(len(self))[at]]
        return join_blocks([open_block(self._storage, block) for block in self.names[at]])


def find_neighbours(
    context: Context, morph: Morph, faces: Sequence[PlannedFace], *, workers: Workers, watcher: Watcher
) -> SplitNeighbours:
    """Find the nearest faces of every face of one split.

    The result is kept in the output under a digest of everything that it depends on, so the next build of the same
    faces reads it and makes no textures. After an interrupted run, the next run reuses the finished blocks.

    Args:
        context: of the build.
        morph: the recipe's `morph`.
        faces: of the split, with landmarks.
        workers: number of worker processes, or a cluster.
        watcher: receives progress.

    Raises:
        SourceError: a photo changed or vanished since it was analysed.
    """
    storage = context.storage
    faces = sorted(faces, key=lambda face: face.key)
    name = _search_name(context, morph, faces)
    with contextlib.suppress(StorageError):  # a damaged result is searched again
        return _kept(storage, name, morph, faces)
    tasks = write_blocks(storage, context.recipe, morph, faces)
    blocks = [task.name for task in tasks]
    seconds = dict(_make_missing_textures(context, tasks, workers, watcher))
    _write_json(storage, search_groups(name), [blocks[at : at + GROUP] for at in range(0, len(blocks), GROUP)])
    recall = _build_index(storage, name, morph) if morph.candidates == "ivf" else None
    rows, more = _search_missing_groups(context, name, len(faces), workers, watcher)
    failed = {key: why for block in blocks for key, why in failed_faces(storage, block).items()}
    _write_json(storage, neighbour_facts(name), {"failed": failed, "recall": recall})
    write_neighbours(storage, neighbour_table(name), rows)
    for path in storage.list(WORK):
        if work_name(path).startswith((name, *blocks)):
            storage.remove(path)
    return replace(_kept(storage, name, morph, faces), seconds=seconds | more)


@dataclass(frozen=True, slots=True)
class _Facts:
    """What is stored with a result."""

    failed: dict[Key, tuple[str, str]]
    recall: Annotated[float, Field(ge=0, le=1)] | None


def _kept(storage: Storage, name: str, morph: Morph, faces: Sequence[PlannedFace]) -> SplitNeighbours:
    """The result of a search that is kept in the output.

    Raises:
        StorageError: there is none, it is damaged, or it names other faces.
    """
    facts: _Facts = _read_json(storage, neighbour_facts(name), _Facts)
    rows = read_neighbours(storage, neighbour_table(name), len(faces) * morph.neighbours)
    keys = {face.key for face in faces}
    if not ({row.query for row in rows} | {row.neighbour for row in rows} | set(facts.failed)) <= keys:
        raise StorageError("damaged: it names faces of another search", where=neighbour_table(name), remedy=REPAIR)
    kept = neighbour_table(name), neighbour_facts(name)
    return SplitNeighbours(tuple(rows), facts.failed, facts.recall, kept)


def _search_name(context: Context, morph: Morph, faces: Sequence[PlannedFace]) -> str:
    settings = morph.model_dump(mode="json", exclude={"draw", "weights", "background"}, by_alias=True)
    align = context.recipe.align.model_dump(mode="json", exclude={"size"})
    return digest(RENDERER, settings, align, context.recipe.faces.assume, face_facts(faces))[:24]


def _write_json(storage: Storage, path: str, value: object) -> None:
    with storage.write(path) as stream:
        stream.write(json.dumps(value, sort_keys=True).encode())


def _read_json(storage: Storage, path: str, kind: Any) -> Any:
    try:
        return adapter(kind).validate_python(parse_json(storage.read_bytes(path), MOST_BYTES))
    except ValueError as error:
        raise StorageError("damaged: it is no JSON of a search", where=path, remedy=REPAIR) from error


def metric_of(morph: Morph) -> Metric:
    """The distance between faces that a recipe asks for."""
    return Metric(morph.lambda_, 255.0 if morph.texture_units == "unit" else 1.0)


def _make_missing_textures(
    context: Context, tasks: Sequence[TextureTask], workers: Workers, watcher: Watcher
) -> dict[str, float]:
    to_do = [task for task in tasks if not has_textures(context.storage, task.name)]
    watcher.stage("textures", sum(task.faces for task in to_do), "faces")
    seconds = run_tasks(to_do, partial(_make_textures, context=context), workers=workers, on_count=watcher.done)
    refuse_failed(context.storage, "nothing was compared with them")
    return seconds


def _make_textures(task: TextureTask, context: Context) -> tuple[str, None, dict[str, float]]:
    return "", None, make_textures(task, context)


def _search_missing_groups(
    context: Context, name: str, faces: int, workers: Workers, watcher: Watcher
) -> tuple[list[Neighbour], dict[str, float]]:
    storage = context.storage
    tasks = [SearchTask(name, number) for number in range(len(BlockGroups(storage, name)))]
    found: dict[SearchTask, list[Neighbour]] = {}
    for task in tasks:
        with contextlib.suppress(StorageError):  # missing, or damaged in an interrupted run
            found[task] = read_neighbours(storage, task.path)
    to_do = [task for task in tasks if task not in found]
    watcher.stage("compare", faces, "faces")
    seconds = run_tasks(to_do, partial(_search_group, context=context), workers=workers, on_count=watcher.done)
    found |= {task: read_neighbours(storage, task.path) for task in to_do}
    return [row for task in tasks for row in found[task]], seconds


def _search_group(task: SearchTask, context: Context) -> tuple[str, None, dict[str, float]]:
    storage, morph, watch = context.storage, context.recipe.morph, Stopwatch()
    assert morph is not None
    groups, metric = BlockGroups(storage, task.search), metric_of(morph)
    queries = groups[task.group]
    with watch.time("compare"):
        if not len(queries):
            rows = []
        elif morph.candidates == "ivf":
            from faceloom.transforms.neighbours.ivf import nearest_by_index

            candidates, index = _open_groups(storage.root, task.search), _read_index(storage.root, task.search)
            rows = nearest_by_index(queries, index, candidates, metric, morph.neighbours, morph.same_identity)
        else:
            rows = nearest(queries, groups, metric, morph.neighbours, morph.same_identity)
        tick(len(queries.keys))
    write_neighbours(storage, task.path, rows)
    return "", None, dict(watch.seconds)


@lru_cache(maxsize=1)
def _open_groups(root: str, search: str) -> tuple[Faces, ...]:
    """All groups of a search, opened once per process, without the sketches, which only the index needs."""
    groups = BlockGroups(Storage(root), search)
    return tuple(replace(group, sketches=group.sketches[:0].copy()) for group in groups)


@lru_cache(maxsize=1)
def _read_index(root: str, search: str) -> npt.NDArray[np.uint8]:
    with Storage(root).open(search_index(search)) as stream:
        return np.asarray(np.load(stream, allow_pickle=False))


def _build_index(storage: Storage, name: str, morph: Morph) -> float:
    """Write the FAISS index of a search, and return its recall, measured on a sample of the faces."""
    from faceloom.transforms.neighbours.ivf import build_index, nearest_by_index, recall

    groups, metric = BlockGroups(storage, name), metric_of(morph)
    if not any(map(len, groups)):
        return 1.0
    index = build_index(groups, metric)
    with storage.write(search_index(name), durable=False) as stream:
        np.save(stream, index)
    some = groups[:: max(1, len(groups) // 20)]
    every = max(1, sum(map(len, some)) // RECALL_SAMPLE)
    queries = join_blocks([group[::every] for group in some])
    count, same = morph.neighbours, morph.same_identity
    found = nearest_by_index(queries, index, _open_groups(storage.root, name), metric, count, same)
    return recall(found, nearest(queries, groups, metric, count, same))
