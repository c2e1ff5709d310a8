"""A search through an index, in tasks: right distances, the same rows however it is cut and by any workers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from faceloom.pipelines.context import Context
from faceloom.pipelines.plan import block_groups, index_search
from faceloom.pipelines.plan.block_groups import BlockGroups, metric_of, write_groups
from faceloom.pipelines.plan.index_search import build_index, measured_recall, search_group
from faceloom.pipelines.run.stopwatch import Stopwatch
from faceloom.pipelines.run.watcher import Watcher
from faceloom.pipelines.store.array_files import read_arrays, write_arrays
from faceloom.pipelines.store.paths import search_centroids, search_faces, search_vectors
from faceloom.schemas.errors import StorageError
from faceloom.schemas.recipe import parse_recipe
from faceloom.transforms.neighbours.exact import nearest
from faceloom.transforms.neighbours.faces import Neighbour
from tests.pipelines.plan.blocks import SIDE, write_blocks

faiss = pytest.importorskip("faiss")

FACES = 450


@pytest.fixture
def context(tmp_path: Path) -> Context:
    recipe = parse_recipe({"name": "x", "morph": {"candidates": "ivf", "texture_size": SIDE, "neighbours": 4}})
    made = Context(recipe.model_dump_json(by_alias=True), str(tmp_path))
    write_groups(made.storage, "search", write_blocks(made.storage, FACES, 8))
    return made


def search(context: Context, workers: int = 1) -> list[Neighbour]:
    build_index(context, "search", FACES, workers=workers, watcher=Watcher())
    groups = range(len(BlockGroups(context.storage, "search")))
    per_piece = index_search.PIECE
    return [row for group in groups for row in search_group(context, "search", group, per_piece, Stopwatch())]


def index_files(context: Context) -> dict[str, bytes]:
    ours = (".centroids.npz", ".vectors.npz", ".faces.npz", ".sample.parquet")
    return {path: context.storage.read_bytes(path) for path in context.storage.list("work") if path.endswith(ours)}


def test_distances_are_exact_and_most_neighbours_found(context: Context) -> None:
    rows = search(context)
    groups, metric = BlockGroups(context.storage, "search"), metric_of(index_search._morph(context))
    exact = [row for group in groups for row in nearest(group, groups, metric, 4)]
    assert len(rows) == len(exact) == 4 * FACES
    known = {row[:2]: row[3:] for group in groups for row in nearest(group, groups, metric, 40)}
    assert all(row[3:] == known[row[:2]] for row in rows if row[:2] in known)
    share = len({row[:2] for row in rows} & {row[:2] for row in exact}) / len(exact)
    assert 0.8 < share <= 1
    assert 0.8 < measured_recall(context.storage, "search", rows) <= 1
    assert measured_recall(context.storage, "search", exact) == 1


@pytest.mark.slow
def test_two_workers_make_the_same_files_as_one(context: Context) -> None:
    rows, files = search(context), index_files(context)
    assert len(files) == 2 + 2 * 1
    for path in files:
        context.storage.remove(path)
    assert search(context, workers=2) == rows and index_files(context) == files


def test_pieces_do_not_matter(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = search(context)
    for path in index_files(context):
        context.storage.remove(path)
    monkeypatch.setattr(index_search, "PIECE", 1)
    assert search(context) == rows
    assert len(index_files(context)) == 2 + 2 * len(BlockGroups(context.storage, "search")) > 6


def test_an_index_is_made_once_and_damaged_files_again(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    search(context)
    files = index_files(context)
    monkeypatch.setattr(index_search, "make_part", lambda *_: pytest.fail("it is there"))
    build_index(context, "search", FACES, workers=1, watcher=Watcher())
    monkeypatch.undo()
    for path, data in files.items():
        with context.storage.write(path) as stream:
            stream.write(data[:-9])
        build_index(context, "search", FACES, workers=1, watcher=Watcher())
        assert context.storage.read_bytes(path) == data


@pytest.mark.parametrize("fault", ["list", "width", "type", "place", "records", "centroids"])
def test_a_strange_index_is_refused(context: Context, fault: str) -> None:
    """FAISS itself would read beyond its arrays."""
    search(context)
    storage, paths = context.storage, (search_vectors("search", 0), search_faces("search", 0))
    vectors, faces = (read_arrays(storage, path, 2**28) for path in paths)
    vectors, faces = ({name: array.copy() for name, array in arrays.items()} for arrays in (vectors, faces))
    centroids = read_arrays(storage, search_centroids("search"), 2**28)
    if fault == "list":
        vectors["lists"][3] = len(centroids["centroids"])
    elif fault == "width":
        vectors["vectors"] = vectors["vectors"][:, 1:]
    elif fault == "type":
        vectors["vectors"] = vectors["vectors"].astype(np.float64)
    elif fault == "place":
        faces["faces"]["place"][:, 1] = 99
    elif fault == "records":
        faces["faces"] = np.zeros(3)
    else:
        centroids["centroids"] = centroids["centroids"][0]
    write_arrays(storage, paths[0], vectors)
    write_arrays(storage, paths[1], faces)
    write_arrays(storage, search_centroids("search"), centroids)
    with pytest.raises(StorageError, match="damaged"):
        search_group(context, "search", 0, index_search.PIECE, Stopwatch())


def test_groups_are_as_large_as_before() -> None:
    """The last digits of distances to centroids depend on it, and so may the neighbours that are found."""
    assert block_groups.GROUP == 10
