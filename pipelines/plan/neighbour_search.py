"""Search for the nearest neighbours of faces, in tasks over groups of blocks. Results are kept for later runs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from faceloom.pipelines.context import Context
from faceloom.pipelines.plan.block_groups import BlockGroups, metric_of, read_json, write_groups, write_json
from faceloom.pipelines.plan.index_search import PIECE, build_index, measured_recall, search_group
from faceloom.pipelines.plan.mix_faces import face_keys
from faceloom.pipelines.plan.textures import (
    TextureTask,
    face_facts,
    failed_faces,
    has_textures,
    make_textures,
    write_blocks,
)
from faceloom.pipelines.run.progress import tick
from faceloom.pipelines.run.run_tasks import run_tasks
from faceloom.pipelines.run.runners import Workers
from faceloom.pipelines.run.stopwatch import Stopwatch
from faceloom.pipelines.run.watcher import Watcher
from faceloom.pipelines.store.failures import refuse_failed
from faceloom.pipelines.store.neighbour_rows import NeighbourRows, read_neighbours, write_neighbours
from faceloom.pipelines.store.paths import (
    WORK,
    neighbour_facts,
    neighbour_table,
    search_rows,
    work_name,
)
from faceloom.pipelines.store.storage import REPAIR, Storage
from faceloom.schemas.column_types import Key
from faceloom.schemas.errors import StorageError
from faceloom.schemas.keys import digest_rows
from faceloom.schemas.morph import Morph
from faceloom.schemas.plan import FaceList, FaceRows, PlannedFace
from faceloom.schemas.versions import RENDERER
from faceloom.transforms.neighbours.exact import nearest
from faceloom.transforms.neighbours.faces import Neighbour


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

    rows: Sequence[Neighbour]
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
        per_piece: groups in each piece of an index; 0 without one.
    """

    search: str
    group: int
    per_piece: int = 0

    @property
    def path(self) -> str:
        """Of the rows that are found."""
        return search_rows(self.search, self.group)


def find_neighbours(
    context: Context, morph: Morph, faces: Sequence[PlannedFace], *, workers: Workers, watcher: Watcher
) -> SplitNeighbours:
    """Find the nearest faces of every face of one split.

    The result is kept in the output under a digest of everything that it depends on, so the next build of the same
    faces reads it and makes no textures. After an interrupted run, the next run reuses the finished blocks.

    Args:
        context: of the build.
        morph: the recipe's `morph`.
        faces: of the split, with landmarks; `FaceRows` must be in the order of their keys.
        workers: number of worker processes, or a cluster.
        watcher: receives progress.

    Raises:
        SourceError: a photo changed or vanished since it was analysed.
    """
    storage = context.storage
    if not isinstance(faces, FaceRows):
        faces = FaceList(sorted(faces, key=lambda face: face.key))
    name = _search_name(context, morph, faces)
    with contextlib.suppress(StorageError):  # a damaged result is searched again
        return _kept(storage, name, morph, faces)
    tasks = write_blocks(storage, context.recipe, morph, faces)
    blocks = [task.name for task in tasks]
    seconds = dict(_make_missing_textures(context, tasks, workers, watcher))
    write_groups(storage, name, blocks)
    indexed = morph.candidates == "ivf"
    if indexed:
        seconds |= build_index(context, name, len(faces), workers=workers, watcher=watcher)
    rows, more = _search_missing_groups(context, name, len(faces), workers, watcher)
    failed = {key: why for block in blocks for key, why in failed_faces(storage, block).items()}
    recall = measured_recall(storage, name, rows) if indexed else None
    write_json(storage, neighbour_facts(name), {"failed": failed, "recall": recall})
    write_neighbours(storage, neighbour_table(name), rows)
    own = {name, *blocks}
    for path in storage.list(WORK):
        if work_name(path).split("-")[0] in own:
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
    facts: _Facts = read_json(storage, neighbour_facts(name), _Facts)
    rows = read_neighbours(storage, neighbour_table(name), len(faces) * morph.neighbours)
    keys = face_keys(faces)
    if any(np.any(numbers < 0) for numbers in rows.numbers(keys)) or not _all_among(facts.failed, keys):
        raise StorageError("damaged: it names faces of another search", where=neighbour_table(name), remedy=REPAIR)
    kept = neighbour_table(name), neighbour_facts(name)
    return SplitNeighbours(rows, facts.failed, facts.recall, kept)


def _all_among(names: Iterable[str], keys: Any) -> bool:
    """Whether all names are keys."""
    import pyarrow as pa
    import pyarrow.compute as pc

    return bool(pc.all(pc.is_in(pa.array(names, pa.string()), value_set=keys), min_count=0).as_py())


def _search_name(context: Context, morph: Morph, faces: Sequence[PlannedFace]) -> str:
    settings = morph.model_dump(mode="json", exclude={"draw", "weights", "background"}, by_alias=True)
    align = context.recipe.align.model_dump(mode="json", exclude={"size"})
    facts = (fact for face in faces for fact in face_facts([face]))
    return digest_rows(facts, RENDERER, settings, align, context.recipe.faces.assume)[:24]


def _make_missing_textures(
    context: Context, tasks: Sequence[TextureTask], workers: Workers, watcher: Watcher
) -> dict[str, float]:
    to_do = [task for task in tasks if not has_textures(context.storage, task.name)]
    watcher.stage("textures", sum(task.faces for task in to_do), "faces")
    seconds = run_tasks(
        to_do,
        partial(_make_textures, context=context),
        workers=workers,
        stage="textures",
        on_count=watcher.done,
        on_note=watcher.note,
    )
    refuse_failed(context.storage, "nothing was compared with them")
    return seconds


def _make_textures(task: TextureTask, context: Context) -> tuple[str, None, dict[str, float]]:
    return "", None, make_textures(task, context)


def _search_missing_groups(
    context: Context, name: str, faces: int, workers: Workers, watcher: Watcher
) -> tuple[NeighbourRows, dict[str, float]]:
    storage = context.storage
    assert context.recipe.morph is not None
    per_piece = PIECE if context.recipe.morph.candidates == "ivf" else 0
    tasks = [SearchTask(name, number, per_piece) for number in range(len(BlockGroups(storage, name)))]
    found: dict[SearchTask, NeighbourRows] = {}
    for task in tasks:
        with contextlib.suppress(StorageError):  # missing, or damaged in an interrupted run
            found[task] = read_neighbours(storage, task.path)
    to_do = [task for task in tasks if task not in found]
    watcher.stage("compare", faces, "faces")
    seconds = run_tasks(
        to_do,
        partial(search_task_group, context=context),
        workers=workers,
        stage="compare",
        on_count=watcher.done,
        on_note=watcher.note,
    )
    found |= {task: read_neighbours(storage, task.path) for task in to_do}
    return NeighbourRows.joined([found[task] for task in tasks]), seconds


def search_task_group(task: SearchTask, context: Context) -> tuple[str, None, dict[str, float]]:
    """Search the neighbours of one group, and write them."""
    storage, morph, watch = context.storage, context.recipe.morph, Stopwatch()
    assert morph is not None
    if task.per_piece:
        rows = search_group(context, task.search, task.group, task.per_piece, watch)
    else:
        groups = BlockGroups(storage, task.search)
        queries = groups[task.group]
        with watch.time("compare"):
            rows = nearest(queries, groups, metric_of(morph), morph.neighbours, morph.same_identity)
            tick(len(queries))
    write_neighbours(storage, task.path, rows)
    return "", None, dict(watch.seconds)
