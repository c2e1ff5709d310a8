"""Neighbours through an index: right distances, nearly all neighbours, and the same ones every time."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from faceloom.schemas.errors import FaceloomError
from faceloom.transforms.neighbours import exact, ivf
from faceloom.transforms.neighbours.exact import SameIdentity, nearest
from faceloom.transforms.neighbours.faces import Faces, Metric, Neighbour, compare
from faceloom.transforms.neighbours.ivf import (
    find_candidates,
    list_count,
    nearest_lists,
    rank_candidates,
    recall,
    reduced,
    train,
)

faiss = pytest.importorskip("faiss")

Make = Callable[..., Faces]


def cut(faces: Faces) -> list[Faces]:
    return [faces[:150], faces[150:151], faces[151:]]


def trained(faces: Faces, metric: Metric) -> np.ndarray:
    return train(cut(faces), len(faces), metric)


def candidates(faces: Faces, queries: Faces, metric: Metric, count: int, pieces: int) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the candidates of queries in all faces, whose index is cut into pieces, and squared distances."""
    centroids, vectors = trained(faces, metric), reduced(faces, metric)
    lists, step = nearest_lists(centroids, vectors)[:, 0], -(-len(faces) // pieces)
    cuts = [(vectors[at : at + step], lists[at : at + step]) for at in range(0, len(faces), step)]
    found, squares = find_candidates(centroids, reduced(queries, metric), cuts, count)
    return np.where(found < 0, -1, (found >> 32) * step + (found & 0xFFFFFFFF)), squares


def near(
    faces: Faces, metric: Metric, count: int, rule: SameIdentity = "forbid", queries: Faces | None = None
) -> list[Neighbour]:
    asked = faces if queries is None else queries
    return rank_candidates(asked, faces, *candidates(faces, asked, metric, count, 3), metric, count, rule)


@pytest.mark.parametrize("pieces", [1, 4, 50])
@pytest.mark.parametrize("white", [1, 255])
def test_candidates_are_those_of_one_index_of_faiss(likenesses: Make, white: float, pieces: int) -> None:
    faces, metric = likenesses(1, 400), Metric(10, white)
    vectors = reduced(faces, metric)
    whole = faiss.index_factory(vectors.shape[1], f"IVF{list_count(400)},Flat")
    whole.train(vectors)
    whole.add(vectors)
    whole.nprobe = 8
    squares, numbers = whole.search(vectors, 48)
    found, own = candidates(faces, faces, metric, 5, pieces)
    assert np.array_equal(own, np.where(numbers < 0, np.inf, squares))
    alike = np.diff(squares, axis=1) == 0  # twins, in either order
    apart = ~(np.pad(alike, ((0, 0), (1, 0))) | np.pad(alike, ((0, 0), (0, 1))))
    apart[:, -1] = False  # the last one may be a twin of one that is left out
    assert apart.mean() > 0.5 and np.array_equal(found[apart], numbers[apart])


def test_far_from_the_origin_they_are_the_same_too(likenesses: Make) -> None:
    """There products of matrices lose most digits, and exclude nothing that FAISS would find."""
    near_by, metric = likenesses(4, 400, 64), Metric(1000, 255)
    faces = replace(near_by, landmarks=near_by.landmarks + np.float32(5000))
    centroids, vectors = trained(faces, metric), reduced(faces, metric)
    lists = nearest_lists(centroids, vectors)[:, 0]
    whole = [(vectors, lists)]
    cuts = [(vectors[at : at + 90], lists[at : at + 90]) for at in range(0, 400, 90)]
    (found, own), (parts, squares) = (find_candidates(centroids, vectors, some, 5) for some in (whole, cuts))
    assert np.array_equal(own, squares) and np.array_equal(found, (parts >> 32) * 90 + (parts & 0xFFFFFFFF))
    probed = [np.isin(lists, some) for some in nearest_lists(centroids, vectors, 8)]
    for query in range(0, 400, 7):
        rows = np.flatnonzero(probed[query])
        true = ivf._squared_distances(vectors[query : query + 1], vectors, rows[None])[0]
        assert np.array_equal(own[query], np.sort(true)[:48])


def test_faiss_compares_few_pairs(likenesses: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    faces, seen, real = likenesses(1, 800, 64), [], ivf._squared_distances

    def counted(queries: Any, vectors: Any, rows: np.ndarray) -> np.ndarray:
        seen.append(np.count_nonzero(rows >= 0))
        return real(queries, vectors, rows)

    monkeypatch.setattr(ivf, "_squared_distances", counted)
    found, _ = candidates(faces, faces, Metric(10, 255), 1, 4)
    assert found.shape == (800, 16) and len(seen) == 4
    assert 16 * 800 <= sum(seen) < 70 * 800, "of some 320 in the lists of each"


def test_bounds_exclude_most_candidates_and_no_neighbour(likenesses: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    faces, seen = likenesses(7, 300, 64), []

    def counted(*given: Any) -> tuple[float, float, float]:
        seen.append(given[3])
        return compare(*given)

    monkeypatch.setattr(exact, "compare", counted)
    for metric in (Metric(0, 1), Metric(10, 255), Metric(1000, 255)):
        numbers, squares = candidates(faces, faces, metric, 5, 2)
        seen.clear()
        rows = rank_candidates(faces, faces, numbers, squares, metric, 5)
        assert len(seen) < 300 * 24, "of 48 candidates"
        assert rows == rank_candidates(faces, faces, numbers, np.zeros_like(squares), metric, 5)


@pytest.mark.parametrize("white", [1, 255])
def test_bounds_hold(make: Make, likenesses: Make, white: float) -> None:
    """Also for twins, whose distance is no more than what rounding makes of it, and far from the origin."""
    for faces in (make(6, 120), likenesses(6, 120)):
        far = replace(faces, landmarks=faces.landmarks + np.float32(5000))
        for some, metric in ((faces, Metric(10, white)), (far, Metric(1000, white))):
            numbers, squares = candidates(some, some, metric, 10, 2)
            for query, (row, distances) in enumerate(zip(numbers, squares)):
                there = row >= 0
                low = ivf._least(some, query, some, row[there], distances[there], metric)
                true = [compare(some, query, some, other, metric)[0] for other in row[there].tolist()]
                assert (low <= true).all()


@pytest.mark.parametrize("white", [1, 255])
def test_rows_are_exact_in_all_but_which_are_found(likenesses: Make, white: float) -> None:
    faces, metric = likenesses(1, 400), Metric(10, white)
    exact = nearest(faces, [faces], metric, 10)
    known = {(row.query, row.neighbour): row for row in nearest(faces, [faces], metric, 100)}
    found = near(faces, metric, 10)
    assert recall(found, exact) > 0.8
    for row in found:
        if (row.query, row.neighbour) in known:
            assert row[3:] == known[row.query, row.neighbour][3:]
    assert len(found) == len(exact)


@pytest.mark.parametrize("rule", ["allow", "forbid"])
def test_the_same_faces_are_out_of_question(make: Make, rule: SameIdentity) -> None:
    faces = make(2, 200, photos=60, people=20)
    home, who = dict(zip(faces.keys, faces.photos)), dict(zip(faces.keys, faces.identities))
    rows = near(faces, Metric(), 20, rule)
    assert rows and all(home[row.query] != home[row.neighbour] for row in rows)
    assert any(who[row.query] == who[row.neighbour] for row in rows) == (rule == "allow")


def test_an_index_is_the_same_every_time_and_however_queries_are_cut(make: Make) -> None:
    faces = make(3, 300)
    assert np.array_equal(trained(faces, Metric()), trained(faces, Metric()))
    parts = [row for part in cut(faces) for row in near(faces, Metric(), 5, queries=part)]
    assert parts == near(faces, Metric(), 5)


def test_tiny_sets_are_found_whole(make: Make) -> None:
    faces = make(4, 9)
    assert near(faces, Metric(), 10) == nearest(faces, [faces], Metric(), 10)


def test_reduced_vectors_are_in_the_units_of_the_metric(make: Make) -> None:
    faces = make(5, 3)
    unit, levels = reduced(faces, Metric(10, 255)), reduced(faces, Metric(10, 1))
    assert np.allclose(unit[:, :136], faces.landmarks.reshape(3, -1) * 10)
    assert np.allclose(unit[:, 136:] * 255, levels[:, 136:])


def test_an_index_is_trained_on_some_and_only_those_are_reduced_for_it(
    likenesses: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise the vectors of all blocks would be in memory at once."""
    faces, seen = likenesses(7, 400), []

    def spy(some: Faces, metric: Metric) -> np.ndarray:
        seen.append(list(some.keys))
        return reduced(some, metric)

    # As if the set were so large that its lists are few: two, for which every third face is enough.
    monkeypatch.setattr(ivf, "math", SimpleNamespace(sqrt=lambda total: 0.5, ceil=math.ceil))
    monkeypatch.setattr(ivf, "reduced", spy)
    assert len(trained(faces, Metric())) == 2
    assert seen == [list(block.keys)[::3] for block in cut(faces)]
    for block in cut(faces):
        assert np.array_equal(reduced(block[::3], Metric()), reduced(block, Metric())[::3])


def test_lists_grow_with_the_root_of_the_faces() -> None:
    assert [list_count(faces) for faces in (0, 39, 400, 40_000, 1_000_000)] == [1, 1, 10, 400, 400]


def test_of_no_faces_there_are_no_centroids_and_no_vectors(make: Make) -> None:
    none = make(4, 9)[:0]
    centroids = train([none, none], 0, Metric())
    assert len(centroids) == 0 and nearest_lists(centroids, reduced(none, Metric())).shape == (0, 1)


def test_recall_is_the_share_of_pairs_that_were_found() -> None:
    rows = [Neighbour("a", str(number), number, 0, 0, 0) for number in range(4)]
    assert recall(rows[:1], rows) == 0.25
    assert recall([Neighbour("b", "0", 0, 0, 0, 0)], rows) == 0
    assert recall(rows, []) == 1


def test_without_faiss_it_says_what_to_do(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(FaceloomError, match="candidates: all"):
        train([make(6, 5)], 5, Metric())
