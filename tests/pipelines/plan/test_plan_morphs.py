"""Morphs in the plan: which people may be mixed, and how much of each is drawn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faceloom.pipelines.plan.neighbour_search import SplitNeighbours
from faceloom.pipelines.plan.shard_layout import make_plan
from faceloom.schemas.keys import face_key, generator, morph_key
from faceloom.schemas.plan import PlannedFace
from faceloom.schemas.recipe import Recipe
from tests.pipelines.plan.morphing import everyone_near_everyone, mixed
from tests.pipelines.planning import POLYGON, Item, choose, face_row, item, look, recipe

ALL = {"by": "identity", "shares": {"train": 1.0}}


def recipe_with(**morph: Any) -> Recipe:
    return recipe(morph=morph, split=ALL)


def people(count: int, **changes: Any) -> list[Item]:
    """A photo of each of some people."""
    return [item(f"{n}.png", identity=f"p{n}", **changes) for n in range(count)]


def planned(how: Recipe, items: Sequence[Item], count: int = 3, same: str = "forbid") -> list[PlannedFace]:
    """The morphs of photos, each with its first neighbours by key, in the order of their keys."""
    found, _ = mixed(how, items, lambda faces: SplitNeighbours(everyone_near_everyone(faces, count, same)))
    return sorted((face for face in found.faces if face.morph), key=lambda face: face.key)


def test_one_morph_with_each_neighbour() -> None:
    items = people(5)
    how = recipe_with(neighbours=3, weights={"shape": 0.25, "texture": 0.75})
    faces = list(choose(how, items).faces)
    rows = sorted(everyone_near_everyone(faces), key=lambda row: morph_key(row.query, row.neighbour))
    found = planned(how, items)
    assert [face.key for face in found] == [morph_key(row.query, row.neighbour) for row in rows]
    by_key = {face.key: face for face in faces}
    for face, row in zip(found, rows, strict=True):
        own, other, morph = by_key[row.query], by_key[row.neighbour], face.morph
        assert morph is not None
        assert (face.photo_sha256, face.uri, face.split, face.place) == (own.photo_sha256, own.uri, "train", own.place)
        assert face.identity == f"{own.identity}+{other.identity}"
        assert morph.other == other
        assert (morph.rank, morph.distance) == (row.rank, row.distance)
        assert (morph.shape_weight, morph.texture_weight) == (0.25, 0.75)


def test_one_neighbour_is_drawn_and_always_the_same() -> None:
    items, how = people(40), recipe_with(draw="random")
    drawn = planned(how, items, 10)
    assert len(drawn) == 40 and len({face.photo_sha256 for face in drawn}) == 40
    ranks = Counter(face.morph.rank for face in drawn if face.morph)
    assert len(ranks) >= 6, "not always the nearest"
    assert planned(how, items[::-1], 10) == drawn
    assert planned(recipe(seed=1, morph={"draw": "random"}, split=ALL), items, 10) != drawn


def test_weights_are_drawn_evenly_apart_and_repeatably() -> None:
    items, how = people(60), recipe_with(weights="uniform")
    found = planned(how, items, 10)
    drawn = np.array([(f.morph.shape_weight, f.morph.texture_weight) for f in found if f.morph])
    assert len(drawn) == 600 and drawn.min() >= 0 and drawn.max() < 1
    assert all((np.histogram(column, 4, (0, 1))[0] > 100).all() for column in drawn.T)
    assert abs(np.corrcoef(drawn.T)[0, 1]) < 0.15, "shape and texture are drawn independently"
    rng = generator(how.seed, found[7].key, "morph")
    assert (rng.random(), rng.random()) == tuple(drawn[7]), "a draw depends on seed and key alone"
    only = planned(recipe_with(weights={"shape": 0.5, "texture": "uniform"}), items, 10)
    assert [f.morph.texture_weight for f in only if f.morph] == drawn[:, 1].tolist()


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [("CC0", "CC0", "CC0"), ("CC0", "CC BY", "CC0 + CC BY"), (None, "CC BY", "not stated + CC BY"), (None, None, None)],
)
def test_terms_are_those_of_both_people(one: str | None, other: str | None, both: str | None) -> None:
    terms = zip(people(2), ((one, other), (other, one)), strict=True)
    items = [(replace(photo, licence=first, consent=second), found) for (photo, found), (first, second) in terms]
    [found] = [face for face in planned(recipe_with(), items) if face.identity == "p0+p1"]
    assert found.licence == both
    assert found.consent == (both if one == other else f"{other or 'not stated'} + {one or 'not stated'}")


def test_two_photos_of_one_person_make_a_morph_of_that_person() -> None:
    items = [item(f"{n}.png", identity="a") for n in range(2)]
    found = planned(recipe_with(same_identity="allow"), items, same="allow")
    assert [face.identity for face in found] == ["a", "a"]


def test_a_morph_draws_masks_of_its_own() -> None:
    masks = [{"kind": "polygon", "shape": shape} for shape in "ABCDEF"]
    found = planned(recipe(per_face=2, morph={}, masks=masks, split=ALL), people(12), 5)
    assert {len(face.masks) for face in found} == {2} and len({face.masks for face in found}) > 10


identities = st.sampled_from(["ada", "bob", "cyd", "dee", None])
of_source = st.sampled_from(["train", "test", "val"])


@settings(max_examples=12, deadline=None)
@given(
    someone=st.lists(st.tuples(identities, of_source, st.integers(1, 3)), min_size=1, max_size=12),
    split=st.sampled_from(
        [
            {"by": "identity", "shares": {"train": 0.5, "test": 0.5}},
            {"by": "source"},
            {"by": "per_identity", "per_identity": 0.5},
        ]
    ),
    seed=st.integers(0, 5),
    draw=st.sampled_from(["each", "random"]),
    same=st.sampled_from(["allow", "forbid"]),
)
def test_both_parents_are_always_on_one_side_of_the_split(
    someone: Any, split: dict[str, Any], seed: int, draw: str, same: str
) -> None:
    how = recipe(
        seed=seed, split=split, masks=[POLYGON], faces={"select": "all", "min_size": 0},
        morph={"neighbours": 4, "draw": draw, "same_identity": same},
    )  # fmt: skip
    items = [
        item(f"{number}.jpg", identity=name, split=side, faces=[face_row(mark=at) for at in range(count)])
        for number, (name, side, count) in enumerate(someone)
    ]
    faces = list(choose(how, items).faces)
    found, _ = mixed(how, items, lambda among: SplitNeighbours(everyone_near_everyone(among, 4, same)))
    plan = make_plan(how, found, [look(mask) for mask in how.masks])
    side_of = {face.key: face.split for face in faces}
    who = {face.key: face.identity for face in faces}
    for shard in plan.shards:
        for face in (face for part in shard.parts for face in part.faces):
            parents = [face_key(face.photo_sha256, face.face), *([face.morph.other.key] if face.morph else [])]
            assert {side_of[key] for key in parents} == {shard.split} == {face.split}
            if face.morph:
                assert face.morph.other.photo_sha256 != face.photo_sha256
                assert same == "allow" or who[parents[0]] != who[parents[1]]
    made = {face.photo_sha256 + str(face.face) for face in plan.faces if face.morph}
    rejected = {reject.key for reject in plan.rejects if reject.code == "no_neighbour"}
    alone = {face.key for face in faces if face.photo_sha256 + str(face.face) not in made}
    assert rejected == {f"{key}-x" for key in alone}, "each face without morphs has a reject"


def test_faces_without_landmarks_take_no_part() -> None:
    items = people(3)
    items[1] = item("1.png", identity="p1", faces=[replace(face_row(), landmarks_unsure=True)])
    learned = {"kind": "autoencoder", "checkpoint": "runs/ae", "when": "landmarks_missing"}
    how = recipe(masks=[POLYGON, learned], morph={}, split=ALL)
    faces = list(choose(how, items).faces)
    compared: list[PlannedFace] = []

    def search(among: Sequence[PlannedFace]) -> SplitNeighbours:
        compared.extend(among)
        return SplitNeighbours(everyone_near_everyone(among), {}, 0.9, ("n/a.parquet",), {"compare": 1.0})

    found, seconds = mixed(how, items, search)
    assert {face.uri for face in compared} == {"0.png", "2.png"} and len(faces) == 3
    assert [face for face in found.faces if not face.morph] == faces and len(found.faces) == 5
    assert found.recall == {"train": 0.9} and found.neighbours == ("n/a.parquet",) and seconds == {"compare": 1.0}
    assert found.rejects == ()


def test_a_face_that_could_not_be_compared_is_a_reject_with_its_reason() -> None:
    items, how = people(3), recipe_with()
    key = next(face.key for face in choose(how, items).faces if face.uri == "1.png")

    def search(among: Sequence[PlannedFace]) -> SplitNeighbours:
        rows = [row for row in everyone_near_everyone(among) if key not in (row.query, row.neighbour)]
        return SplitNeighbours(rows, {key: ("crop_outside", "too small")})

    [reject] = mixed(how, items, search)[0].rejects
    assert (reject.uri, reject.code, reject.key) == ("1.png", "crop_outside", f"{key}-x")
    assert reject.message == "no morphs: too small"
