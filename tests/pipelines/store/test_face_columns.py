"""Columns hold what the rows hold; what is not right is named as the rows name it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from faceloom.pipelines.store.face_columns import columns_of, read_columns
from faceloom.pipelines.store.parquet_tables import write_faces
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import StorageError
from faceloom.schemas.faces import DETECTORS, AnalysedPhoto, FaceRow

FACE = FaceRow((0.25, 1.0, 50.0, 60.5), bytes(range(136)) * 4, 1.5, (2.0, -3.0, 50.0, 128.0, 40.0))
FACE = replace(FACE, detector="hog")
BARE = replace(FACE, landmarks=b"", detector="yunet", turn=-30, landmarks_unsure=True, quality=())
ROWS = [
    AnalysedPhoto("s/a.jpg", 10, "1", "ab" * 32, 9, 8, 1, (FACE, BARE, FACE), labels="12"),
    AnalysedPhoto("s/b.jpg", 11, "", "", 0, 0, 1, (), "vanished", "gone"),
    AnalysedPhoto("s/c.jpg", 12, "3", "cd" * 32, 7, 6, 6, (FACE,), given=True),
]


def test_columns_hold_what_the_rows_hold(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    write_faces(storage, "faces/a/1.parquet", ROWS)
    found = read_columns(storage, "faces/a/1.parquet")
    for name in ("photo_id", "stamp", "code", "message", "labels"):
        assert getattr(found, name).to_pylist() == [getattr(row, name) for row in ROWS]
    for name in ("size", "width", "height", "orientation", "given"):
        assert getattr(found, name).tolist() == [getattr(row, name) for row in ROWS]
    assert [sha.tobytes().hex() for sha in found.sha256] == ["ab" * 32, "00" * 32, "cd" * 32]
    assert found.faces.tolist() == [3, 0, 1]
    assert found.bare.tolist() == [False, True, False, False]
    assert [one.tobytes() for one in found.landmarks[~found.bare]] == [FACE.landmarks] * 3
    assert found.box.tolist() == [list(FACE.box)] * 4 and found.score.tolist() == [1.5] * 4
    assert [DETECTORS[number] for number in found.detector] == ["hog", "yunet", "hog", "hog"]
    assert found.turn.tolist() == [0, -30, 0, 0] and found.landmarks_unsure.tolist() == [False, True, False, False]
    assert found.quality.dtype == np.float32 and np.isnan(found.quality[1]).all()
    assert found.quality[[0, 2, 3]].tolist() == [list(FACE.quality)] * 3


def test_a_table_without_rows_has_columns_without_values(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    write_faces(storage, "faces/a/1.parquet", [])
    found = read_columns(storage, "faces/a/1.parquet")
    assert len(found.faces) == len(found.box) == len(found.photo_id) == 0
    assert found.landmarks.shape == (0, 544) and found.quality.shape == (0, 5)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"sha256": "AB" * 32}, "sha256"),
        ({"sha256": "ab"}, "sha256"),
        ({"sha256": ""}, "sha256"),
        ({"size": -1}, "size"),
        ({"width": 2**31}, "width"),
        ({"faces": (replace(FACE, box=(0.0, 1.0, float("nan"), 2.0)),)}, "box"),
        ({"faces": (replace(FACE, box=(0.0, 1.0, 2.0)),)}, "box"),  # type: ignore[arg-type]
        ({"faces": (replace(FACE, landmarks=b"1"),)}, "landmarks"),
        ({"faces": (replace(FACE, detector="eye"),)}, "detector"),  # type: ignore[arg-type]
        ({"faces": (replace(FACE, turn=181),)}, "turn"),
        ({"faces": (replace(FACE, quality=(1.0,)),)}, "quality"),
        ({"faces": (replace(FACE, quality=(1.0, 2.0, 3.0, 4.0, float("nan"))),)}, "quality"),
    ],
)
def test_a_value_that_cannot_be_is_an_error(tmp_path: Path, changes: dict[str, Any], what: str) -> None:
    storage = Storage(str(tmp_path))
    write_faces(storage, "faces/a/1.parquet", [ROWS[2], replace(ROWS[0], **changes)])
    with pytest.raises(StorageError, match=f"column {what}"):
        read_columns(storage, "faces/a/1.parquet")


def test_columns_of_rows_in_memory_are_those_of_a_file(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    write_faces(storage, "faces/a/1.parquet", ROWS)
    one, other = columns_of(ROWS), read_columns(storage, "faces/a/1.parquet")
    assert one is not None
    assert np.array_equal(one.landmarks, other.landmarks) and one.photo_id.equals(other.photo_id)
