from __future__ import annotations

import csv
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from faceloom.pipelines.sources.registry import open_source
from faceloom.pipelines.sources.source import notices_of_scan
from faceloom.pipelines.sources.table import Table
from faceloom.schemas.errors import SourceError
from faceloom.schemas.photos import Photo, Reject
from faceloom.schemas.source_spec import SourceSpec

POINTS = [[float(n), n + 0.5] for n in range(68)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for uri in ["a.jpg", "b.jpg", "deep/c.jpg"]:
        (tmp_path / uri).parent.mkdir(exist_ok=True)
        (tmp_path / uri).write_bytes(b"photo")
    return tmp_path


def write(folder: Path, columns: list[str], *rows: list[object]) -> Table:
    with (folder / "t.csv").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([columns, *rows])
    return Table(SourceSpec(path=str(folder / "t.csv")))


def write_parquet(folder: Path, cells: dict[str, Any], **options: Any) -> Table:
    pq.write_table(pa.table(cells), folder / "t.parquet")
    return Table(SourceSpec(path=str(folder / "t.parquet"), **options))


def photos(table: Table) -> dict[str, Photo]:
    return {row.uri: row for row in table.scan() if isinstance(row, Photo)}


def codes(table: Table) -> dict[str, str]:
    return {row.uri: row.code for row in table.scan() if isinstance(row, Reject)}


def test_every_column(folder: Path) -> None:
    table = write(
        folder,
        ["uri", "identity", "split", "landmarks", "attributes", "licence", "consent", "age", "smiling", "note", ""],
        [
            "b.jpg",
            " 007 ",
            "train",
            json.dumps(POINTS),
            '{"glasses": true, "age": 1}',
            "CC0",
            "signed",
            "36",
            "true",
            "",
            "9",
        ],
        ["a.jpg", "", "", "", "", "", "", "", "", "", ""],
    )
    found = photos(table)
    assert list(found) == ["a.jpg", "b.jpg"]
    full = found["b.jpg"]
    assert (full.identity, full.split, full.licence, full.consent) == ("007", "train", "CC0", "signed")
    assert full.attributes == (("age", 36), ("glasses", True), ("smiling", True))
    assert full.landmarks == np.array(POINTS, np.float32).tobytes()
    assert (full.size, full.stamp) == (5, str((folder / "b.jpg").stat().st_mtime_ns))
    bare = found["a.jpg"]
    assert (bare.identity, bare.split, bare.licence, bare.consent, bare.landmarks) == (None,) * 5
    assert bare.attributes == ()


def test_parquet_types(folder: Path) -> None:
    table = write_parquet(
        folder,
        {
            "uri": ["a.jpg", "b.jpg"],
            "identity": [7.0, None],
            "landmarks": [POINTS, None],
            "attributes": [{"pose": [1, 2]}, None],
            "code": ["007", "x"],
            "score": [0.5, float("nan")],
        },
    )
    found = photos(table)
    assert found["a.jpg"].identity == "7"
    assert found["a.jpg"].landmarks == np.array(POINTS, np.float32).tobytes()
    assert found["a.jpg"].attributes == (("code", "007"), ("pose", "[1, 2]"), ("score", 0.5))
    assert found["b.jpg"].attributes == (("code", "x"),)


def test_bad_rows_are_named_by_number_and_the_rest_goes_on(folder: Path) -> None:
    (folder / "empty.jpg").touch()
    os.mkfifo(folder / "pipe.jpg")
    table = write(
        folder,
        ["uri", "landmarks", "attributes"],
        ["b.jpg", "", ""],
        ["gone.jpg", "", ""],
        ["", "", ""],
        ["a.jpg", json.dumps(POINTS[:5]), ""],
        ["b.jpg", "", ""],
        ["./deep//c.jpg", "", "[1]"],
        ["empty.jpg", "", ""],
        ["pipe.jpg", "", ""],
        ["deep", "", ""],
        ["a.jpg/x.jpg", "", ""],
        ["../secret.jpg", "", ""],
        ["new\nline.jpg", "", ""],
        ["b.jpg", ""],
    )
    rows = list(table.scan())
    assert len(rows) == 13
    assert [row.uri for row in rows if isinstance(row, Photo)] == ["b.jpg"]
    found = {row.message.partition(":")[0]: (row.uri, row.code) for row in rows if isinstance(row, Reject)}
    assert found == {
        "row 2": ("gone.jpg", "missing_file"),
        "row 3": ("t.csv#row=3", "empty_uri"),
        "row 4": ("a.jpg", "bad_landmarks"),
        "row 5": ("b.jpg", "duplicate_uri"),
        "row 6": ("deep/c.jpg", "bad_attributes"),
        "row 7": ("empty.jpg", "empty"),
        "row 8": ("pipe.jpg", "not_a_file"),
        "row 9": ("deep", "not_a_file"),
        "row 10": ("a.jpg/x.jpg", "missing_file"),
        "row 11": ("../secret.jpg", "outside_root"),
        "row 12": ("new\\x0aline.jpg", "bad_name"),
        "row 13": ("t.csv#row=13", "bad_row"),
    }


@pytest.mark.parametrize(
    ("uri", "code"),
    [
        ("x" * 300 + ".jpg", "unreadable"),
        ("deep\\" + "y" * 300 + ".jpg", "unreadable"),
        ("d/" * 3000 + "a.jpg", "unreadable"),
        ("nul\\\0.jpg", "bad_name"),
        ("a.jpg\0", "bad_name"),
        ("*?[x]<>|:\\é写\u202e.jpg", "missing_file"),
    ],
)
def test_names_that_no_file_can_have_spoil_their_row_alone(folder: Path, uri: str, code: str) -> None:
    table = write_parquet(folder, {"uri": [uri, "b.jpg"]})
    assert list(photos(table)) == ["b.jpg"]
    assert list(codes(table).values()) == [code]


@pytest.mark.parametrize("cell", ["[" * 100_000, "[" + "9" * 5000 + "]", json.dumps([[10**400, 0]] * 68), "\0"])
@pytest.mark.parametrize("column", ["landmarks", "attributes"])
def test_odd_cells_spoil_their_row_alone(folder: Path, column: str, cell: str) -> None:
    table = write_parquet(folder, {"uri": ["a.jpg", "b.jpg"], column: [cell, None]})
    assert list(photos(table)) == ["b.jpg"]
    assert codes(table) == {"a.jpg": f"bad_{column}"}


def test_the_first_of_two_rows_counts(folder: Path) -> None:
    table = write(
        folder, ["uri", "identity", "age"], ["a.jpg", "", "1"], ["a.jpg", "Ann", "2"], ["./a.jpg", "Ann", "3"]
    )
    assert (photos(table)["a.jpg"].identity, photos(table)["a.jpg"].attributes) == ("Ann", (("age", 2),))
    assert codes(table) == {"a.jpg": "duplicate_uri"}


def test_absolute_paths_below_the_root_become_relative(folder: Path) -> None:
    table = write(folder, ["uri"], [str(folder / "deep" / "c.jpg")], ["/etc/hosts"])
    assert list(photos(table)) == ["deep/c.jpg"]
    assert list(codes(table).values()) == ["outside_root"]


def test_backslashes_of_another_system(folder: Path) -> None:
    (folder / "x\\y.jpg").write_bytes(b"photo")
    table = write(folder, ["uri"], ["deep\\c.jpg"], ["x\\y.jpg"])
    assert list(photos(table)) == ["deep/c.jpg", "x\\y.jpg"]
    assert table.read("deep/c.jpg") == b"photo"


def test_other_column_names(folder: Path) -> None:
    table = write_parquet(folder, {"file": ["a.jpg"], "person": ["Ada"]}, columns={"uri": "file", "identity": "person"})
    assert photos(table)["a.jpg"].identity == "Ada"
    assert photos(table)["a.jpg"].attributes == ()


def test_a_named_column_must_be_there_and_others_need_not(folder: Path) -> None:
    with pytest.raises(SourceError, match="no column person"):
        photos(write_parquet(folder, {"uri": ["a.jpg"]}, columns={"identity": "person"}))
    assert photos(write_parquet(folder, {"uri": ["a.jpg"]}))["a.jpg"].identity is None


def test_a_root_elsewhere(folder: Path, tmp_path: Path) -> None:
    table = write_parquet(folder, {"uri": ["c.jpg"]}, root=str(folder / "deep"))
    assert list(photos(table)) == ["c.jpg"]
    assert table.read("c.jpg") == b"photo"
    with pytest.raises(SourceError, match="root"):
        photos(write_parquet(folder, {"uri": ["c.jpg"]}, root=str(folder / "nothing")))


def test_names_need_no_ending(folder: Path) -> None:
    (folder / "0001").write_bytes(b"photo")
    assert list(photos(write(folder, ["uri"], ["0001"]))) == ["0001"]


def test_odd_types_cost_at_most_their_own_cells(folder: Path) -> None:
    values = pa.Array.from_buffers(
        pa.string(), 2, [None, pa.py_buffer(np.array([0, 2, 4], np.int32)), pa.py_buffer(b"\xff\xfeok")]
    )
    table = write_parquet(
        folder,
        {
            "uri": ["a.jpg", "b.jpg"],
            "taken": pa.array([1_700_000_000_123_456_789, None], pa.timestamp("ns")),
            "text": values,
            "jpg": [b"\xff\xd8", b"\xff\xd8"],
            "emb": [[0.5] * 512] * 2,
            "caption": ["x" * 2_000, "short"],
        },
    )
    found = photos(table)
    assert found["a.jpg"].attributes == (("taken", "2023-11-14T22:13:20.123456789"),)
    assert found["b.jpg"].attributes == (("caption", "short"), ("text", "ok"))
    assert "jpg (binary), emb (list<" in table.notices[0]
    assert "caption (1), text (1)" in table.notices[1]
    assert notices_of_scan(table) == tuple(f"source t.parquet: {notice}" for notice in table.notices)


def test_cells_of_a_role_that_cannot_be_read_spoil_their_row_alone(folder: Path) -> None:
    values = pa.Array.from_buffers(
        pa.string(), 2, [None, pa.py_buffer(np.array([0, 2, 4], np.int32)), pa.py_buffer(b"\xff\xfeok")]
    )
    for role, code in (("identity", "bad_row"), ("landmarks", "bad_landmarks"), ("attributes", "bad_attributes")):
        table = write_parquet(folder, {"uri": ["a.jpg", "b.jpg"], role: values})
        assert codes(table)["a.jpg"] == code
    assert list(codes(write_parquet(folder, {"uri": values})).values()) == ["empty_uri", "missing_file"]


def test_long_names_of_people_spoil_their_row_alone(folder: Path) -> None:
    table = write(folder, ["uri", "identity"], ["a.jpg", "x" * 1_001], ["b.jpg", "x" * 1_000])
    assert list(photos(table)) == ["b.jpg"]
    assert codes(table) == {"a.jpg": "bad_row"}


def test_columns_choose_the_attributes(folder: Path) -> None:
    cells = {"uri": ["a.jpg"], "identity": ["Ada"], "age": [36], "note": ["x"]}
    for columns in (["age"], {"others": ["age"]}):
        assert photos(write_parquet(folder, cells, columns=columns))["a.jpg"].attributes == (("age", 36),)
    assert photos(write_parquet(folder, cells, columns=[]))["a.jpg"].identity == "Ada"


@pytest.mark.parametrize("columns", [{"identity": "uri"}, ["uri", "landmarks"], ["age", "age"]])
def test_a_column_may_have_several_uses(folder: Path, columns: Any) -> None:
    cells = {"uri": ["a.jpg"], "age": [36], "landmarks": [json.dumps(POINTS, indent=9)]}  # too long for an attribute
    photo = photos(write_parquet(folder, cells, columns=columns))["a.jpg"]
    assert photo.landmarks is not None
    assert photo.identity == ("a.jpg" if "identity" in columns else None)
    assert photo.attributes == ((("uri", "a.jpg"),) if "uri" in columns else (("age", 36),))


def test_stated_attributes_come_before_those_of_columns(folder: Path) -> None:
    names = [f"c{number:04d}" for number in range(999)]
    table = write(
        folder,
        ["uri", "attributes", *names],
        ["a.jpg", '{"x": 1, "y": 2, "c0000": 3}', *["7"] * 999],
        ["b.jpg", '{"x": 1, "y": 2}', *["7"] * 998, ""],
    )
    found = photos(table)
    assert [len(found[uri].attributes) for uri in ("a.jpg", "b.jpg")] == [1_000, 1_000]
    assert dict(found["a.jpg"].attributes)["y"] == 2 and "c0998" not in dict(found["a.jpg"].attributes)
    assert table.notices[-1].endswith("c0998 (1)")


def test_a_cell_without_use_may_be_long(folder: Path) -> None:
    write(folder, ["uri", "note", "text"], ["a.jpg", "x", "x" * 2_000_000], ["b.jpg", "y", ""])
    spec = SourceSpec.model_validate({"path": str(folder / "t.csv"), "columns": ["note"]})
    assert list(photos(Table(spec))) == ["a.jpg", "b.jpg"]
    assert list(photos(Table(SourceSpec(path=str(folder / "t.csv"))))) == ["a.jpg", "b.jpg"]


@pytest.mark.parametrize("role", ["uri", "identity", "landmarks", "attributes", "licence"])
def test_a_long_cell_of_a_role_spoils_its_row_alone(folder: Path, role: str) -> None:
    cells: dict[str, object] = {"uri": "a.jpg", role: "1" * 2_000_000}
    assert list(photos(write(folder, [*cells, "x"], [*cells.values(), ""], ["b.jpg", *[""] * len(cells)]))) == ["b.jpg"]


def test_a_faulty_table_is_refused_before_it_is_scanned(folder: Path) -> None:
    twice = pa.Table.from_arrays([pa.array(["a.jpg"])] * 3, names=["uri", "identity", "identity"])
    pq.write_table(twice, folder / "t.parquet")
    with pytest.raises(SourceError, match="two columns have the same name"):
        open_source(SourceSpec(path=str(folder / "t.parquet")))


def test_too_many_attributes_spoil_their_row_alone(folder: Path) -> None:
    many = json.dumps({str(number): 1 for number in range(1_001)})
    table = write(folder, ["uri", "attributes"], ["a.jpg", many], ["b.jpg", "{}"])
    assert codes(table) == {"a.jpg": "bad_attributes"}
