"""Exact neighbours: the rows of the double loop, however faces are cut into blocks."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faceloom.transforms.neighbours import exact
from faceloom.transforms.neighbours.exact import SameIdentity, nearest, rank
from faceloom.transforms.neighbours.faces import Faces, Metric, Neighbour, compare
from faceloom.transforms.neighbours.sketch import sketch

Make = Callable[..., Faces]
metrics = st.builds(Metric, st.sampled_from([0, 0.1, 10, 1000]), st.sampled_from([1, 255]))
rules: st.SearchStrategy[SameIdentity] = st.sampled_from(["allow", "forbid"])


def loop(faces: Faces, metric: Metric, count: int, same_identity: SameIdentity = "forbid") -> list[Neighbour]:
    """The naive double loop, written down once more and apart from the code under test."""
    rows = []
    for a in range(len(faces)):
        found = []
        for b in range(len(faces)):
            if faces.photos[a] == faces.photos[b]:
                continue
            if same_identity == "forbid" and faces.identities[a] == faces.identities[b]:
                continue
            shape = faces.landmarks[a].astype(np.float64) - faces.landmarks[b].astype(np.float64)
            look = faces.textures[a].astype(np.int64) - faces.textures[b].astype(np.int64)
            landmark = float(np.sqrt(np.float64(sum_exactly(shape**2))))
            texture = float(np.sqrt(np.float64((look**2).sum()))) / metric.white
            found.append((metric.weight * landmark + texture, faces.keys[b], landmark, texture))
        for place, (distance, key, landmark, texture) in enumerate(sorted(found)[:count]):
            rows.append(Neighbour(faces.keys[a], key, place, distance, landmark, texture))
    return rows


def sum_exactly(values: np.ndarray) -> float:
    return math.fsum(values.ravel().tolist())


def blocks(faces: Faces, sizes: list[int]) -> list[Faces]:
    parts: list[Faces] = []
    start = 0
    while start < len(faces):
        stop = start + sizes[len(parts) % len(sizes)]
        parts.append(faces[start:stop])
        start = stop
    return parts


@settings(max_examples=40)
@given(st.integers(0, 2**32), st.integers(1, 40), st.integers(1, 12), metrics, rules, st.sampled_from([0, 6]))
def test_the_rows_are_those_of_the_double_loop(
    make: Make, seed: int, size: int, count: int, metric: Metric, rule: SameIdentity, few: int
) -> None:
    faces = make(seed, size, photos=few * 2, people=few)
    assert nearest(faces, [faces], metric, count, rule) == loop(faces, metric, count, rule)


@settings(max_examples=30)
@given(
    st.integers(0, 2**32),
    st.lists(st.integers(1, 20), min_size=1, max_size=3),
    st.lists(st.integers(1, 20), min_size=1, max_size=3),
    metrics,
    st.integers(1, 7),
    st.randoms(use_true_random=False),
)
def test_blocks_do_not_matter(
    make: Make, seed: int, queries: list[int], candidates: list[int], metric: Metric, pending: int, order: Any
) -> None:
    faces = make(seed, 45, photos=30, people=15)
    whole = nearest(faces, [faces], metric, 4)
    shuffled = blocks(faces, candidates)
    order.shuffle(shuffled)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exact, "CHUNK", max(candidates) - 1 or 1)
        patch.setattr(exact, "PENDING", pending)
        cut = [row for part in blocks(faces, queries) for row in nearest(part, shuffled, metric, 4)]
    assert cut == whole


def test_twins_come_in_the_order_of_their_keys(make: Make) -> None:
    faces = make(1, 12)
    textures = np.asarray(faces.textures)
    textures[:], faces.landmarks[:] = textures[0], faces.landmarks[0]
    same = Faces(faces.keys, faces.photos, faces.identities, faces.landmarks, textures, sketch(textures))
    for metric in (Metric(), Metric(0, 1)):
        for part in blocks(same, [5]):
            rows = nearest(part, blocks(same, [4])[::-1], metric, 3)
            for key in part.keys:
                expected = sorted(other for other in same.keys if other != key)[:3]
                assert [row.neighbour for row in rows if row.query == key] == expected
            assert all(row.distance == 0 for row in rows)


def test_a_photo_is_no_neighbour_of_itself_nor_are_other_faces_in_it(make: Make) -> None:
    faces = make(2, 30, photos=5)
    home = dict(zip(faces.keys, faces.photos))
    rows = nearest(faces, [faces], Metric(), 30, "allow")
    assert all(home[row.query] != home[row.neighbour] for row in rows)
    assert len(rows) == sum(photo != other for photo in faces.photos for other in faces.photos)


@pytest.mark.parametrize("rule", ["allow", "forbid"])
def test_whether_one_may_be_ones_own_neighbour_is_a_choice(make: Make, rule: SameIdentity) -> None:
    faces = make(3, 30, people=3)
    who = dict(zip(faces.keys, faces.identities))
    own = [row for row in nearest(faces, [faces], Metric(), 10, rule) if who[row.query] == who[row.neighbour]]
    assert bool(own) == (rule == "allow")


def test_distances_are_the_same_both_ways(make: Make) -> None:
    faces = make(4, 20)
    rows = nearest(faces, [faces], Metric(), 19)
    found = {(row.query, row.neighbour): row.distance for row in rows}
    assert len(found) == 20 * 19
    assert all(found[b, a] == distance for (a, b), distance in found.items())


def test_ranks_and_distances_rise_together(make: Make) -> None:
    faces = make(5, 25)
    rows = nearest(faces, [faces], Metric(), 6)
    for key in faces.keys:
        own = [row for row in rows if row.query == key]
        assert [row.rank for row in own] == list(range(6))
        assert [row.distance for row in own] == sorted(row.distance for row in own)
        assert all(row.distance == Metric().total(row.landmark_distance, row.texture_distance) for row in own)


def test_few_candidates_give_few_rows_and_none_give_none(make: Make) -> None:
    faces = make(6, 3)
    assert len(nearest(faces, [faces], Metric(), 10)) == 6
    assert nearest(faces, [], Metric(), 10) == []
    assert nearest(faces[:0], [faces], Metric(), 10) == []


def test_hardly_any_pair_is_compared_in_full(likenesses: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    faces = likenesses(7, 300, 64)
    compared: list[int] = []

    def counted(*given: Any) -> tuple[float, float, float]:
        compared.append(1)
        return compare(*given)

    monkeypatch.setattr(exact, "compare", counted)
    rows = nearest(faces, [faces], Metric(0, 1), 5)
    assert len(rows) == 1500
    assert len(compared) < 300 * 20, "of 300 x 299 pairs"


def test_bounds_hold_for_pictures_that_float32_cannot_tell_apart(make: Make) -> None:
    """Bright pictures that differ by single levels: distances far below what a float32 product resolves."""
    rng = np.random.default_rng(8)
    textures = np.full((60, 64, 64, 3), 250, np.uint8) - (rng.random((60, 64, 64, 3)) < 0.002).astype(np.uint8)
    made = make(8, 60, 64, 64)
    landmarks = np.repeat(made.landmarks[:1], 60, axis=0)
    faces = Faces(made.keys, made.photos, made.identities, landmarks, textures, sketch(textures))
    assert nearest(faces, [faces], Metric(10, 1), 5) == loop(faces, Metric(10, 1), 5)


def test_ranking_chosen_candidates_is_the_same_loop_over_fewer(make: Make) -> None:
    faces = make(9, 15, photos=8, people=5)
    everyone = [(0.0, number) for number in range(15)]
    rows = [row for number in range(15) for row in rank(faces, number, faces, everyone, Metric(), 4)]
    assert rows == loop(faces, Metric(), 4)
    assert rank(faces, 0, faces, [], Metric(), 4) == []


def test_ranking_ends_where_bounds_exclude_the_rest(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    faces, seen = make(9, 15), []
    near = sorted((compare(faces, 0, faces, other, Metric())[0], other) for other in range(1, 15))

    def counted(*given: Any) -> tuple[float, float, float]:
        seen.append(given[3])
        return compare(*given)

    monkeypatch.setattr(exact, "compare", counted)
    rows = rank(faces, 0, faces, near, Metric(), 4)
    assert rows == [row for row in loop(faces, Metric(), 4) if row.query == faces.keys[0]]
    last = rows[-1].distance
    assert seen == [other for low, other in near if low <= last], "equal distances are compared, for their keys"
