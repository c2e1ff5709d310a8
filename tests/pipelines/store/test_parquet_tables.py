"""Rows survive Parquet unchanged, the same rows are the same bytes, and a damaged file is called damaged."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faceloom.pipelines.store import parquet_tables as tables
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import StorageError
from faceloom.schemas.faces import AnalysedPhoto, FaceRow
from faceloom.schemas.index import IndexRow, Member, Parent
from faceloom.schemas.keys import POSITION_BITS
from faceloom.schemas.photos import Reject
from faceloom.schemas.plan import PlannedFace, PlannedMorph

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
maybe = st.none() | text
whole = st.integers(0, 2**40)
real = st.floats(-1e6, 1e6)
box = st.tuples(real, real, real, real)
landmarks = st.binary(min_size=544, max_size=544)
scalars = text | st.booleans() | st.integers(-(2**63), 2**63) | real
attributes = st.dictionaries(text, scalars, max_size=3).map(lambda d: tuple(sorted(d.items())))
quality = st.dictionaries(text, real, max_size=3).map(lambda d: tuple(sorted(d.items())))

members = st.builds(Member, text, whole, whole, text)
parents = st.builds(Parent, text, text, text, text, text)
index_rows = st.builds(
    IndexRow, text, text, text, text, whole, whole, st.lists(members, max_size=3).map(tuple), text, text, text, text,
    st.integers(0, 99), st.lists(parents, max_size=2).map(tuple), text, text, maybe, maybe,
)  # fmt: skip
unmixed = st.builds(
    PlannedFace, text, text, text, st.integers(0, 99), text, text, maybe, maybe, attributes, whole, whole, landmarks,
    box, st.lists(st.integers(0, 9), max_size=3).map(tuple), st.integers(0, 2**POSITION_BITS - 1), text,
)  # fmt: skip
morphs = st.builds(PlannedMorph, unmixed, st.integers(0, 99), real, real, real, real, real)
planned = st.builds(replace, unmixed, morph=st.none() | morphs)
rejects = st.builds(Reject, st.sampled_from(["scan", "analyse", "plan", "render"]), text, text, text, text, text)
faces = st.builds(FaceRow, box, landmarks, real, quality)
well = st.builds(
    AnalysedPhoto, text, whole, text, text, whole, whole, st.integers(1, 8),
    st.lists(faces, min_size=1, max_size=3).map(tuple),
)  # fmt: skip
bad = st.builds(
    AnalysedPhoto, text, whole, text, text, whole, whole, st.integers(1, 8), st.just(()), st.just("no_face"), text
)
photos = st.lists(well | bad, max_size=4, unique_by=lambda photo: photo.photo_id)


def write_index(storage: Storage, path: str, rows: list[IndexRow]) -> None:
    tables.write_index(storage, path, rows, {})


KINDS: dict[str, tuple[Any, Callable[..., None], Callable[..., Any]]] = {
    "index": (st.lists(index_rows, max_size=4), write_index, tables.read_index),
    "planned": (st.lists(planned, max_size=4), tables.write_planned, tables.read_planned),
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


FACE = FaceRow((1.0, 2.0, 3.0, 4.0), bytes(544), 0.5, (("roll", 1.0),))
EXAMPLES: dict[str, list[Any]] = {
    "index": [
        IndexRow("k", "Ada", "train", "p", 0, 1024, (Member("json", 512, 3, "s"),), "", "s", "u", "h", 0, (), "[]", "1",
                 None, "CC0"),
    ],
    "planned": [
        PlannedFace("s", "u", "h", 0, "Ada", "train", None, None, (("age", 3), ("ok", True)), 9, 9, bytes(544),
                    (0, 0, 1, 1), (), 2**POSITION_BITS - 1),
    ],
    "rejects": [Reject("scan", "s", "u", "empty", "nought")],
    "faces": [AnalysedPhoto("s/u", 1, "t", "h", 9, 9, 1, (FACE, FACE)),
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


def test_faces_without_their_quality(storage: Storage) -> None:
    tables.write_faces(storage, "t.parquet", EXAMPLES["faces"])
    bare = replace(FACE, quality=())
    two, none = EXAMPLES["faces"]
    assert tables.read_faces(storage, "t.parquet", quality=False) == [replace(two, faces=(bare, bare)), none]


def test_some_columns_of_faces_come_in_the_order_asked_for(storage: Storage) -> None:
    tables.write_faces(storage, "t.parquet", EXAMPLES["faces"])
    rows = tables.read_face_columns(storage, "t.parquet", ("stamp", "photo_id", "given"))
    assert rows == [("t", "s/u", False), ("t", "s/u", False), ("t", "s/v", False)]


def test_attributes_keep_their_types(storage: Storage) -> None:
    tables.write_planned(storage, "t.parquet", EXAMPLES["planned"])
    [row] = tables.read_planned(storage, "t.parquet")
    assert [type(value) for _, value in row.attributes] == [int, bool]


def test_what_is_said_of_the_parts_comes_back_and_no_more(storage: Storage) -> None:
    said = {"p1": [], "p2": [{"code": "no_face", "message": "é"}]}
    tables.write_index(storage, "t.parquet", EXAMPLES["index"], said)
    assert tables.read_metadata(storage, "t.parquet") == {"parts": said, "bytes": 0}
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
            assert (error.what, error.where) == ("damaged Parquet file", "t.parquet")
            assert error.remedy.startswith("Remove it and run the same command again")
        except (TypeError, KeyError):
            pass  # a column renamed by chance
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
