"""Known columns are read by name and type; the tables themselves are in test_parquet_tables.py."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from faceloom.pipelines.store.storage import Storage
from faceloom.pipelines.store.table_reader import checked, read_stored_metadata, read_table
from faceloom.schemas.errors import StorageError

SCHEMA = pa.schema([("name", pa.string()), ("sizes", pa.list_(pa.int64()))])


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


def test_a_table_of_too_many_pieces_is_refused(storage: Storage) -> None:
    with pq.ParquetWriter(storage.local("t.parquet"), pa.schema([(f"c{n}", pa.int8()) for n in range(400)])) as file:
        for _ in range(200):
            file.write_table(pa.table({f"c{n}": pa.array([0], pa.int8()) for n in range(400)}))
    with pytest.raises(StorageError, match="200 groups of 400 columns"):
        read_table(storage, "t.parquet", pa.schema([("c0", pa.int8())]), ["c0"])


def test_metadata_is_text(storage: Storage) -> None:
    put(storage, pa.table({"name": ["a"]}).replace_schema_metadata({"what": "this"}))
    assert read_stored_metadata(storage, "t.parquet")[b"what"] == b"this"


def test_the_first_wrong_value_is_named() -> None:
    assert checked(int, [1, 2], "t.parquet") == [1, 2]
    with pytest.raises(StorageError, match=r"t\.parquet: damaged Parquet file: row 1, column n: .* not None"):
        checked(int, [1, None], "t.parquet", "n")
