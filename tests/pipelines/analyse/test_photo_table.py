"""A table of photos is a list of photos: in the same order, with the same values."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceloom.pipelines.analyse import photo_table
from faceloom.pipelines.analyse.photo_table import PhotoTable, stamp_of
from faceloom.schemas.photos import GivenFace, Photo

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=4)
SCALAR = st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | TEXT
ATTRIBUTES = st.dictionaries(TEXT, SCALAR, max_size=2).map(lambda found: tuple(sorted(found.items())))
BOXES = st.none() | st.tuples(*[st.floats(allow_nan=False, allow_infinity=False)] * 4)
FACES = st.lists(
    st.builds(GivenFace, st.none() | TEXT, ATTRIBUTES, BOXES, st.none() | st.sampled_from([bytes(40), bytes(544)])),
    max_size=3,
).map(tuple)
PHOTOS = st.lists(
    st.builds(
        Photo, TEXT, TEXT, st.none() | TEXT, st.none() | TEXT, st.none() | TEXT, st.none() | TEXT,
        ATTRIBUTES, st.none() | st.just(bytes(544)), st.integers(0, 2**48), TEXT, TEXT, FACES,
    ),
    max_size=6,
)  # fmt: skip


@given(PHOTOS)
def test_photos_come_back_as_they_were(photos: list[Photo]) -> None:
    table = PhotoTable.of(iter(photos))
    found = list(table)
    assert found == photos and len(table) == len(photos)
    types = [[type(value) for _, value in photo.attributes] for photo in photos]
    assert [[type(value) for _, value in photo.attributes] for photo in found] == types
    assert table.ids().to_pylist() == [photo.photo_id for photo in photos]
    assert table.stamps().to_pylist() == [stamp_of(photo) for photo in photos]


def some(count: int) -> list[Photo]:
    return [
        Photo("s", f"{n}.jpg", f"person {n % 7}" if n % 5 else None, None, "CC0", None, (), None, n, str(n))
        for n in range(count)
    ]


def test_many_blocks_share_their_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photo_table, "_BLOCK", 16)
    photos = some(100)
    table = PhotoTable.of(photos)
    assert list(table) == photos
    codes, names = table.codes("identity")
    assert sorted(names) == [f"person {n}" for n in range(7)]
    assert [names[code] if code >= 0 else None for code in codes.tolist()] == [photo.identity for photo in photos]


def test_numbers_of_few_values_take_a_byte_each() -> None:
    """A build of ten million photos holds seven such columns."""
    photos = some(129)
    many = PhotoTable.of([replace(photo, identity=f"person {number}") for number, photo in enumerate(photos)])
    few = PhotoTable.of([replace(photo, identity=f"person {number}") for number, photo in enumerate(photos[:128])])
    assert few.column("identity").indices.nbytes == 128 and many.column("identity").indices.nbytes == 4 * 129
    for table in (few, many):
        assert table.numbers("identity").tolist() == list(range(len(table)))
        assert [photo.identity for photo in table] == [f"person {number}" for number in range(len(table))]


def test_some_photos_are_taken_by_number_and_by_slice() -> None:
    photos = some(20)
    table = PhotoTable.of(photos)
    assert table[3] == photos[3] and table[-1] == photos[-1]
    assert list(table[2:15:3]) == photos[2:15:3]
    assert list(table.take(np.array([5, 1]))) == [photos[5], photos[1]]
    with pytest.raises(IndexError):
        table[20]
    assert PhotoTable.of(table) is table and table == PhotoTable.of(photos) != PhotoTable.of(photos[1:])


def test_a_stamp_knows_the_places_of_faces_and_not_their_names() -> None:
    face = GivenFace("Ann", (), (0, 0, 9, 9), None)
    (photo,) = some(1)

    def stamp(*faces: GivenFace) -> str:
        return stamp_of(replace(photo, faces=faces))

    assert stamp() == photo.stamp
    assert stamp(face) == stamp(replace(face, identity="Bob", attributes=(("age", 3),)))
    others = (replace(face, box=(0, 0, 9, 8)), replace(face, landmarks=bytes(40)), replace(face, box=None))
    assert len({stamp(face), stamp(face, face), stamp(), *map(stamp, others)}) == 6


def test_a_zero_keeps_its_sign_in_a_column_of_zeros() -> None:
    import pyarrow as pa

    from faceloom.pipelines.analyse.photo_table import _array

    values = [[0.0, 1.0], [-0.0, 1.0]]
    stored = _array(values, pa.list_(pa.float64())).to_pylist()
    assert [str(one) for one in stored] == [str(one) for one in values]
    assert _array([None, None], pa.list_(pa.float64())).to_pylist() == [None, None]
    assert _array(["a", "a"], pa.string()).to_pylist() == ["a", "a"]
