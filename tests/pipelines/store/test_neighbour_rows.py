"""Neighbours as columns are the rows that were written."""

from __future__ import annotations

import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from faceloom.pipelines.store.neighbour_rows import NeighbourRows, read_neighbours, write_neighbours
from faceloom.pipelines.store.parquet_tables import table_schema, write_table
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import StorageError
from faceloom.transforms.neighbours.faces import Neighbour

ROWS = [Neighbour(f"{at % 2}-f00", f"{at}-f00", at, at + 0.5, at / 3, 2.0) for at in range(5)]


def test_rows_are_read_as_they_were_written(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    for rows in (ROWS, []):
        write_neighbours(storage, "near", rows)
        found = read_neighbours(storage, "near")
        assert found == rows and list(found) == rows and len(found) == len(rows)
    assert NeighbourRows.of(ROWS)[-1] == ROWS[-1] and NeighbourRows.of(ROWS)[1:3] == ROWS[1:3]
    assert NeighbourRows.of(ROWS) != ROWS[:-1]


def test_joined_rows_have_the_bytes_of_one_table(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    write_neighbours(storage, "joined", NeighbourRows.joined([NeighbourRows.of(ROWS[:2]), NeighbourRows.of(ROWS[2:])]))
    columns = {name: [getattr(row, name) for row in ROWS] for name in Neighbour._fields}
    write_table(storage, "plain", Neighbour, columns)
    assert storage.read_bytes("joined") == storage.read_bytes("plain")
    assert len(NeighbourRows.joined([])) == 0


def test_keys_become_numbers() -> None:
    query, neighbour = NeighbourRows.of(ROWS).numbers(pa.array(["1-f00", "0-f00", "3-f00"]))
    assert query.tolist() == [1, 0, 1, 0, 1] and neighbour.tolist() == [1, 0, -1, 2, -1]
    assert NeighbourRows.of(ROWS).of_queries(pa.array(["1-f00"])) == ROWS[1::2]
    assert NeighbourRows.of(ROWS).figures("rank").tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("name", Neighbour._fields)
def test_a_row_without_a_value_is_damage(tmp_path: Path, name: str) -> None:
    columns = {one: [getattr(row, one) for row in ROWS] for one in Neighbour._fields}
    table = pa.table(columns | {name: [None] * len(ROWS)}, schema=table_schema(Neighbour))
    stream = io.BytesIO()
    pq.write_table(table, stream, write_page_checksum=True)
    (tmp_path / "near").write_bytes(stream.getvalue())
    with pytest.raises(StorageError, match=f"column {name}"):
        read_neighbours(Storage(str(tmp_path)), "near")
