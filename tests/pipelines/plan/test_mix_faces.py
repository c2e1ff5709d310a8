"""Morphs that are planned as columns are those that are planned as objects."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faceloom.pipelines.plan import plan_morphs as morphs
from faceloom.pipelines.plan.choose import ChosenFaces
from faceloom.pipelines.plan.neighbour_search import SplitNeighbours
from faceloom.pipelines.plan.planned_faces import PlannedFaces
from faceloom.pipelines.plan.shard_layout import make_plan
from faceloom.pipelines.run.watcher import Watcher
from faceloom.pipelines.store.parquet_tables import read_planned, write_planned
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.plan import PlannedFace
from faceloom.transforms.neighbours.faces import Neighbour
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


def near(context: Any, morph: Any, faces: Any, **_: object) -> SplitNeighbours:
    """Each face is near to those that follow it by key; the first one has no neighbours, and the second one failed."""
    keys = sorted(face.key for face in faces)
    rows = [
        Neighbour(key, keys[(at + step) % len(keys)], step - 1, at / 3 + step, at / 7, float(step))
        for at, key in enumerate(keys)
        for step in range(1, min(morph.neighbours, len(keys) - 1) + 1)
        if at > 1
    ]
    return SplitNeighbours(rows, dict.fromkeys(keys[1:2], ("no_neighbour", "small")), 0.5)


@settings(max_examples=40, deadline=None)
@given(st.lists(PEOPLE, min_size=1, max_size=7), HOW, st.integers(1, 2), st.booleans())
def test_columns_and_objects_give_the_same_plan(
    tmp_path_factory: pytest.TempPathFactory, people: list[Any], how: Any, per_face: int, bare: bool
) -> None:
    used = recipe(
        morph=how, per_face=per_face, faces={"select": "all", "min_size": 0}, **({"masks": []} if bare else {})
    )
    items = []
    for number, (name, licence, consent, faces, age) in enumerate(people):
        photo, found = item(f"{number}.jpg", identity=name, faces=[face_row(mark=at) for at in range(faces)])
        stated = (("age", age), ("old", age > 0))[: age + 1]
        items.append(
            (type(photo)(photo.source, photo.uri, name, None, licence, consent, stated, None, 100, "t"), found)
        )
    chosen = choose(used, items)
    assert isinstance(chosen.faces, PlannedFaces)
    plain = ChosenFaces(tuple(chosen.faces), chosen.rejects, warnings=chosen.warnings, figures=chosen.figures)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(morphs, "find_neighbours", near)
        context: Any = SimpleNamespace(recipe=used)
        columns, objects = (
            morphs.with_morphs(context, one, workers=1, watcher=Watcher())[0] for one in (chosen, plain)
        )
    assert isinstance(columns.faces, PlannedFaces) and not isinstance(objects.faces, PlannedFaces)
    looks = [look(mask) for mask in used.masks]
    one, other = (make_plan(used, choice, looks) for choice in (columns, objects))
    assert one == other
    storage, read = Storage(str(tmp_path_factory.mktemp("rows"))), list[list[PlannedFace]]()
    for shard, same in zip(one.shards, other.shards, strict=True):
        assert shard.faces.morphs == same.faces.morphs and shard.samples == same.samples
        for name, faces in (("columns", shard.faces), ("objects", same.faces)):
            write_planned(storage, name, faces)
            read.append(read_planned(storage, name))
        assert read[-1] == read[-2] == list(same.faces)
