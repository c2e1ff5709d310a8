"""Plan rows come back with their types, those of one part alone, and as they are now."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import pytest

from faceloom.pipelines.store import planned_rows
from faceloom.pipelines.store.planned_rows import read_planned, write_planned
from faceloom.pipelines.store.storage import Storage
from faceloom.pipelines.store.table_reader import read_table
from faceloom.schemas.plan import PlannedFace

FACE = PlannedFace(
    "s", "u", "ab", 0, "id", "train", None, "CC0", (("age", 3), ("smiling", True)), 9, 8, bytes(544), (0, 0, 9, 9),
    (0,), 7, "hog",
)  # fmt: skip


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage(str(tmp_path))


def test_attributes_keep_their_types(storage: Storage) -> None:
    write_planned(storage, "t.parquet", [FACE])
    [row] = read_planned(storage, "t.parquet")
    assert [type(value) for _, value in row.attributes] == [int, bool]


def test_the_rows_of_one_part(storage: Storage) -> None:
    faces = [replace(FACE, uri=uri) for uri in "abc"]
    write_planned(storage, "t.parquet", faces, ["one", "two", "one"])
    assert read_planned(storage, "t.parquet", "one") == [faces[0], faces[2]]
    assert read_planned(storage, "t.parquet", "none") == []


def test_the_parts_of_a_shard_read_its_file_once(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    write_planned(storage, "t.parquet", [FACE] * 2, ["one", "two"])
    read = Mock(wraps=read_table)
    monkeypatch.setattr(planned_rows, "read_table", read)
    assert read_planned(storage, "t.parquet", "one") == read_planned(storage, "t.parquet", "two") == [FACE]
    assert [call.args[1] for call in read.call_args_list] == ["t.parquet"]


def test_a_file_that_was_written_again_is_read_again(storage: Storage) -> None:
    write_planned(storage, "t.parquet", [FACE])
    assert read_planned(storage, "t.parquet") == [FACE]
    other = [replace(FACE, uri="another"), FACE]
    write_planned(storage, "t.parquet", other)
    assert read_planned(storage, "t.parquet") == other
