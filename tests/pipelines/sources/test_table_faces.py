"""Rows that name faces in one photo: nothing is lost without a reject, in any order."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from faceloom.pipelines.sources.table_faces import MOST_FACES, RowOfPhoto, join_rows, shown_names
from faceloom.schemas.photos import GivenFace, Photo, Reject


def row(number: int, name: str | None, place: int | None, licence: str | None = None) -> RowOfPhoto:
    """A row whose face is at one of some places, or has none."""
    photo = Photo("s", "a.jpg", name, None, licence, None, (), None, 9, "t")
    if place is not None:
        box = (20.0 * place, 0.0, 20.0 * place + 10 + place % 3, 10.0)
        photo = Photo("s", "a.jpg", name, None, licence, None, (), None, 9, "t", "", (GivenFace(name, (), box, None),))
    return RowOfPhoto(number, photo)


ROWS = st.lists(
    st.tuples(st.none() | st.sampled_from("abc"), st.none() | st.integers(0, 3)), min_size=1, max_size=8
).map(lambda found: [row(number, *one) for number, one in enumerate(found, 1)])


@given(ROWS, st.randoms())
def test_each_row_is_a_face_or_a_reject_in_any_order(rows: list[RowOfPhoto], shuffle: random.Random) -> None:
    found = list(join_rows(rows))
    photos = [one for one in found if isinstance(one, Photo)]
    used = sum(max(1, len(photo.faces)) for photo in photos)
    assert len(photos) <= 1 and used + len(found) - len(photos) == len(rows)
    again = shuffle.sample(rows, len(rows))
    same = [one for one in join_rows(again) if isinstance(one, Photo)]
    assert [(photo.names, photo.faces) for photo in same] == [(photo.names, photo.faces) for photo in photos]


@given(ROWS)
def test_a_face_of_two_people_is_never_used(rows: list[RowOfPhoto]) -> None:
    places: dict[object, set[str]] = {}
    for given_row in rows:
        where = given_row.photo.faces[0].box if given_row.photo.faces else None
        places.setdefault(where, set()).update(given_row.photo.names)
    for one in join_rows(rows):
        if isinstance(one, Photo):
            assert all(len(places[face.box]) < 2 for face in one.faces)
            assert one.faces or len(places[None]) < 2
        elif one.code == "identity_conflict":
            assert any(len(names) > 1 and all(name in one.message for name in names) for names in places.values())


def test_landmarks_place_a_face_too() -> None:
    points = [np.linspace(start, start + 50, 136, dtype=np.float32).tobytes() for start in (0, 100)]
    rows = [
        RowOfPhoto(n, Photo("s", "a.jpg", name, None, None, None, (), one, 9, "t"))
        for n, (name, one) in enumerate(zip("ab", points, strict=True))
    ]
    (photo,) = join_rows(rows)
    assert isinstance(photo, Photo) and photo.landmarks is None
    assert [(face.identity, face.landmarks, face.box) for face in photo.faces] == [
        ("a", points[0], None),
        ("b", points[1], None),
    ]


def test_the_terms_of_all_people_hold() -> None:
    (photo,) = join_rows([row(1, "a", 0, "CC0"), row(2, "b", 1, None), row(3, "c", 2, "CC0")])
    assert isinstance(photo, Photo) and set((photo.licence or "").split(" + ")) == {"CC0", "not stated"}


def test_a_photo_has_a_thousand_faces_at_most() -> None:
    found = list(join_rows([row(n, "a", n) for n in range(MOST_FACES + 2)]))
    assert [one.code for one in found if isinstance(one, Reject)] == ["bad_row"] * 2
    assert sum(len(one.faces) for one in found if isinstance(one, Photo)) == MOST_FACES


def test_names_in_messages_are_short_and_printable() -> None:
    assert shown_names(["a", "b"]) == "a and b"
    assert shown_names([str(n) for n in range(9)]) == "0 and 1 and 2 and 3 and 4 and 4 more"
    assert shown_names(["x\n" * 99]).isprintable()


def test_a_photo_in_two_splits_is_a_conflict_that_names_them() -> None:
    for places in ((0, 1), (None, None), (0, None)):
        rows = [row(number, "a", place) for number, place in enumerate(places, 1)]
        split = [one._replace(photo=replace(one.photo, split=name)) for one, name in zip(rows, ("train", "val"))]
        found = list(join_rows(split))
        assert [one.code for one in found if isinstance(one, Reject)] == ["split_conflict"] * 2
        assert all("train and val" in one.message for one in found if isinstance(one, Reject))
        same, *_ = join_rows([rows[0], rows[1]._replace(photo=replace(rows[1].photo, split="val"))])
        assert isinstance(same, Photo) and same.split == "val"
