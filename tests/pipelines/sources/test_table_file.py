from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faceloom.pipelines.sources import table_file
from faceloom.pipelines.sources.table_columns import choose_columns
from faceloom.pipelines.sources.table_file import TableFile, load_schema
from faceloom.schemas.errors import SourceError
from faceloom.schemas.source_spec import TableColumns


def load(file: Path, **columns: object) -> TableFile:
    chosen = choose_columns(load_schema(file), TableColumns.model_validate(columns), str(file))
    return table_file.load_table(file, chosen)


def csv_file(folder: Path, text: str | bytes) -> Path:
    file = folder / "t.csv"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_csv_as_spreadsheets_write_it(tmp_path: Path, delimiter: str, mark: bytes, newline: str) -> None:
    lines = [["uri", "who"], ["é.jpg", "007"], ["b.jpg", '"two; words,\nhere"']]
    file = csv_file(tmp_path, mark + newline.join(delimiter.join(line) for line in lines).encode())
    table = load(file)
    assert list(table.column("uri")) == ["é.jpg", "b.jpg"]
    assert list(table.column("who")) == ["007", "two; words,\nhere"]
    assert table.ragged == frozenset()


def test_rows_come_in_any_order_across_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_file, "BATCH", 3)
    file = csv_file(tmp_path, "uri\n" + "".join(f"{n}.jpg\n" for n in range(10)))
    table = load(file)
    order = [9, 0, 5, 1, 2, 3, 4]
    assert [row["uri"] for row in table.rows(order)] == [f"{n}.jpg" for n in order]
    assert list(table.rows([])) == []


def test_ragged_rows_are_known_by_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_file, "BATCH", 2)
    table = load(csv_file(tmp_path, "uri,who\na,1\nb\nc,3\n\nd,4,5\n"))
    assert table.ragged == {1, 3}
    assert list(table.column("uri")) == ["a", None, "c", None]


def test_a_header_alone_is_an_empty_table(tmp_path: Path) -> None:
    assert list(load(csv_file(tmp_path, "uri,who\n")).column("uri")) == []


def test_parquet_keeps_types(tmp_path: Path) -> None:
    pq.write_table(
        pa.table({"uri": ["a", "b"], "age": [1, None], "landmarks": [[[1.0, 2.0]], None]}), tmp_path / "t.PARQUET"
    )
    table = load(tmp_path / "t.PARQUET")
    assert list(table.rows([1, 0])) == [
        {"uri": "b", "landmarks": None, "age": None},
        {"uri": "a", "age": 1, "landmarks": [[1.0, 2.0]]},
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,who\na,1\n", "no column uri .*got file, who"),
        ("", "no column uri .*got no columns"),
        ("uri,who\na,caf\xe9\n".encode("latin-1"), "utf-8"),
        ('uri,who\na,"never closed\nb,2\n', "unexpected end"),
        ("uri,uri\na,b\n", "two columns have the same name"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(SourceError, match=message) as caught:
        load(csv_file(tmp_path, text))
    assert caught.value.remedy
    assert caught.value.where.endswith("t.csv")


def test_no_parquet_and_no_file(tmp_path: Path) -> None:
    (tmp_path / "t.parquet").write_text("uri\na\n")
    with pytest.raises(SourceError, match="cannot be read"):
        load(tmp_path / "t.parquet")
    with pytest.raises(SourceError, match="No such file"):
        load(tmp_path / "other.csv")


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_a_pipe_or_device_is_not_waited_for(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / f"pipe{name}")
    (tmp_path / f"zero{name}").symlink_to("/dev/zero")
    for path in (tmp_path / f"pipe{name}", tmp_path / f"zero{name}"):
        with pytest.raises(SourceError, match="pipe, socket or device"):
            load(path)


def test_sizes_of_cells_and_rows_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_file, "_LONGEST_CELL", 100)
    monkeypatch.setattr(table_file, "_LONGEST_ROW", 300)
    row = ",".join("x" * 90 for _ in range(3))
    assert load(csv_file(tmp_path, "uri,a,b\n" + f"{row}\n" * 10)).columns.num_rows == 10
    for text in ("uri\n" + "," * 301, "u" * 301, 'uri\n"' + "x\n" * 160):
        with pytest.raises(SourceError, match="row has more than"):
            load(csv_file(tmp_path, text))
    long = load(csv_file(tmp_path, "uri,a,b\na.jpg,1," + "x" * 280), others=["a"])
    assert list(long.rows([0])) == [{"uri": "a.jpg", "a": "1"}]
    assert list(load(csv_file(tmp_path, "uri\n" + "x" * 280)).column("uri")) == ["x" * 101]


@pytest.mark.parametrize("columns", [{"identity": "uri"}, {"others": ["uri"]}, {"others": ["age", "age", "identity"]}])
def test_a_column_may_be_named_twice(tmp_path: Path, columns: dict[str, Any]) -> None:
    pq.write_table(pa.table({"uri": ["a"], "identity": ["x"], "age": ["1"]}), tmp_path / "t.parquet")
    for file in (csv_file(tmp_path, "uri,identity,age\na,x,1\n"), tmp_path / "t.parquet"):
        table = load(file, **columns)
        assert list(table.column("uri")) == ["a"]
        assert set(table.columns.column_names) >= {"uri", *columns.get("others", ())}


def test_very_many_columns_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SourceError, match="it has 100,002 columns; at most 100,000 are read"):
        load(csv_file(tmp_path, "uri" + "," * 100_001))
    monkeypatch.setattr(table_file, "_MOST_COLUMNS", 2)
    pq.write_table(pa.table({"uri": ["a"], "b": ["x"], "c": ["1"]}), tmp_path / "t.parquet")
    with pytest.raises(SourceError, match="it has 3 columns"):
        load(tmp_path / "t.parquet")


