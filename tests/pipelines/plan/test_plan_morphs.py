"""Morphs in the plan: who may be mixed with whom, how much of each is drawn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faceloom.pipelines.plan import plan_morphs as morphs
from faceloom.pipelines.plan.choose import ChosenFaces
from faceloom.pipelines.plan.neighbour_search import SplitNeighbours
from faceloom.pipelines.plan.plan_morphs import plan_morphs, with_morphs
from faceloom.pipelines.plan.shard_layout import make_plan
from faceloom.pipelines.plan.splits import assign_splits
from faceloom.pipelines.run.watcher import Watcher
from faceloom.schemas.keys import face_key, generator, morph_key, position
from faceloom.schemas.morph import Morph
from faceloom.schemas.plan import PlannedFace
from faceloom.schemas.recipe import Recipe, parse_recipe
from faceloom.transforms.neighbours.faces import Neighbour


def recipe_with(**morph: Any) -> Recipe:
    return parse_recipe({"name": "x", "morph": morph})


def someone(number: int, synthetic: SimpleNamespace, **changes: Any) -> PlannedFace:
    face: PlannedFace = synthetic.planned(str(number).encode(), synthetic.landmarks((48, 46), 32), (), **changes)
    return face


def everyone_near_everyone(faces: Sequence[PlannedFace], count: int = 3, same: str = "forbid") -> list[Neighbour]:
    """Neighbours in the order of their keys, as the search would give them."""
    rows = []
    for face in sorted(faces, key=lambda face: face.key):
        fit = [o.key for o in faces if o.photo_sha256 != face.photo_sha256]
        fit = [o.key for o in faces if o.key in fit and (same == "allow" or o.identity != face.identity)]
        rows += [Neighbour(face.key, o, rank, rank + 1.5, rank, 1.5) for rank, o in enumerate(sorted(fit)[:count])]
    return rows


def test_one_morph_with_each_neighbour(synthetic: SimpleNamespace) -> None:
    faces = [someone(n, synthetic, identity=f"p{n}", uri=f"{n}.png", licence="CC0") for n in range(5)]
    how = recipe_with(neighbours=3, weights={"shape": 0.25, "texture": 0.75})
    rows = everyone_near_everyone(faces)
    planned = plan_morphs(how, how.morph or Morph(), faces, rows)
    assert [face.key for face in planned] == [morph_key(row.query, row.neighbour) for row in rows]
    by_key = {face.key: face for face in faces}
    for face, row in zip(planned, rows, strict=True):
        own, other, mixed = by_key[row.query], by_key[row.neighbour], face.morph
        assert mixed is not None
        assert (face.photo_sha256, face.uri, face.split, face.place) == (own.photo_sha256, own.uri, "train", own.place)
        assert face.identity == f"{own.identity}+{other.identity}"
        assert face.attributes == tuple(pair for pair in own.attributes if pair in other.attributes)
        assert mixed.other == other
        assert (mixed.rank, mixed.distance) == (row.rank, row.distance)
        assert (mixed.shape_weight, mixed.texture_weight) == (0.25, 0.75)


def test_one_neighbour_is_drawn_and_always_the_same(synthetic: SimpleNamespace) -> None:
    faces = [someone(n, synthetic, identity=f"p{n}") for n in range(40)]
    how, other_seed = recipe_with(draw="random"), parse_recipe({"name": "x", "seed": 1, "morph": {"draw": "random"}})
    rows = everyone_near_everyone(faces, count=10)
    drawn = plan_morphs(how, how.morph or Morph(), faces, rows)
    assert len(drawn) == 40 and len({face.photo_sha256 for face in drawn}) == 40
    ranks = Counter(face.morph.rank for face in drawn if face.morph)
    assert len(ranks) >= 6, "not always the nearest"
    assert plan_morphs(how, how.morph or Morph(), faces[::-1], rows) == drawn
    assert plan_morphs(other_seed, how.morph or Morph(), faces, rows) != drawn


def test_weights_are_drawn_evenly_apart_and_repeatably(synthetic: SimpleNamespace) -> None:
    faces = [someone(n, synthetic, identity=f"p{n}") for n in range(60)]
    how = recipe_with(weights="uniform")
    rows = everyone_near_everyone(faces, count=10)
    planned = plan_morphs(how, how.morph or Morph(), faces, rows)
    drawn = np.array([(f.morph.shape_weight, f.morph.texture_weight) for f in planned if f.morph])
    assert len(drawn) == 600 and drawn.min() >= 0 and drawn.max() < 1
    assert (np.histogram(drawn[:, 0], 4, (0, 1))[0] > 100).all() and (
        np.histogram(drawn[:, 1], 4, (0, 1))[0] > 100
    ).all()
    assert abs(np.corrcoef(drawn.T)[0, 1]) < 0.15, "shape and texture are drawn independently"
    assert plan_morphs(how, how.morph or Morph(), faces, rows) == planned
    rng = generator(how.seed, planned[7].key, "morph")
    assert (rng.random(), rng.random()) == tuple(drawn[7]), "a draw depends on seed and key alone"
    half = recipe_with(weights={"shape": 0.5, "texture": "uniform"})
    only = plan_morphs(half, half.morph or Morph(), faces, rows)
    assert [f.morph.texture_weight for f in only if f.morph] == drawn[:, 1].tolist()


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [("CC0", "CC0", "CC0"), ("CC0", "CC BY", "CC0 + CC BY"), (None, "CC BY", "not stated + CC BY"), (None, None, None)],
)
def test_terms_are_those_of_both_people(
    synthetic: SimpleNamespace, one: str | None, other: str | None, both: str | None
) -> None:
    faces = [
        someone(0, synthetic, identity="a", licence=one, consent=other),
        someone(1, synthetic, identity="b", licence=other, consent=one),
    ]
    how = recipe_with()
    first = plan_morphs(how, how.morph or Morph(), faces, everyone_near_everyone(faces[:1] + faces[1:]))
    [mixed] = [face for face in first if face.identity == "a+b"]
    assert mixed.licence == both
    assert mixed.consent == (both if one == other else f"{other or 'not stated'} + {one or 'not stated'}")


def test_two_photos_of_one_person_make_a_morph_of_that_person(synthetic: SimpleNamespace) -> None:
    faces = [someone(n, synthetic, identity="a") for n in range(2)]
    how = recipe_with(same_identity="allow")
    planned = plan_morphs(how, how.morph or Morph(), faces, everyone_near_everyone(faces, same="allow"))
    assert [face.identity for face in planned] == ["a", "a"]


def test_a_morph_draws_masks_of_its_own(synthetic: SimpleNamespace) -> None:
    how = parse_recipe(
        {"name": "x", "per_face": 2, "morph": {}, "masks": [{"kind": "polygon", "shape": s} for s in "ABCDEF"]}
    )
    faces = [someone(n, synthetic, identity=f"p{n}") for n in range(12)]
    planned = plan_morphs(how, how.morph or Morph(), faces, everyone_near_everyone(faces, count=5))
    assert {len(face.masks) for face in planned} == {2} and len({face.masks for face in planned}) > 10


identities = st.sampled_from(["ada", "bob", "cyd", "dee", None])
of_source = st.sampled_from(["train", "test", "val"])


@settings(max_examples=60, deadline=None)
@given(
    people=st.lists(st.tuples(identities, of_source, st.integers(1, 3)), min_size=1, max_size=12),
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
    synthetic: SimpleNamespace, people: Any, split: dict[str, Any], seed: int, draw: str, same: str
) -> None:
    """Whatever is near what: the search here knows no splits, so only the plan can keep them apart."""
    how = parse_recipe(
        {"name": "x", "seed": seed, "split": split, "morph": {"neighbours": 4, "draw": draw, "same_identity": same}}
    )
    photos = [(name or f"photo-{number}", str(number), own) for number, (name, own, _) in enumerate(people)]
    sides = assign_splits(how.split, seed, photos)
    faces = []
    for number, ((group, _, _), side, (_, _, count)) in enumerate(zip(photos, sides, people, strict=True)):
        for face_number in range(count):
            identity = group if count == 1 else f"{number}-f{face_number}"
            place = position(group, f"{number:064x}")
            faces.append(someone(number, synthetic, identity=identity, split=side, face=face_number, place=place))
    choice = ChosenFaces(tuple(faces), ())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            morphs,
            "find_neighbours",
            lambda c, m, among, **_: SplitNeighbours(tuple(everyone_near_everyone(among, 4, same))),
        )
        mixed, _ = with_morphs(SimpleNamespace(recipe=how), choice, workers=1, watcher=Watcher())  # type: ignore[arg-type]
    side_of = {face.key: face.split for face in faces}
    who = {face.key: face.identity for face in faces}
    plan = make_plan(how, mixed, [])
    for shard in plan.shards:
        for face in (face for part in shard.parts for face in part.faces):
            parents = [face_key(face.photo_sha256, face.face), *([face.morph.other.key] if face.morph else [])]
            assert {side_of[key] for key in parents} == {shard.split} == {face.split}
            if face.morph:
                assert face.morph.other.photo_sha256 != face.photo_sha256
                assert same == "allow" or who[parents[0]] != who[parents[1]]
    made = {face.photo_sha256 + str(face.face) for face in plan.faces if face.morph}
    told = {reject.key for reject in plan.rejects if reject.code == "no_neighbour"}
    alone = {face.key for face in faces if face.photo_sha256 + str(face.face) not in made}
    assert told == {f"{key}-x" for key in alone}, "a face without morphs says so"


def test_faces_without_landmarks_take_no_part(synthetic: SimpleNamespace) -> None:
    faces = [someone(n, synthetic, identity=f"p{n}") for n in range(3)]
    faces[1] = replace(faces[1], landmarks=b"")
    how = recipe_with()
    asked: list[PlannedFace] = []

    def find(context: object, morph: Morph, among: Sequence[PlannedFace], **_: object) -> SplitNeighbours:
        asked.extend(among)
        return SplitNeighbours(tuple(everyone_near_everyone(among)), {}, 0.9, ("n/a.parquet",), {"compare": 1.0})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(morphs, "find_neighbours", find)
        context: Any = SimpleNamespace(recipe=how)
        mixed, seconds = with_morphs(context, ChosenFaces(tuple(faces), ()), workers=1, watcher=Watcher())
    assert asked == [faces[0], faces[2]] and mixed.faces[:3] == tuple(faces) and len(mixed.faces) == 5
    assert mixed.recall == {"train": 0.9} and mixed.neighbours == ("n/a.parquet",) and seconds == {"compare": 1.0}
    assert mixed.rejects == ()
