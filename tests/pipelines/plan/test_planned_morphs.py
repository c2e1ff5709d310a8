"""Columns of morphs hold what a loop over the morphs would put into them; plans as a whole are in `test_mix_faces`."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from faceloom.pipelines.plan.planned_faces import FaceTable, PlannedFaces
from faceloom.pipelines.plan.planned_morphs import FIGURES, MorphColumns
from tests.pipelines.planning import choose, item, recipe


@pytest.fixture
def table() -> FaceTable:
    """Rows 0, 2 and 4 are faces, rows 1 and 3 morphs of the first face with the second and the third."""
    people = [("Ada", "CC0"), ("Bob", None), ("Ada", "")]
    items = [item(f"{n}.jpg", identity=name) for n, (name, _) in enumerate(people)]
    items = [(replace(one, licence=licence), found) for (one, found), (_, licence) in zip(items, people, strict=True)]
    faces = choose(recipe(split={"shares": {"train": 1.0}}), items).faces
    assert isinstance(faces, PlannedFaces)
    base = faces.table.taken(np.array(sorted(range(3), key=lambda at: faces[at].uri)))
    figures = {name: np.array([at + 0.25, at + 1.0]) for at, name in enumerate(FIGURES)}
    morphs = MorphColumns(base, np.array([-1, 0, -1, 1, -1]), np.array([1, 2]), np.array([0, 7]), figures)
    return replace(base.taken(np.array([0, 0, 1, 0, 2])), morphs=morphs)


def test_names_and_terms_are_those_of_both(table: FaceTable) -> None:
    every = slice(0, 5)
    assert table.identities(every).to_pylist() == ["Ada", "Ada+Bob", "Bob", "Ada", "Ada"]
    assert table.terms("licence", every).to_pylist() == ["CC0", "CC0 + not stated", None, "CC0 + not stated", ""]
    assert table.terms("consent", every).to_pylist() == [None] * 5


def test_objects_structs_and_records_are_of_the_same_neighbours(table: FaceTable) -> None:
    assert table.morphs is not None
    rows = np.array([3, 0, 1])
    objects, structs = table.morphs.objects(rows), table.morphs.structs(rows).to_pylist()
    records = [json.loads(text) for text in table.morphs.records(rows).to_pylist()]
    assert objects[1] is structs[1] is records[1] is None
    for found, struct, record, uri, rank in zip(
        objects, structs, records, ("2.jpg", "", "1.jpg"), (7, 0, 0), strict=True
    ):
        if found is None:
            continue
        assert found.other.uri == struct["other"]["uri"] == record["uri"] == uri
        assert found.rank == struct["rank"] == record["rank"] == rank
        assert record["key"] == found.other.key and "turn" not in record and "five" not in record
        assert all(getattr(found, name) == struct[name] == record[name] for name in FIGURES)
    assert table.morphs.records(np.array([0, 2])) == b"null"


def test_rows_without_morphs_have_empty_columns(table: FaceTable) -> None:
    assert PlannedFaces(table).morphs == 2 and PlannedFaces(table, 4, 5).morphs == 0
    assert PlannedFaces(table, 4, 5).columns()["morph"].to_pylist() == [None]
