"""Search for neighbours through an index, in tasks: train it, make its pieces, then search each group in all pieces.

No process holds the whole index. Its pieces are arrays: a file of FAISS itself can make FAISS read anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from faceloom.pipelines.context import Context
from faceloom.pipelines.plan.block_groups import BlockGroups, metric_of
from faceloom.pipelines.plan.textures import StoredTextures, join_blocks, open_block
from faceloom.pipelines.run.progress import tick
from faceloom.pipelines.run.run_tasks import run_tasks
from faceloom.pipelines.run.runners import Workers
from faceloom.pipelines.run.stopwatch import Stopwatch
from faceloom.pipelines.run.watcher import Watcher
from faceloom.pipelines.store.array_files import Arrays, check_array, read_arrays, whole, write_arrays
from faceloom.pipelines.store.neighbour_rows import NeighbourRows, read_neighbours, write_neighbours
from faceloom.pipelines.store.paths import search_centroids, search_faces, search_sample, search_vectors, texture_block
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import StorageError
from faceloom.schemas.keys import digest
from faceloom.schemas.morph import Morph
from faceloom.transforms.neighbours.exact import nearest
from faceloom.transforms.neighbours.faces import Faces, Neighbour

PIECE = 10
"""Groups of blocks in one piece of an index: 10,000 faces take 30 MB."""
RECALL_SAMPLE = 200
"""Faces whose true neighbours are searched too, to measure the recall of an index."""
_MOST_BYTES = 2**28
_FACES = np.zeros(
    0, [("key", "S32"), ("photo", "S64"), ("person", "S24"), ("place", "i4", 3), ("landmarks", "f4", (68, 2))]
)
"""Of each face of a piece; `place`: its group, its block in the group, its number in the block."""
Ids = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class IndexTask:
    """A piece of an index to make, or what is made before the pieces.

    Attributes:
        search: name of the search.
        what: `centroids`; `sample`, true neighbours of some faces; `piece`.
        number: of the piece.
        groups: numbers of the piece's groups, from the first up to the last.
    """

    search: str
    what: Literal["centroids", "sample", "piece"]
    number: int = 0
    groups: tuple[int, int] = (0, 0)


def build_index(context: Context, search: str, faces: int, *, workers: Workers, watcher: Watcher) -> dict[str, float]:
    """Make the index of a search, as far as an interrupted run has not made it.

    Args:
        context: of the build.
        search: its groups are written.
        faces: their number, for the progress.
        workers: number of worker processes, or a cluster.
        watcher: receives progress.

    Returns:
        Seconds by stage, summed over the tasks.

    Raises:
        FaceloomError: FAISS is not installed.
    """
    storage, count = context.storage, len(BlockGroups(context.storage, search))
    starts = range(0, count, PIECE)
    pieces = [IndexTask(search, "piece", at // PIECE, (at, min(at + PIECE, count))) for at in starts]
    seconds: dict[str, float] = {}
    watcher.stage("index", faces, "faces")
    for stage, tasks in (
        ("centroids", [IndexTask(search, "centroids"), IndexTask(search, "sample")]),
        ("index", pieces),
    ):
        done = run_tasks(
            [task for task in tasks if not _is_made(storage, task)],
            partial(make_part, context=context),
            workers=workers,
            stage=stage,
            on_count=watcher.done,
            on_note=watcher.note,
        )
        seconds = {name: seconds.get(name, 0) + done.get(name, 0) for name in {**seconds, **done}}
    return seconds


def search_group(context: Context, search: str, group: int, per_piece: int, watch: Stopwatch) -> list[Neighbour]:
    """Find the neighbours of one group of blocks through an index.

    Args:
        context: of the build.
        search: its index is made.
        group: number of the group.
        per_piece: groups in each piece of the index but the last.
        watch: receives the seconds of `search` and `compare`.
    """
    from faceloom.transforms.neighbours.ivf import find_candidates, rank_candidates

    morph = _morph(context)
    index, own = _Index(context, search, per_piece), group // per_piece
    rows = np.flatnonzero(index.faces(own)["place"][:, 0] == group)
    if not len(rows):
        return []
    with watch.time("search"):
        vectors = index.vectors(own)[0][rows]
        found, squares = find_candidates(index.centroids, vectors, index.pieces(), morph.neighbours)
    with watch.time("compare"):
        ids = np.unique(found[found >= 0])
        places = np.where(found >= 0, np.searchsorted(ids, found), -1)
        queries, faces = index.open(own << 32 | rows), index.open(ids)
        near = rank_candidates(queries, faces, places, squares, metric_of(morph), morph.neighbours, morph.same_identity)
        tick(len(rows))
    return near


def measured_recall(storage: Storage, search: str, rows: Sequence[Neighbour]) -> float:
    """Share of the true neighbours of the sample that a search has found."""
    from faceloom.transforms.neighbours.ivf import recall

    exact = read_neighbours(storage, search_sample(search))
    return recall(list(NeighbourRows.of(rows).of_queries(exact.table.column("query"))), list(exact))


class _Index:
    """The files of an index, as one process of a search reads them."""

    def __init__(self, context: Context, search: str, per_piece: int) -> None:
        self._storage, self._search = context.storage, search
        self._side = _morph(context).texture_size
        self._blocks = BlockGroups(context.storage, search).names
        self._count = -(-len(self._blocks) // per_piece)
        self.centroids = _centroids(context.storage, search)

    def vectors(self, piece: int) -> tuple[npt.NDArray[np.float32], Ids]:
        """Vectors of a piece, and the list of each."""
        path = search_vectors(self._search, piece)
        arrays = read_arrays(self._storage, path, _MOST_BYTES)
        with whole(path):
            vectors, lists = arrays["vectors"], arrays["lists"]
            check_array(vectors, len(lists), self.centroids)
            check_array(lists, len(lists), np.zeros(0, np.int64))
            if len(lists) and not 0 <= lists.min() <= lists.max() < len(self.centroids):
                raise ValueError("there is no such list")
        return vectors, lists

    def pieces(self) -> Iterator[tuple[npt.NDArray[np.float32], Ids]]:
        """Vectors and lists of all pieces."""
        return map(self.vectors, range(self._count))

    def faces(self, piece: int) -> npt.NDArray[np.void]:
        """Records of the faces of a piece."""
        return _faces(self._storage, self._search, piece)

    def open(self, ids: Ids) -> Faces:
        """Faces by number: of the piece times 2**32, plus in the piece; ascending."""
        found, starts = [_FACES], np.searchsorted(ids, np.arange(self._count + 1) << 32)
        for piece in np.flatnonzero(np.diff(starts)).tolist():
            found.append(self.faces(piece)[ids[starts[piece] : starts[piece + 1]] & 0xFFFFFFFF])
        faces = np.concatenate(found)
        with whole(search_faces(self._search, 0)):
            rows = [
                (_fetched(self._storage.root, self._blocks[group][block]), number)
                for group, block, number in faces["place"].tolist()
            ]
            keys, photos, people = (
                np.char.decode(faces[name], "ascii").tolist() for name in ("key", "photo", "person")
            )
        empty = np.zeros((0, 0), np.float32)
        return Faces(keys, photos, people, faces["landmarks"], StoredTextures(rows, self._side), empty)


@lru_cache(maxsize=2**16)
def _fetched(root: str, block: str) -> Path:
    return Storage(root).fetch(texture_block(block))


def _centroids(storage: Storage, search: str) -> npt.NDArray[np.float32]:
    path = search_centroids(search)
    arrays = read_arrays(storage, path, _MOST_BYTES)
    with whole(path):
        centroids = arrays["centroids"]
        if centroids.dtype != np.float32 or centroids.ndim != 2:
            raise ValueError("an array is of another shape")
    return centroids


def _faces(storage: Storage, search: str, piece: int) -> npt.NDArray[np.void]:
    path = search_faces(search, piece)
    faces = read_arrays(storage, path, _MOST_BYTES)
    with whole(path):
        check_array(faces["faces"], len(faces["faces"]), _FACES)
        return faces["faces"]


def _is_made(storage: Storage, task: IndexTask) -> bool:
    with suppress(StorageError):  # missing, or damaged in an interrupted run
        if task.what == "centroids":
            _centroids(storage, task.search)
        elif task.what == "sample":
            read_neighbours(storage, search_sample(task.search))
        else:
            _faces(storage, task.search, task.number)
            read_arrays(storage, search_vectors(task.search, task.number), _MOST_BYTES)
        return True
    return False


def make_part(task: IndexTask, context: Context) -> tuple[str, None, dict[str, float]]:
    """Do a task of `build_index`."""
    watch = Stopwatch()
    if task.what == "sample":
        with watch.time("recall"):
            write_neighbours(context.storage, search_sample(task.search), _true_neighbours(context, task.search))
    else:
        with watch.time("index"):
            (_train if task.what == "centroids" else _make_piece)(context, task)
    return "", None, dict(watch.seconds)


def _train(context: Context, task: IndexTask) -> None:
    from faceloom.transforms.neighbours.ivf import train

    storage, morph = context.storage, _morph(context)
    groups = BlockGroups(storage, task.search)
    size = morph.texture_size**2 * 3
    faces = sum(storage.size(texture_block(block)) // size for blocks in groups.names for block in blocks)
    centroids = train(groups, faces, metric_of(morph))
    write_arrays(storage, search_centroids(task.search), {"centroids": centroids}, durable=False)


def _make_piece(context: Context, task: IndexTask) -> None:
    from faceloom.transforms.neighbours.ivf import nearest_lists, reduced

    storage, metric = context.storage, metric_of(_morph(context))
    centroids, names = _centroids(storage, task.search), BlockGroups(storage, task.search).names
    vectors, lists, faces = [], [], []
    for number in range(*task.groups):
        blocks = [open_block(storage, block) for block in names[number]]
        group = join_blocks(blocks)
        vectors.append(reduced(group, metric))
        lists.append(nearest_lists(centroids, vectors[-1])[:, 0])  # of a whole group: its size decides last digits
        faces.append(_records(number, blocks, group))
        tick(len(group))
    arrays: Arrays = {"vectors": np.concatenate(vectors), "lists": np.concatenate(lists)}
    write_arrays(storage, search_vectors(task.search, task.number), arrays, durable=False)
    write_arrays(storage, search_faces(task.search, task.number), {"faces": np.concatenate(faces)}, durable=False)


def _records(number: int, blocks: Sequence[Faces], group: Faces) -> npt.NDArray[np.void]:
    records = np.zeros(len(group), _FACES.dtype)
    records["key"], records["photo"], records["landmarks"] = group.keys, group.photos, group.landmarks
    records["person"] = [digest(identity)[:24] for identity in group.identities]
    places = [(number, place, row) for place, block in enumerate(blocks) for row in range(len(block))]
    records["place"] = np.reshape(places, (-1, 3))
    return records


def _true_neighbours(context: Context, search: str) -> list[Neighbour]:
    groups, morph = BlockGroups(context.storage, search), _morph(context)
    some = groups[:: max(1, len(groups) // 20)]
    every = max(1, sum(map(len, some)) // RECALL_SAMPLE)
    queries = join_blocks([group[::every] for group in some])
    return nearest(queries, groups, metric_of(morph), morph.neighbours, morph.same_identity)


def _morph(context: Context) -> Morph:
    assert context.recipe.morph is not None
    return context.recipe.morph
