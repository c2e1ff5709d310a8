"""Rows survive Parquet unchanged, the same rows are the same bytes, and a damaged file is called damaged."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faceloom.pipelines.store import parquet_tables as tables
from faceloom.pipelines.store.planned_rows import read_planned, write_planned
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import StorageError
from faceloom.schemas.faces import AnalysedPhoto, FaceRow
from faceloom.schemas.index import IndexRow, Member, Parent
from faceloom.schemas.keys import POSITION_BITS
from faceloom.schemas.photos import Reject
from faceloom.schemas.plan import PlannedFace, PlannedMorph
from faceloom.schemas.reject_codes import REJECT_CODES

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
maybe = st.none() | text
whole = st.integers(0, 2**40)
small = st.integers(0, 2**31 - 1)
real = st.floats(-1e6, 1e6)
box = st.tuples(real, real, real, real)
landmarks = st.binary(min_size=544, max_size=544)
scalars = text | st.booleans() | st.integers(-(2**63), 2**63) | real
attributes = st.dictionaries(text, scalars, max_size=3).map(lambda d: tuple(sorted(d.items())))
figure = st.floats(-1e6, 1e6, width=32)
quality = st.just(()) | st.tuples(figure, figure, figure, figure, figure)

key = st.from_regex("[a-z0-9_-]{1,20}", fullmatch=True)
digest = st.binary(max_size=32).map(bytes.hex)
members = st.builds(Member, key, st.just(0), st.just(0), text)
parents = st.builds(Parent, text, text, text, text, text)
index_rows = st.builds(
    IndexRow, key, text, key, text, digest, st.just(0), whole, st.lists(members, max_size=3).map(tuple),
    text, text, text, text, st.integers(0, 99), st.lists(text, max_size=2).map(tuple),
    st.lists(parents, max_size=2).map(tuple), text, text, maybe, maybe,
)  # fmt: skip
unmixed = st.builds(
    PlannedFace, text, text, text, st.integers(0, 99), text, text, maybe, maybe, attributes, small, small, landmarks,
    box, st.lists(st.integers(0, 9), max_size=3).map(tuple), st.integers(0, 2**POSITION_BITS - 1), text,
)  # fmt: skip
morphs = st.builds(PlannedMorph, unmixed, st.integers(0, 99), real, real, real, real, real)
planned = st.builds(replace, unmixed, morph=st.none() | morphs)
codes = st.sampled_from(sorted(REJECT_CODES))
rejects = st.builds(Reject, st.sampled_from(["scan", "analyse", "plan", "render"]), text, text, codes, text, text)
faces = st.builds(FaceRow, box, landmarks, real, quality)
well = st.builds(
    AnalysedPhoto, text, whole, text, digest, st.integers(0, 9), st.integers(0, 9), st.integers(1, 8),
    st.lists(faces, min_size=1, max_size=3).map(tuple),
)  # fmt: skip
bad = st.builds(
    AnalysedPhoto,
    text,
    whole,
    text,
    digest,
    st.integers(0, 9),
    st.integers(0, 9),
    st.integers(1, 8),
    st.just(()),
    st.just("no_face"),
    text,
)
photos = st.lists(well | bad, max_size=4, unique_by=lambda photo: photo.photo_id)


def write_index(storage: Storage, path: str, rows: list[IndexRow]) -> None:
    tables.write_index(storage, path, rows, {})


KINDS: dict[str, tuple[Any, Callable[..., None], Callable[..., Any]]] = {
    "index": (st.lists(index_rows, max_size=4), write_index, tables.read_index),
    "planned": (st.lists(planned, max_size=4), write_planned, read_planned),
    "rejects": (st.lists(rejects, max_size=4), tables.write_rejects, tables.read_rejects),
    "faces": (photos, tables.write_faces, tables.read_faces),
}


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage(str(tmp_path))


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=30)  # each writes two files to the disk
@given(data=st.data())
def test_rows_come_back_as_they_were_and_are_the_same_bytes_twice(kind: str, data: st.DataObject) -> None:
    rows, write, read = KINDS[kind]
    drawn = data.draw(rows)
    with tempfile.TemporaryDirectory() as folder:
        storage = Storage(folder)
        write(storage, "a/one.parquet", drawn)
        write(storage, "b/two.parquet", drawn)
        assert read(storage, "a/one.parquet") == drawn
        assert storage.read_bytes("a/one.parquet") == storage.read_bytes("b/two.parquet")


@pytest.mark.parametrize("kind", KINDS)
def test_no_rows_are_a_table_too(kind: str, storage: Storage) -> None:
    _, write, read = KINDS[kind]
    write(storage, "t.parquet", [])
    assert read(storage, "t.parquet") == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_table_has_the_same_columns_whatever_is_in_it(kind: str, storage: Storage) -> None:
    """Readers elsewhere may rely on types: an empty column is not of type null."""
    _, write, _ = KINDS[kind]
    write(storage, "none.parquet", [])
    write(storage, "some.parquet", EXAMPLES[kind])
    empty, full = (pq.read_schema(storage.local(name)) for name in ("none.parquet", "some.parquet"))
    assert empty.remove_metadata() == full.remove_metadata()
    assert "null" not in {str(field.type) for field in empty}


FACE = FaceRow((1.0, 2.0, 3.0, 4.0), bytes(544), 0.5, (2.0, -3.0, 50.0, 128.0, 40.0))
EXAMPLES: dict[str, list[Any]] = {
    "index": [
        IndexRow("k", "Ada", "train", "p", "", 0, 1024, (Member("json", 512, 3, "s"),), "", "s", "u", "h", 0, ("Ada",),
                 (), "[]", "1", None, "CC0"),
    ],
    "planned": [
        PlannedFace("s", "u", "h", 0, "Ada", "train", None, None, (("age", 3), ("ok", True)), 9, 9, bytes(544),
                    (0, 0, 1, 1), (), 2**POSITION_BITS - 1),
    ],
    "rejects": [Reject("scan", "s", "u", "empty", "nought")],
    "faces": [AnalysedPhoto("s/u", 1, "t", "ab", 9, 9, 1, (FACE, FACE)),
              AnalysedPhoto("s/v", 1, "t", "", 0, 0, 1, (), "c")],
}  # fmt: skip


def test_a_photo_of_two_equal_faces_and_one_of_none(storage: Storage) -> None:
    tables.write_faces(storage, "t.parquet", EXAMPLES["faces"])
    assert tables.read_faces(storage, "t.parquet") == EXAMPLES["faces"]
    assert pq.read_table(storage.local("t.parquet")).num_rows == 3


def test_whether_landmarks_were_given_comes_back(storage: Storage) -> None:
    rows = [replace(EXAMPLES["faces"][0], photo_id=f"s/{given}", given=given) for given in (True, False)]
    tables.write_faces(storage, "t.parquet", rows)
    assert [row.given for row in tables.read_faces(storage, "t.parquet")] == [True, False]


def test_some_columns_of_faces_come_in_the_order_asked_for(storage: Storage) -> None:
    tables.write_faces(storage, "t.parquet", EXAMPLES["faces"])
    rows = tables.read_face_columns(storage, "t.parquet", ("stamp", "photo_id", "given"))
    assert rows == [("t", "s/u", False), ("t", "s/u", False), ("t", "s/v", False)]


def test_what_is_said_of_the_parts_comes_back_and_no_more(storage: Storage) -> None:
    said = {"p1": [], "p2": [asdict(Reject("render", "s", "u", "no_face", "é"))]}
    tables.write_index(storage, "t.parquet", EXAMPLES["index"], said)
    assert tables.read_metadata(storage, "t.parquet") == {
        "format": 1, "parts": said, "bytes": 0, "sha256": "",
    }  # fmt: skip
    again = dict(reversed(said.items()))
    tables.write_index(storage, "u.parquet", EXAMPLES["index"], again)
    assert storage.read_bytes("t.parquet") == storage.read_bytes("u.parquet")


def test_some_columns_alone(storage: Storage) -> None:
    tables.write_index(storage, "t.parquet", EXAMPLES["index"] * 2, {})
    assert tables.read_index_columns(storage, "t.parquet", ["key", "length"]) == {
        "key": ["k"] * 2,
        "length": [1024] * 2,
    }


def test_a_table_is_readable_by_anybody(storage: Storage) -> None:
    tables.write_index(storage, "t.parquet", EXAMPLES["index"], {})
    [row] = pq.read_table(storage.local("t.parquet")).to_pylist()
    assert row["members"] == [{"name": "json", "offset": 512, "size": 3, "sha256": "s"}]
    assert (row["licence"], row["consent"]) == (None, "CC0")


def damaged(good: bytes, rng: random.Random) -> bytes:
    if rng.random() < 0.3:
        return good[: rng.randrange(len(good))]
    bad = bytearray(good)
    for _ in range(rng.choice([1, 3, 20])):
        bad[rng.randrange(len(bad))] ^= rng.randrange(1, 256)
    return bytes(bad)


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_table_is_called_damaged_with_what_to_do(kind: str, storage: Storage) -> None:
    _, write, read = KINDS[kind]
    write(storage, "t.parquet", EXAMPLES[kind])
    good, rng, refused = storage.read_bytes("t.parquet"), random.Random(kind), 0
    for _ in range(150):
        storage.local("t.parquet").write_bytes(damaged(good, rng))
        try:
            read(storage, "t.parquet")
        except StorageError as error:
            refused += 1
            assert error.what.startswith("damaged Parquet file: ") and error.where == "t.parquet"
            assert error.remedy.startswith("Remove it and run the same `faceloom build` again")
            assert "\n" not in str(error)
    assert refused > 100


def test_damaged_values_are_not_taken_for_good(storage: Storage) -> None:
    rows = [Reject("scan", "s", f"{number}.jpg", "empty", "message " * 5) for number in range(2000)]
    tables.write_rejects(storage, "t.parquet", rows)
    good = storage.read_bytes("t.parquet")
    for at in range(200, 3000, 150):
        bad = bytearray(good)
        bad[at] ^= 0x10
        storage.local("t.parquet").write_bytes(bad)
        with pytest.raises(StorageError):
            tables.read_rejects(storage, "t.parquet")


@pytest.mark.parametrize("content", [b"", b"PAR1", b"no table at all", bytes(1000)])
def test_what_is_no_table_has_no_metadata_either(storage: Storage, content: bytes) -> None:
    storage.local("t.parquet").write_bytes(content)
    with pytest.raises(StorageError, match="damaged Parquet file"):
        tables.read_metadata(storage, "t.parquet")
    with pytest.raises(StorageError, match="damaged Parquet file"):
        tables.read_index_columns(storage, "t.parquet", ["key"])


def test_a_table_that_is_not_there(storage: Storage) -> None:
    with pytest.raises(StorageError, match="cannot be read"):
        tables.read_index(storage, "none.parquet")


def test_there_are_no_tables_of_other_things(storage: Storage) -> None:
    with pytest.raises(TypeError, match="no table of int"):
        tables.write_table(storage, "t.parquet", int, {})


def test_a_full_disk_leaves_no_table(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno
    import os

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(StorageError, match="disk full"):
        tables.write_rejects(storage, "t.parquet", EXAMPLES["rejects"])
    assert list(Path(storage.root).iterdir()) == []


def test_columns_of_a_later_version_are_ignored(storage: Storage) -> None:
    for kind, (_, write, read) in KINDS.items():
        write(storage, "t.parquet", EXAMPLES[kind])
        table = pq.read_table(storage.local("t.parquet"))
        more = pa.array([{"deep": ["x"]}] * table.num_rows)
        for name in ("later", "faceloom-error:gASV", "members.evil", "__class__"):
            table = table.append_column(name, more)
        pq.write_table(table.select(table.column_names[::-1]), storage.local("t.parquet"))
        assert read(storage, "t.parquet") == EXAMPLES[kind]


Change = Callable[[pa.Table], pa.Table]


def column(name: str, *values: Any, kind: pa.DataType | None = None) -> Change:
    """Replaces the values of a column, and its type if one is given."""

    def change(table: pa.Table) -> pa.Table:
        at = table.column_names.index(name)
        made = pa.array(values * (table.num_rows // len(values)), kind or table.schema.field(name).type)
        return table.set_column(at, pa.field(name, made.type), made).replace_schema_metadata(table.schema.metadata)

    return change


def member(**changes: Any) -> Change:
    return column("members", [{"name": "json", "offset": 512, "size": 3, "sha256": "s", **changes}])


TAMPERED: dict[str, list[Change]] = {
    "index": [
        column("key", "a\0b"), column("key", "../k"), column("key", ""), column("key", None), column("key", "K"),
        column("split", "a/b"), column("split", "\0"), column("length", 2**62), column("offset", -1),
        column("offset", None), column("face", -1), column("face", 2**40), column("members", None),
        column("members", [None]), column("identity", None), column("operations", None), column("parents", None),
        member(offset=2**62), member(size=-1), member(size=2**60), member(name=None), member(name="../x"),
        member(name="a\0"), member(offset=0, size=1025), member(sha256=None),
        column("key", 1, kind=pa.int64()), column("length", "1024", kind=pa.string()),
        column("length", 1024, kind=pa.int32()), column("key", b"k", kind=pa.binary()),
        column("members", "[]", kind=pa.string()), column("key", "k", kind=pa.large_string()),
        column("key", "k", kind=pa.dictionary(pa.int32(), pa.string())),
        lambda table: table.drop_columns(["mask"]), lambda table: table.append_column("key", table["key"]),
        lambda table: table.drop_columns(table.column_names),
    ],
    "planned": [
        column("landmarks", b"x"), column("landmarks", None), column("box", [1.0]), column("box", None),
        column("box", [1.0, 2.0, 3.0, float("nan")]), column("place", None), column("place", b""),
        column("masks", None), column("masks", [None]), column("width", -1),
        *(column("attributes", text) for text in (None, "", "{", "{}", "[1]", "[[1, 2]]", '[["a", {}]]', "[" * 9999)),
    ],
    "rejects": [column("stage", "somewhere"), column("code", None), column("uri", 3, kind=pa.int64())],
    "faces": [
        column("sha256", "no hex"), column("size", -1), column("width", 2**40), column("given", None),
        column("landmarks", b"x"), column("landmarks", None, bytes(544), bytes(544)), column("box", [1.0]),
        column("score", None, None, None), column("stamp", None),
        *(column("quality", some) for some in (None, [1.0], [1.0] * 6, [None] * 5, [1.0] * 4 + [float("nan")])),
        column("quality", '{"roll": 1.0}', kind=pa.string()),
    ],
}  # fmt: skip


@pytest.mark.parametrize(("kind", "number"), [(kind, n) for kind, some in TAMPERED.items() for n in range(len(some))])
def test_a_tampered_table_is_called_damaged_in_one_line(kind: str, number: int, storage: Storage) -> None:
    _, write, read = KINDS[kind]
    write(storage, "t.parquet", EXAMPLES[kind])
    table = TAMPERED[kind][number](pq.read_table(storage.local("t.parquet")))
    pq.write_table(table, storage.local("t.parquet"))
    with pytest.raises(StorageError, match=r"damaged Parquet file: .*column") as caught:
        read(storage, "t.parquet")
    assert caught.value.where == "t.parquet" and "\n" not in str(caught.value) and len(str(caught.value)) < 600


def test_the_message_names_row_column_and_value(storage: Storage) -> None:
    rows = [replace(EXAMPLES["index"][0], key=f"k{number}") for number in range(3)]
    tables.write_index(storage, "t.parquet", [*rows[:2], replace(rows[2], length=2**62)], {})
    reads: list[Callable[[], object]] = [
        lambda: tables.read_index(storage, "t.parquet"),
        lambda: tables.read_index_columns(storage, "t.parquet", ["key", "length"]),
    ]
    for read in reads:
        with pytest.raises(StorageError, match=r"row 2, column length: .* not 4611686018427387904"):
            read()


@pytest.mark.parametrize(
    ("parts", "size"),
    [("[]", "0"), ('{"p": 1}', "0"), ('{"p": [{"code": 1}]}', "0"), ("[" * 9999, "0"), ("{}", "-1"), ("{}", "[]"),
     ("{}", str(2**62)), ("{}", '"5"x'), ("{}", "1e999"), ("{}", "9" * 400), ('{"p": [], "p": []}', "0"), ("{}", None),
     (None, "0"), ('{"p": [{"stage": "x", "source": "", "uri": "", "code": "", "message": ""}]}', "0")],
)  # fmt: skip
def test_tampered_metadata_is_called_damaged(storage: Storage, parts: str | None, size: str | None) -> None:
    stored = {name: text for name, text in (("parts", parts), ("bytes", size)) if text is not None}
    tables.write_table(storage, "t.parquet", Reject, {f.name: [] for f in fields(Reject)}, stored)
    with pytest.raises(StorageError, match="damaged Parquet file") as caught:
        tables.read_metadata(storage, "t.parquet")
    assert caught.value.where == "t.parquet" and "\n" not in str(caught.value)
