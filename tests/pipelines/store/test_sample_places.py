"""Places of samples: packed without loss, and no byte outside them. Forged rows are in `test_checked_shards.py`."""

from __future__ import annotations

import pyarrow as pa
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
    quick_places,
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


PLACE = [("name", pa.string()), ("offset", pa.int64()), ("size", pa.int64()), ("sha256", pa.string())]
SCHEMA = pa.schema(
    [("key", pa.string()), ("offset", pa.int64()), ("length", pa.int64()), ("members", pa.list_(pa.struct(PLACE)))]
)
WHOLE = [
    {"key": "a-f00", "offset": 0, "length": 1536, "members": [("face.jpg", 512, 700, "0f" * 32)]},
    {
        "key": "b-f00", "offset": 1536, "length": 2048,
        "members": [("face.jpg", 2048, 0, "1e" * 32), ("json", 2560, 1024, "2d" * 32)],
    },
    {"key": "c-f00", "offset": 3584, "length": 1536, "members": [("face.jpg", 4096, 1024, "3c" * 32)]},
]  # fmt: skip
NUMBERS = [-512, -1, 0, 1, 511, 512, 1024, 1536, 2048, 3584, MOST_BYTES, 2**62, -(2**62)]
TEXTS = [
    *("", "b-f00", "con", "A", "k" * 99, "k" * 91, "face.jpg", "json", "../x", "face.png"),
    *("0f" * 31, "0F" * 32, " " + "0f" * 31 + "0"),
]


def as_table(rows: list[dict[str, object]]) -> pa.Table:
    names = [name for name, _ in PLACE]
    rows = [
        {**row, "members": [dict(zip(names, member, strict=True)) for member in row["members"]]}  # type: ignore[attr-defined]
        for row in rows
    ]
    return pa.Table.from_pylist(rows, SCHEMA)


def as_places(rows: list[dict[str, object]]) -> list[Place]:
    return [Place(**{**row, "members": tuple(Content(*one) for one in row["members"])}) for row in rows]  # type: ignore[arg-type, attr-defined]


@given(st.data())
def test_places_that_are_packed_quickly_have_no_fault(data: st.DataObject) -> None:
    rows = [{**row, "members": list(row["members"])} for row in WHOLE]  # type: ignore[call-overload]
    row = rows[data.draw(st.integers(0, 2))]
    field = data.draw(st.sampled_from(["nothing", "key", "offset", "length", "member", "none", "end"]))
    if field == "key":
        row["key"] = data.draw(st.sampled_from(TEXTS))
    elif field in ("offset", "length"):
        row[field] = data.draw(st.sampled_from(NUMBERS))
    elif field == "none":
        row["members"] = []
    elif field == "member":
        at = data.draw(st.integers(0, len(row["members"]) - 1))
        member = list(row["members"][at])
        inner = data.draw(st.integers(0, 3))
        member[inner] = data.draw(st.sampled_from(NUMBERS if inner in (1, 2) else TEXTS))
        row["members"][at] = tuple(member)
    end = 5120 + (512 if field == "end" else 0)
    packed, fault = quick_places(as_table(rows), end), find_misplaced(as_places(rows), end)
    assert (packed is None) == bool(fault)
    if packed is not None:
        assert list(packed) == as_places(rows)


@pytest.mark.parametrize("name", SCHEMA.names)
def test_a_row_that_lacks_a_value_is_not_packed_quickly(name: str) -> None:
    table = as_table(WHOLE)
    assert quick_places(table.slice(1), 5120) is None and quick_places(table.slice(0, 0), 0) is None
    assert quick_places(table.slice(0, 2), 3584) is not None
    holed = table.column(name).to_pylist()
    holed[1] = None
    at = SCHEMA.names.index(name)
    assert quick_places(table.set_column(at, SCHEMA.field(at), pa.array(holed, SCHEMA.field(at).type)), 5120) is None