def test_a_hole_of_a_terabyte_is_no_table(tmp_path: Path) -> None:
    with (tmp_path / "t.csv").open("wb") as stream:
        stream.truncate(1 << 40)
    with pytest.raises(SourceError, match=r"row has more than|NUL"):
        load(tmp_path / "t.csv")


def test_only_chosen_columns_are_read(tmp_path: Path) -> None:
    names = ["uri", "a", "b", "identity", "c"]
    file = csv_file(tmp_path, ",".join(names) + "\nu,1,2,i,3\n")
    assert load(file, others=["c", "a"]).columns.column_names == ["uri", "identity", "c", "a"]
    assert list(load(file, others=[]).rows([0])) == [{"uri": "u", "identity": "i"}]
    pq.write_table(pa.table({**{name: ["x"] for name in names}, "a.b": ["y"]}), tmp_path / "t.parquet")
    assert load(tmp_path / "t.parquet", others=["a"]).columns.column_names == ["uri", "identity", "a"]


def test_more_rows_than_the_file_can_hold_are_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"uri": pa.nulls(2_000_000, pa.string())}), tmp_path / "t.parquet")
    with pytest.raises(SourceError, match="it states 2,000,000 rows in"):
        load(tmp_path / "t.parquet")


def test_a_parquet_file_without_rows(tmp_path: Path) -> None:
    pq.write_table(pa.table({"uri": pa.array([], pa.string())}), tmp_path / "t.parquet")
    assert list(load(tmp_path / "t.parquet").column("uri")) == []


@settings(deadline=None, max_examples=100)
@given(text=st.text('uri,;\t\n\r"\0\ufeffé\ud800', max_size=60) | st.text(max_size=60))
def test_any_csv_is_a_table_or_a_source_error(text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    file = csv_file(tmp_path_factory.getbasetemp(), text.encode("utf-8", "surrogatepass"))
    with contextlib.suppress(SourceError):
        table = load(file)
        assert len(list(table.rows(list(range(table.columns.num_rows))))) == len(list(table.column("uri")))


@settings(deadline=None, max_examples=100)
@given(place=st.integers(0, 10_000), other=st.binary(min_size=1, max_size=4))
def test_any_damage_of_a_parquet_file_is_a_table_or_a_source_error(
    place: int, other: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.getbasetemp() / "damaged.parquet"
    pq.write_table(pa.table({"uri": ["a", "b"], "identity": ["x", None], "n": [1, 2]}), file)
    data = file.read_bytes()
    place %= len(data)
    file.write_bytes(data[:place] + other + data[place + len(other) :])
    with contextlib.suppress(SourceError):
        table = load(file)
        list(table.rows(list(range(table.columns.num_rows))))
