"""Who is who in a table: headers in any case, words for no person, and rows that name faces of one photo."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from faceloom.pipelines.sources.table import Table
from faceloom.schemas.photos import Photo, Reject
from faceloom.schemas.source_spec import SourceSpec
from tests.pipelines.sources.test_table import POINTS, photos, write, write_parquet


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for uri in ["a.jpg", "b.jpg"]:
        (tmp_path / uri).write_bytes(b"photo")
    return tmp_path


def test_a_photo_of_two_people_is_a_conflict(folder: Path) -> None:
    table = write(folder, ["uri", "identity"], ["a.jpg", "Ann"], ["b.jpg", "Bob"], ["./a.jpg", "Bob"])
    rejects = [row for row in table.scan() if isinstance(row, Reject)]
    assert list(photos(table)) == ["b.jpg"]
    assert [row.code for row in rejects] == ["identity_conflict"] * 2
    assert all("Ann and Bob" in row.message for row in rejects)
    assert [row.message.partition(":")[0] for row in rejects] == ["row 1", "row 3"]


@pytest.mark.parametrize("head", ["uri, identity", "URI,Identity", "uri,identity ", " Uri ,\u00a0IDENTITY"])
def test_headers_are_read_without_blanks_and_case(folder: Path, head: str) -> None:
    (folder / "t.csv").write_text(f"{head}, Age \na.jpg, Ann, 3\n b.jpg,Bob,4\n", encoding="utf-8")
    found = photos(Table(SourceSpec(path=str(folder / "t.csv"))))
    assert {uri: photo.identity for uri, photo in found.items()} == {"a.jpg": "Ann", "b.jpg": "Bob"}
    assert [name for name, _ in found["b.jpg"].attributes] == ["Age"]


@pytest.mark.parametrize("word", ["nan", "None", "NULL", "-1", "?", "<NA>", "n/a", " NaN "])
def test_words_for_no_one_are_no_person(folder: Path, word: str) -> None:
    assert photos(write(folder, ["uri", "identity"], ["a.jpg", word]))["a.jpg"].identity is None


def test_numbers_for_no_one_are_no_person(folder: Path) -> None:
    for cells in ([-1, 0], [-1.0, 0.0], [float("nan"), 0.0]):
        found = photos(write_parquet(folder, {"uri": ["a.jpg", "b.jpg"], "identity": cells}))
        assert [photo.identity for photo in found.values()] == [None, "0"]


def faces(photo: Photo) -> list[tuple[str | None, tuple[float, ...] | None]]:
    return [(face.identity, face.box) for face in photo.faces]


def test_rows_of_one_photo_name_its_faces(folder: Path) -> None:
    head = ["uri", "identity", "left", "top", "right", "bottom", "age"]
    rows: list[list[object]] = [
        ["a.jpg", "Ann", 0, 0, 10, 10, 30],
        ["b.jpg", "Cid", 5, 5, 9, 9, 1],
        ["a.jpg", "Bob", "20.5", 0, 40, 20, 40],
    ]
    for order in (rows, rows[::-1]):
        found = photos(write(folder, head, *order))
        assert faces(found["a.jpg"]) == [("Bob", (20.5, 0, 40, 20)), ("Ann", (0, 0, 10, 10))], "the largest first"
        assert [face.attributes for face in found["a.jpg"].faces] == [(("age", 40),), (("age", 30),)]
        assert found["a.jpg"].names == {"Ann", "Bob"} and found["a.jpg"].identity == "Bob"
        assert faces(found["b.jpg"]) == [("Cid", (5, 5, 9, 9))] and found["b.jpg"].identity == "Cid"


def test_boxes_and_landmarks_in_one_column(folder: Path) -> None:
    boxes = {"uri": ["a.jpg", "a.jpg"], "identity": ["Ann", "Bob"], "box": [[0, 0, 9, 9], [20, 0, 30, 9]]}
    assert faces(photos(write_parquet(folder, boxes))["a.jpg"]) == [("Bob", (20, 0, 30, 9)), ("Ann", (0, 0, 9, 9))]
    points = [np.array(POINTS), np.array(POINTS) + np.array([100, 0])]
    rows: list[list[object]] = [
        ["a.jpg", name, json.dumps(one.tolist())] for name, one in zip(("Ann", "Bob"), points, strict=True)
    ]
    photo = photos(write(folder, ["uri", "identity", "landmarks"], *rows))["a.jpg"]
    assert [(face.identity, face.landmarks) for face in photo.faces] == [
        ("Ann", points[0].astype(np.float32).tobytes()),
        ("Bob", points[1].astype(np.float32).tobytes()),
    ]
    assert photo.landmarks is None


def test_rows_that_name_no_face_of_their_own_are_rejects(folder: Path) -> None:
    head = ["uri", "identity", "box", "consent"]
    rows: list[list[object]] = [
        ["a.jpg", "Ann", "[0, 0, 10, 10]", "yes"],
        ["a.jpg", "Bob", "", ""],
        ["a.jpg", "Ann", "", ""],
        ["a.jpg", "Cid", "[20, 0, 30, 10]", ""],
        ["a.jpg", "Cid", "[20, 0, 30, 10.5]", ""],
        ["a.jpg", "Dan", "[50, 0, 60, 10]", ""],
        ["a.jpg", "Eve", "[50, 0, 60, 10]", ""],
        ["a.jpg", "Fay", "[9, 0, 5, 10]", ""],
    ]
    table = write(folder, head, *rows)
    (photo,) = photos(table).values()
    assert faces(photo) == [("Ann", (0, 0, 10, 10)), ("Cid", (20, 0, 30, 10))]
    assert photo.consent == "yes + not stated"
    found = {row.message.partition(":")[0]: row.code for row in table.scan() if isinstance(row, Reject)}
    assert found == {
        "row 2": "bad_row",
        "row 3": "duplicate_uri",
        "row 5": "duplicate_uri",
        "row 6": "identity_conflict",
        "row 7": "identity_conflict",
        "row 8": "bad_landmarks",
    }


def test_three_edges_are_attributes(folder: Path) -> None:
    photo = photos(write(folder, ["uri", "left", "top", "right"], ["a.jpg", 1, 2, 3]))["a.jpg"]
    assert (photo.faces, photo.attributes) == ((), (("left", 1), ("right", 3), ("top", 2)))


def test_five_points_are_landmarks(folder: Path) -> None:
    five = [[100, 110], [150, 110], [125, 140], [105, 165], [145, 165]]
    photo = photos(write(folder, ["uri", "landmarks"], ["a.jpg", json.dumps(five)], ["b.jpg", "[[1, 1]]"]))["a.jpg"]
    assert photo.landmarks == np.array(five, np.float32).tobytes()
