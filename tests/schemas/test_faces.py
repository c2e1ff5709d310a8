"""Rows of the face table."""

from __future__ import annotations

import dataclasses
import pickle

import numpy as np
import pytest

from faceloom.schemas.faces import UNREADABLE, AnalysedPhoto, FaceRow

POINTS = np.arange(136, dtype=np.float32).reshape(68, 2) / 3


def face(**changes: object) -> FaceRow:
    fields = {
        "box": (10.0, 20.0, 110.5, 140.0),
        "landmarks": POINTS.tobytes(),
        "score": 1.5,
        "quality": (2.0, -3.0, 50.0, 128.0, 40.0),
    }
    return FaceRow(**{**fields, **changes})  # type: ignore[arg-type]


def test_width_is_that_of_the_box() -> None:
    assert face().width == 100.5
    assert face(box=(-5.0, 0.0, 5.0, 3.0)).width == 10.0


def test_landmarks_are_exact_float32_bytes() -> None:
    assert len(face().landmarks) == 544
    back = np.frombuffer(face().landmarks, np.float32).reshape(68, 2)
    assert np.array_equal(back, POINTS)


def test_rows_compare_by_content_and_are_frozen() -> None:
    assert face() == face()
    assert hash(face()) == hash(face())
    assert face() != face(score=1.4)
    with pytest.raises(dataclasses.FrozenInstanceError):
        face().score = 0  # type: ignore[misc]


def test_rows_travel_between_processes() -> None:
    row = AnalysedPhoto("s/a.jpg", 12, "9", "ab" * 32, 640, 480, 6, (face(), face(score=0.0)))
    assert pickle.loads(pickle.dumps(row)) == row


def test_label_files_that_cannot_be_read_say_why() -> None:
    row = AnalysedPhoto("s/a.jpg", 12, "", "", 640, 480, 1, (face(),), labels=f"{UNREADABLE}Permission denied")
    assert row.labels_fault == "Permission denied"
    assert dataclasses.replace(row, labels="ab" * 32).labels_fault == dataclasses.replace(row, labels="").labels_fault
    assert not dataclasses.replace(row, labels="").labels_fault
    assert set(UNREADABLE) - set("0123456789abcdef"), "no digest begins so"


def test_a_photo_is_well_unless_it_has_a_code() -> None:
    row = AnalysedPhoto("s/a.jpg", 12, "9", "", 0, 0, 1, (), "no_face", "no face was found")
    assert AnalysedPhoto("s/a.jpg", 12, "9", "", 640, 480, 1, (face(),)).code == ""
    assert (row.faces, row.code) == ((), "no_face")
