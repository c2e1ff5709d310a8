from __future__ import annotations

import dataclasses
import pickle

import pytest

from faceloom.schemas.photos import Photo, Reject

PHOTO = Photo(
    source="lfw",
    uri="Ada/Ada_0001.jpg",
    identity="Ada",
    split=None,
    licence="CC0",
    consent=None,
    attributes=(("age", 36), ("smiling", True)),
    landmarks=None,
    size=5,
    stamp="17",
)


def test_the_id_names_source_and_uri() -> None:
    assert PHOTO.photo_id == "lfw/Ada/Ada_0001.jpg"


def test_rows_are_values() -> None:
    assert dataclasses.replace(PHOTO) == PHOTO
    assert len({PHOTO, dataclasses.replace(PHOTO), dataclasses.replace(PHOTO, stamp="18")}) == 2
    assert pickle.loads(pickle.dumps(PHOTO)) == PHOTO


@pytest.mark.parametrize("row", [PHOTO, Reject("scan", "lfw", "a.jpg", "empty", "zero bytes long")])
def test_rows_are_frozen_and_small(row: Photo | Reject) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        row.uri = "b.jpg"  # type: ignore[misc]
    assert not hasattr(row, "__dict__")


def test_a_reject_of_a_photo_has_no_key() -> None:
    assert Reject("analyse", "lfw", "a.jpg", "no_face", "none found").key == ""
