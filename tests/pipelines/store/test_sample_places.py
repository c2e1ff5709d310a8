"""Places of samples: packed without loss, and no byte outside them. Forged rows are in `test_checked_shards.py`."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceloom.pipelines.store.build_record import read_record
from faceloom.pipelines.store.checked_shards import read_rows
from faceloom.pipelines.store.paths import shard_tar
from faceloom.pipelines.store.sample_places import (
    MOST_BYTES,
    Content,
    Place,
    Places,
    contents,
    find_damage,
    find_misplaced,
)
from faceloom.pipelines.store.storage import Storage
from tests.pipelines.read.builds import make_build


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Storage:
    return Storage(str(make_build(tmp_path_factory.mktemp("build"), [("train", 5), ("train", 3)])))


@given(st.data())
def test_no_byte_of_a_shard_can_change_unseen(build: Storage, data: st.DataObject) -> None:
    shard = read_record(build).shards[1]
    whole, rows = build.read_bytes(shard_tar(shard.name)), read_rows(build, shard)
    at = data.draw(st.integers(0, rows[-1].offset + rows[-1].length - 1))
    changed = bytearray(whole)
    changed[at] ^= 1 << data.draw(st.integers(0, 7))
    faults = [find_damage(row, bytes(changed), 0) for row in rows]
    assert [bool(fault) for fault in faults] == [row.offset <= at < row.offset + row.length for row in rows]


def test_rows_in_another_order_or_one_less_are_seen(build: Storage) -> None:
    shard = read_record(build).shards[1]
    rows = read_rows(build, shard)
    assert find_misplaced(rows, shard.bytes - 1024) == ""
    assert "row 0" in find_misplaced(rows[::-1], shard.bytes - 1024)
    assert "end at byte" in find_misplaced(rows[:-1], shard.bytes - 1024)


def test_a_sample_has_a_limit() -> None:
    assert "row 0" in find_misplaced([Place("k", 0, MOST_BYTES + 512, ())], MOST_BYTES + 512)


def test_places_are_packed_without_loss() -> None:
    digest = "0123456789abcdef" * 4
    places = [
        Place("a", 0, 1536, (Content("face.jpg", 512, 700, digest),)),
        Place("bb", 1536, 2048, (Content("face.jpg", 2048, 0, digest), Content("json", 2560, 1024, digest[::-1]))),
    ]
    assert find_misplaced(places, 3584) == ""
    packed = Places.of(places)
    assert list(packed) == places == packed[:] and len(packed) == 2 and list(Places.of([])) == []
    with pytest.raises(IndexError):
        packed[2]


def test_contents_are_cut_out_of_any_piece() -> None:
    place = Place("a", 100, 20, (Content("json", 105, 3, ""), Content("b.png", 110, 2, "")))
    assert contents(place, bytes(range(100, 200)), 100) == {"json": b"ijk", "b.png": b"no"}
