from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from faceloom.pipelines.sources import table_file
from faceloom.pipelines.sources.table_file import load_table
from faceloom.schemas.errors import SourceError


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
    table = load_table(file, {"uri"})
    assert table.column("uri") == ["é.jpg", "b.jpg"]
    assert table.column("who") == ["007", "two; words,\nhere"]
    assert table.ragged == frozenset()


def test_rows_come_in_any_order_across_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_file, "_BATCH", 3)
    file = csv_file(tmp_path, "uri\n" + "".join(f"{n}.jpg\n" for n in range(10)))
    table = load_table(file, {"uri"})
    order = [9, 0, 5, 1, 2, 3, 4]
    assert [row["uri"] for row in table.rows(order)] == [f"{n}.jpg" for n in order]
    assert list(table.rows([])) == []


def test_ragged_rows_are_known_by_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_file, "_BATCH", 2)
    table = load_table(csv_file(tmp_path, "uri,who\na,1\nb\nc,3\n\nd,4,5\n"), {"uri"})
    assert table.ragged == {1, 3}
    assert table.column("uri") == ["a", None, "c", None]


def test_a_header_alone_is_an_empty_table(tmp_path: Path) -> None:
    assert load_table(csv_file(tmp_path, "uri,who\n"), {"uri"}).column("uri") == []


def test_parquet_keeps_types(tmp_path: Path) -> None:
    pq.write_table(
        pa.table({"uri": ["a", "b"], "age": [1, None], "points": [[[1.0, 2.0]], None]}), tmp_path / "t.PARQUET"
    )
    table = load_table(tmp_path / "t.PARQUET", {"uri"})
    assert list(table.rows([1, 0])) == [
        {"uri": "b", "age": None, "points": None},
        {"uri": "a", "age": 1, "points": [[1.0, 2.0]]},
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
        load_table(csv_file(tmp_path, text), {"uri"})
    assert caught.value.remedy
    assert caught.value.where.endswith("t.csv")


def test_no_parquet_and_no_file(tmp_path: Path) -> None:
    (tmp_path / "t.parquet").write_text("uri\na\n")
    with pytest.raises(SourceError, match="cannot be read"):
        load_table(tmp_path / "t.parquet", {"uri"})
    with pytest.raises(SourceError, match="No such file"):
        load_table(tmp_path / "other.csv", {"uri"})
