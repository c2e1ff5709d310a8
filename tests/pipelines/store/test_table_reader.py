"""Known columns are read by name and type; the tables themselves are in test_parquet_tables.py."""

from __future__ import annotations

import os
from dataclasses import fields
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from faceloom.pipelines.store import parquet_tables as tables
from faceloom.pipelines.store import table_reader
from faceloom.pipelines.store.storage import Storage
from faceloom.pipelines.store.table_reader import checked, read_stored_metadata, read_table
from faceloom.schemas.errors import StorageError
from faceloom.schemas.index import IndexRow
from faceloom.schemas.photos import Reject

SCHEMA = pa.schema([("name", pa.string()), ("sizes", pa.list_(pa.int64()))])


ROW = IndexRow("k", "Ada", "train", "p", "", 0, 0, (), "", "s", "u", "h", 0, ("Ada",), (), "[]", "1", None, None)


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage(str(tmp_path))


def put(storage: Storage, table: pa.Table) -> None:
    pq.write_table(table, storage.local("t.parquet"))


def test_only_the_named_columns_come_back_in_their_order(storage: Storage) -> None:
    table = pa.table({"more": [1], "name": ["a"], "sizes": [[1, 2]], "name.x": [3]})
    put(storage, table)
    assert read_table(storage, "t.parquet", SCHEMA, ["sizes", "name"]).to_pydict() == {"sizes": [[1, 2]], "name": ["a"]}
    assert read_table(storage, "t.parquet", SCHEMA, ["name"]).column_names == ["name"]


@pytest.mark.parametrize(
    ("table", "why"),
    [
        (pa.table({"sizes": [[1]]}), "column name is missing"),
        (pa.table([["a"], ["b"], [[1]]], names=["name", "name", "sizes"]), "column name is there twice"),
        (pa.table({"name": [b"a"], "sizes": [[1]]}), "column name is of type binary, not string"),
    ],
)
def test_a_column_that_is_not_as_it_should_be(storage: Storage, table: pa.Table, why: str) -> None:
    put(storage, table)
    with pytest.raises(StorageError, match=why):
        read_table(storage, "t.parquet", SCHEMA, ["name", "sizes"])


def test_a_table_of_too_many_values_is_refused(storage: Storage) -> None:
    put(storage, pa.table({"name": ["a"] * 4, "sizes": [[1] * 5] * 4}))
    assert read_table(storage, "t.parquet", SCHEMA, ["name"], 4).num_rows == 4
    for names, most in ((["name"], 3), (["name", "sizes"], 7), (["sizes"], 19)):
        with pytest.raises(StorageError, match=f"at most {most} are read"):
            read_table(storage, "t.parquet", SCHEMA, names, most)


def test_a_table_of_too_many_pieces_is_refused(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_reader, "MOST_CHUNKS", 799)
    group = pa.table({f"c{n}": pa.array([0], pa.int8()) for n in range(40)})
    with pq.ParquetWriter(storage.local("t.parquet"), group.schema) as file:
        for _ in range(20):
            file.write_table(group)
    with pytest.raises(StorageError, match="20 groups of 40 columns"):
        read_table(storage, "t.parquet", pa.schema([("c0", pa.int8())]), ["c0"])


def test_metadata_is_text(storage: Storage) -> None:
    put(storage, pa.table({"name": ["a"]}).replace_schema_metadata({"what": "this"}))
    assert read_stored_metadata(storage, "t.parquet")[b"what"] == b"this"


def test_the_first_wrong_value_is_named() -> None:
    assert checked(int, [1, 2], "t.parquet") == [1, 2]
    with pytest.raises(StorageError, match=r"t\.parquet: damaged Parquet file: row 1, column n: .* not None"):
        checked(int, [1, None], "t.parquet", "n")


def test_a_small_file_with_many_rows_is_refused_before_it_is_read(storage: Storage) -> None:
    one = pa.DictionaryArray.from_arrays(pa.array(np.zeros(3_000_000, np.int8)), pa.array(["scan"])).cast(pa.string())
    pq.write_table(pa.table({f.name: one for f in fields(Reject)}), storage.local("t.parquet"))
    with pytest.raises(StorageError, match="18,000,000 values; at most"):
        tables.read_rejects(storage, "t.parquet")


def test_a_small_file_that_repeats_a_long_text_takes_no_memory(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_reader, "MOST_CONTENT", 10_000_000)
    rows = [Reject("scan", "s", "u", "empty", "x" * 500_000)] * 200
    tables.write_rejects(storage, "t.parquet", rows)
    assert storage.size("t.parquet") < 50_000
    pool, before = pa.system_memory_pool(), pa.default_memory_pool()
    pa.set_memory_pool(pool)
    try:
        with pytest.raises(StorageError, match=r"100,0.* bytes in memory; at most"):
            tables.read_rejects(storage, "t.parquet")
    finally:
        pa.set_memory_pool(before)
    assert pool.max_memory() < 20_000_000


def test_a_small_file_with_a_long_list_is_refused_before_it_is_read(storage: Storage) -> None:
    tables.write_index(storage, "t.parquet", [ROW], {})
    table = pq.read_table(storage.local("t.parquet"))
    count = 5_000_000
    field = table.schema.field("members").type.value_field
    items = pa.nulls(count, field.type)
    made = pa.ListArray.from_arrays(pa.array([0, count], pa.int32()), items)
    at = table.column_names.index("members")
    table = table.set_column(at, "members", made.cast(table.schema.field("members").type))
    pq.write_table(table, storage.local("t.parquet"))
    assert storage.size("t.parquet") < 50_000
    with pytest.raises(StorageError, match=r"20,000,00. list items; at most"):
        tables.read_index(storage, "t.parquet")


def test_a_pipe_and_a_huge_file_are_not_read(storage: Storage) -> None:
    os.mkfifo(storage.local("pipe.parquet"))
    with storage.local("huge.parquet").open("wb") as stream:
        stream.truncate(2**40)
    for name in ("pipe", "huge"):
        for read in (tables.read_index, tables.read_metadata, tables.read_rejects):
            with pytest.raises(StorageError, match="cannot be read: it "):
                read(storage, f"{name}.parquet")
