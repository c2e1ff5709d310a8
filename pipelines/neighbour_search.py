"""Who is near whom: the search for neighbours in tasks over blocks of faces, its results kept from run to run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np

from faceloom.pipelines.beam_run import run_tasks
from faceloom.pipelines.context import Context
from faceloom.pipelines.storage import Storage
from faceloom.pipelines.tables import read_neighbours, write_neighbours
from faceloom.pipelines.textures import TextureTask, failed_faces, make_textures, open_block, write_blocks
from faceloom.schemas.keys import digest
from faceloom.schemas.morph import Morph
from faceloom.schemas.plan import PlannedFace
from faceloom.transforms.neighbours.exact import nearest
from faceloom.transforms.neighbours.faces import Faces, Metric, Neighbour

RECALL_SAMPLE = 200
"""Queries whose true neighbours are found as well, to measure what an index misses."""


@dataclass(frozen=True, slots=True)
class Nearness:
    """Who is near whom in one split.

    Attributes:
        rows: of all faces, nearest first.
        failed: faces that could not be compared, by key, with code and message.
        recall: measured share of the true neighbours among the rows; None where they are exact.
    """

    rows: tuple[Neighbour, ...]
    failed: dict[str, tuple[str, str]]
    recall: float | None


@dataclass(frozen=True, slots=True)
class SearchTask:
    """The neighbours of one block among all blocks of its split; their names lie at `blocks`."""

    blocks: str
    number: int
    path: str


def find_neighbours(context: Context, morph: Morph, faces: Sequence[PlannedFace], *, workers: int) -> Nearness:
    """Find the nearest faces of every face of one split.

    What was found is kept by a digest of everything that it depends on, so a finished build finds it there and makes no
    texture again.

    Args:
        context: of the build.
        morph: what the recipe says.
        faces: of the split, with landmarks.
        workers: processes.
    """
    storage = context.storage
    faces = sorted(faces, key=lambda face: face.key)
    name = _name(context, morph, faces)
    kept = f"neighbours/{name}.parquet"
    if not (storage.exists(kept) and storage.exists(_facts(name))):
        tasks = write_blocks(storage, context.recipe, morph, faces)
        run_tasks(tasks, partial(_make_textures, context=context), workers=workers)
        blocks = [task.name for task in tasks]
        _write_json(storage, _blocks(name), blocks)
        facts: dict[str, object] = {"failed": {k: v for b in blocks for k, v in failed_faces(storage, b).items()}}
        if morph.candidates == "ivf":
            facts["recall"] = _index(storage, name, morph, blocks)
        searches = [SearchTask(name, number, f"work/{name}-{number:06d}.rows.parquet") for number in range(len(blocks))]
        run_tasks(searches, partial(_search, context=context), workers=workers)
        _write_json(storage, _facts(name), facts)
        write_neighbours(storage, kept, [row for task in searches for row in read_neighbours(storage, task.path)])
        done = (name, *blocks)
        for path in storage.list("work"):
            if path.removeprefix("work/").startswith(done):
                storage.remove(path)
    told = json.loads(storage.read_bytes(_facts(name)))
    failed = {key: (code, message) for key, (code, message) in told["failed"].items()}
    return Nearness(tuple(read_neighbours(storage, kept)), failed, told.get("recall"))


def _name(context: Context, morph: Morph, faces: Sequence[PlannedFace]) -> str:
    settings = morph.model_dump(mode="json", exclude={"draw", "weights", "background"}, by_alias=True)
    align = context.recipe.align.model_dump(mode="json", exclude={"size"})
    rows = [(face.key, face.identity, face.landmarks.hex(), face.box, face.width, face.height) for face in faces]
    return digest(settings, align, context.recipe.faces.assume, rows)[:24]


def _facts(name: str) -> str:
    return f"neighbours/{name}.json"


def _blocks(name: str) -> str:
    return f"work/{name}.blocks.json"


def _index_path(name: str) -> str:
    return f"work/{name}.index.npy"


def _write_json(storage: Storage, path: str, value: object) -> None:
    with storage.write(path) as stream:
        stream.write(json.dumps(value, sort_keys=True).encode())


def metric_of(morph: Morph) -> Metric:
    """The distance that a recipe asks for."""
    return Metric(morph.lambda_, 255.0 if morph.texture_units == "unit" else 1.0)


def _make_textures(task: TextureTask, context: Context) -> tuple[str, None, dict[str, float]]:
    return "", None, make_textures(task, context)


def _search(task: SearchTask, context: Context) -> tuple[str, None, dict[str, float]]:
    storage, morph = context.storage, context.recipe.morph
    assert morph is not None
    names = json.loads(storage.read_bytes(_blocks(task.blocks)))
    queries, metric = open_block(storage, names[task.number]), metric_of(morph)
    if morph.candidates == "ivf":
        from faceloom.transforms.neighbours.ivf import nearest_by_index

        blocks = _open_all(storage.root, task.blocks)
        index = np.load(storage.local(_index_path(task.blocks)))
        rows = nearest_by_index(queries, index, blocks, metric, morph.neighbours, morph.same_identity)
    else:
        candidates = (block for block in (open_block(storage, name) for name in names) if len(block))
        rows = nearest(queries, candidates, metric, morph.neighbours, morph.same_identity) if len(queries) else []
    write_neighbours(storage, task.path, rows)
    return "", None, {}


@lru_cache(maxsize=1)
def _open_all(root: str, name: str) -> tuple[Faces, ...]:
    """All blocks of a split, opened once per process; textures stay on the disk."""
    storage = Storage(root)
    return tuple(open_block(storage, block) for block in json.loads(storage.read_bytes(_blocks(name))))


def _index(storage: Storage, name: str, morph: Morph, names: Sequence[str]) -> float:
    """Write the index of a split, and measure on some of its faces how many true neighbours it finds."""
    from faceloom.transforms.neighbours.ivf import build_index, nearest_by_index, recall

    blocks = [open_block(storage, block) for block in names]
    metric = metric_of(morph)
    index = build_index(blocks, metric)
    with storage.write(_index_path(name), durable=False) as stream:
        np.save(stream, index)
    step = max(1, len(blocks) // max(1, RECALL_SAMPLE // 10))
    some = [block[:10] for block in blocks[::step] if len(block)]
    count, same = morph.neighbours, morph.same_identity
    found = [row for q in some for row in nearest_by_index(q, index, blocks, metric, count, same)]
    exact = [row for q in some for row in nearest(q, filter(len, blocks), metric, count, same)]
    return recall(found, exact)
