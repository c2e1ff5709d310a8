"""Morphs that are planned as columns are those that are planned one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faceloom.pipelines.plan.neighbour_search import SplitNeighbours
from faceloom.pipelines.plan.planned_faces import PlannedFaces
from faceloom.pipelines.plan.shard_layout import make_plan
from faceloom.pipelines.store.planned_rows import read_planned, write_planned
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.plan import PlannedFace
from faceloom.transforms.neighbours.faces import Neighbour
from tests.pipelines.plan.morphing import mixed, one_by_one
from tests.pipelines.planning import choose, face_row, item, look, recipe

TERMS = st.sampled_from([None, "", "CC0", "CC BY"])
PEOPLE = st.tuples(st.sampled_from(["Ada", 'B"ob', None]), TERMS, TERMS, st.integers(1, 3), st.integers(0, 2))
HOW = st.fixed_dictionaries(
    {
        "neighbours": st.integers(1, 3),
        "draw": st.sampled_from(["each", "random"]),
        "weights": st.sampled_from([0.25, "uniform", {"shape": "uniform", "texture": 1.0}]),
    }
)


def near(faces: Sequence[PlannedFace], most: int) -> list[Neighbour]:
    """Each face is near to those that follow it by key; the first two have no neighbours."""
    keys = sorted(face.key for face in faces)
    return [
        Neighbour(key, keys[(at + step) % len(keys)], step - 1, at / 3 + step, at / 7, float(step))
        for at, key in enumerate(keys)
        for step in range(1, min(most, len(keys) - 1) + 1)
        if at > 1
    ]


@settings(max_examples=12, deadline=None)
@given(st.lists(PEOPLE, min_size=1, max_size=7), HOW, st.integers(1, 2), st.booleans())
def test_columns_and_objects_give_the_same_plan(
    tmp_path_factory: pytest.TempPathFactory, people: list[Any], morph: Any, per_face: int, bare: bool
) -> None:
    how = recipe(
        morph=morph, per_face=per_face, faces={"select": "all", "min_size": 0}, **({"masks": []} if bare else {})
    )
    items = []
    for number, (name, licence, consent, faces, age) in enumerate(people):
        photo, found = item(f"{number}.jpg", identity=name, faces=[face_row(mark=at) for at in range(faces)])
        stated = (("age", age), ("old", age > 0))[: age + 1]
        items.append((replace(photo, licence=licence, consent=consent, attributes=stated), found))
    columns = mixed(how, items, lambda among: SplitNeighbours(near(among, morph["neighbours"])))[0]
    assert isinstance(columns.faces, PlannedFaces)
    every: list[PlannedFace] = []
    for _, among in choose(how, items).faces.by_split():  # type: ignore[attr-defined]
        every += [*among, *one_by_one(how, among, near(among, morph["neighbours"]))]
    looks = [look(mask) for mask in how.masks]
    one = make_plan(how, columns, looks)
    other = make_plan(how, replace(columns, faces=tuple(every)), looks)
    assert one == other
    storage, read = Storage(str(tmp_path_factory.mktemp("rows"))), list[list[PlannedFace]]()
    for shard, same in zip(one.shards, other.shards, strict=True):
        assert shard.faces.morphs == same.faces.morphs and shard.samples == same.samples
        for name, rows in (("columns", shard.faces), ("objects", same.faces)):
            write_planned(storage, name, rows)
            read.append(read_planned(storage, name))
        assert read[-1] == read[-2] == list(same.faces)
