"""Parts are found where older shards hold them, and nowhere else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from faceloom.pipelines.plan.reuse import Lift, find_lifts
from faceloom.pipelines.store.parquet_tables import write_index
from faceloom.pipelines.store.paths import shard_index, shard_tar
from faceloom.pipelines.store.storage import Storage
from faceloom.pipelines.store.tar_writer import END, append_sample
from faceloom.schemas.index import IndexRow
from faceloom.schemas.plan import Part, Shard


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage(str(tmp_path))


def put_shard(storage: Storage, name: str, parts: dict[str, int]) -> None:
    """A shard whose parts have so many samples of 1024 bytes each."""
    rows: list[IndexRow] = []
    with storage.write(shard_tar(name)) as stream:
        for part, count in parts.items():
            for _ in range(count):
                key, offset = f"k{len(rows)}", 1024 * len(rows)
                members = append_sample(stream, offset, key, [("json", b"{}")])
                row = IndexRow(
                    key, "i", "train", part, offset, 1024, members, "", "s", "u", "h", 0, (), "[]", "1", None, None
                )
                rows.append(row)
        stream.write(END)
    write_index(storage, shard_index(name), rows, {part: [] for part in parts}, length=1024 * len(rows) + len(END))


def wanted(*parts: str) -> list[Shard]:
    return [Shard("train", "all", "new", tuple(Part(part, ()) for part in parts))]


def test_parts_are_found_with_their_byte_ranges(storage: Storage) -> None:
    put_shard(storage, "old", {"a": 2, "b": 1, "c": 3})
    put_shard(storage, "older", {"d": 1})
    assert find_lifts(storage, wanted("b", "c", "d", "e")) == {
        "b": Lift("old", 2048, 1024),
        "c": Lift("old", 3072, 3072),
        "d": Lift("older", 0, 1024),
    }


def test_a_part_without_samples_is_found_too(storage: Storage) -> None:
    put_shard(storage, "old", {"a": 2, "none": 0})
    assert find_lifts(storage, wanted("none")) == {"none": Lift("old", 0, 0)}


def test_a_part_in_two_shards_is_taken_from_the_first_by_name(storage: Storage) -> None:
    put_shard(storage, "z", {"a": 1})
    put_shard(storage, "b", {"x": 2, "a": 1})
    assert find_lifts(storage, wanted("a")) == {"a": Lift("b", 2048, 1024)}


def test_an_index_without_its_shard_is_of_no_use(storage: Storage) -> None:
    put_shard(storage, "old", {"a": 1})
    storage.remove(shard_tar("old"))
    assert find_lifts(storage, wanted("a")) == {}


def test_a_shard_without_its_index_is_not_finished(storage: Storage) -> None:
    put_shard(storage, "old", {"a": 1})
    storage.remove(shard_index("old"))
    assert find_lifts(storage, wanted("a")) == {}


def test_nothing_wanted_nothing_lifted(storage: Storage) -> None:
    put_shard(storage, "old", {"a": 1})
    assert find_lifts(storage, []) == {}


def test_a_damaged_index_of_an_older_shard_stops_nothing(storage: Storage) -> None:
    put_shard(storage, "old", {"a": 1})
    storage.local("index/bad.parquet").write_bytes(b"x")
    os.mkfifo(storage.local("index/pipe.parquet"))
    assert {*find_lifts(storage, wanted("a"))} == {"a"}


@pytest.mark.parametrize("at", [100, 600, 1100])
def test_a_part_of_a_damaged_shard_is_rendered_again(storage: Storage, at: int) -> None:
    put_shard(storage, "old", {"a": 1, "b": 1})
    put_shard(storage, "whole", {"c": 1})
    data = bytearray(storage.read_bytes(shard_tar("old")))
    data[at] ^= 1
    storage.local(shard_tar("old")).write_bytes(data)
    assert find_lifts(storage, wanted("a", "c")) == {"c": Lift("whole", 0, 1024)}


def test_an_empty_output_has_nothing_to_lift(storage: Storage) -> None:
    assert find_lifts(storage, wanted("a")) == {}
