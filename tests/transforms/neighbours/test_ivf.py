"""Neighbours through an index: right distances, nearly all neighbours, and the same ones every time."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest

from faceloom.schemas.errors import FaceloomError
from faceloom.transforms.neighbours import ivf
from faceloom.transforms.neighbours.exact import nearest
from faceloom.transforms.neighbours.faces import Faces, Metric, Neighbour
from faceloom.transforms.neighbours.ivf import build_index, nearest_by_index, recall, reduced

pytest.importorskip("faiss")

Make = Callable[..., Faces]


def cut(faces: Faces) -> list[Faces]:
    return [faces[:150], faces[150:151], faces[151:]]


@pytest.mark.parametrize("white", [1, 255])
def test_rows_are_exact_in_all_but_which_are_found(likenesses: Make, white: float) -> None:
    faces, metric = likenesses(1, 400), Metric(10, white)
    exact = nearest(faces, [faces], metric, 10)
    known = {(row.query, row.neighbour): row for row in nearest(faces, [faces], metric, 100)}
    found = nearest_by_index(faces, build_index(cut(faces), metric), cut(faces), metric, 10)
    assert recall(found, exact) > 0.8
    for row in found:
        if (row.query, row.neighbour) in known:
            assert row[3:] == known[row.query, row.neighbour][3:]
    assert len(found) == len(exact)


@pytest.mark.parametrize("rule", ["allow", "forbid"])
def test_the_same_faces_are_out_of_question(make: Make, rule: str) -> None:
    faces = make(2, 200, photos=60, people=20)
    home, who = dict(zip(faces.keys, faces.photos)), dict(zip(faces.keys, faces.identities))
    rows = nearest_by_index(faces, build_index([faces], Metric()), [faces], Metric(), 20, rule)  # type: ignore[arg-type]
    assert rows and all(home[row.query] != home[row.neighbour] for row in rows)
    assert any(who[row.query] == who[row.neighbour] for row in rows) == (rule == "allow")


def test_an_index_is_the_same_every_time_and_however_queries_are_cut(make: Make) -> None:
    faces = make(3, 300)
    index = build_index(cut(faces), Metric())
    assert np.array_equal(index, build_index(cut(faces), Metric()))
    whole = nearest_by_index(faces, index, cut(faces), Metric(), 5)
    parts = [row for part in cut(faces) for row in nearest_by_index(part, index, cut(faces), Metric(), 5)]
    assert parts == whole


def test_tiny_sets_are_found_whole(make: Make) -> None:
    faces = make(4, 9)
    rows = nearest_by_index(faces, build_index([faces], Metric()), [faces], Metric(), 10)
    assert rows == nearest(faces, [faces], Metric(), 10)


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
    build_index(cut(faces), Metric())
    blocks = [list(block.keys) for block in cut(faces)]
    assert seen == [*(keys[::3] for keys in blocks), *blocks]
    for block in cut(faces):
        assert np.array_equal(reduced(block[::3], Metric()), reduced(block, Metric())[::3])


def test_recall_is_the_share_of_pairs_that_were_found() -> None:
    rows = [Neighbour("a", str(number), number, 0, 0, 0) for number in range(4)]
    assert recall(rows[:1], rows) == 0.25
    assert recall([Neighbour("b", "0", 0, 0, 0, 0)], rows) == 0
    assert recall(rows, []) == 1


def test_without_faiss_it_says_what_to_do(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(FaceloomError, match="candidates: all"):
        build_index([make(6, 5)], Metric())
