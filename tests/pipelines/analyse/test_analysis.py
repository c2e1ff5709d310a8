"""The analysis of listed photos comes back as the rows that were stored, whatever their order."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from faceloom.pipelines.analyse import analysis
from faceloom.pipelines.analyse.analysis import TOO_LARGE, Analysis
from faceloom.pipelines.analyse.photo_table import PhotoTable, stamp_of
from faceloom.pipelines.store.face_columns import FaceColumns, columns_of
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.faces import AnalysedPhoto, FaceRow
from faceloom.schemas.photos import Photo

PHOTOS = [Photo("s", f"{n}.jpg", None, None, None, None, (), None, 10, str(n)) for n in range(30)]

FIGURES = (2.5, -3.0, 50.0, 128.0, 40.0)


def face(mark: int) -> FaceRow:
    return FaceRow(
        (0.5, 1.0, 50.0 + mark, 60.0), np.full(136, mark, np.float32).tobytes(), 1.0, FIGURES if mark % 3 else ()
    )


def row(photo: Photo, faces: int = 1) -> AnalysedPhoto:
    number = int(photo.stamp)
    found = tuple(face(100 * number + one) for one in range(faces))
    sha256 = f"{number + 1:064x}"
    return AnalysedPhoto(photo.photo_id, photo.size, stamp_of(photo), sha256, 90, 80, 6, found)


def piece(*rows: AnalysedPhoto) -> FaceColumns:
    found = columns_of(rows)
    assert found is not None
    return found


@pytest.fixture
def known(tmp_path: Path) -> Analysis:
    return Analysis(Storage(str(tmp_path)), PhotoTable.of(PHOTOS))


def test_rows_come_back_from_several_pieces(known: Analysis) -> None:
    rows = [row(photo, number % 3 + 1) for number, photo in enumerate(PHOTOS)]
    rows[4] = replace(rows[4], faces=(), code="no_face", message="none", labels="12ab")
    known.add([piece(*rows[20:], rows[4]), piece(*rows[:20])])
    assert known == {one.photo_id: one for one in rows}
    assert len(known) == 30 and known.unfinished(10**9).tolist() == []


def test_of_several_rows_in_one_piece_the_last_of_the_best_is_taken(known: Analysis) -> None:
    good, other = row(PHOTOS[0]), row(PHOTOS[0], 2)
    passing = replace(good, stamp="", faces=(), code="vanished", message="m")
    large = replace(good, faces=(), code=TOO_LARGE, message="m")
    known.add([piece(passing, good, large)])
    assert known["s/0.jpg"] == good
    known.add([piece(other, passing)])
    assert known["s/0.jpg"] == other
    known.add([piece(passing)])
    assert known["s/0.jpg"] == other


def test_photos_without_a_final_row_are_unfinished(known: Analysis) -> None:
    large = replace(row(PHOTOS[1]), faces=(), code=TOO_LARGE, message="m")
    passing = replace(row(PHOTOS[2]), stamp="", faces=(), code="vanished", message="m")
    known.add([piece(row(PHOTOS[0]), large, passing)])
    assert known.unfinished(90 * 80 - 1).tolist() == list(range(2, 30))
    assert known.unfinished(90 * 80).tolist() == list(range(1, 30))
    with pytest.raises(KeyError):
        known["s/3.jpg"]


def test_equal_hashes_of_different_photos_mix_nothing_up(known: Analysis, monkeypatch: pytest.MonkeyPatch) -> None:
    def few(value: object) -> int:
        return len(str(value)) % 3 if isinstance(value, str) else hash(value)

    monkeypatch.setattr(analysis, "hash", few, raising=False)
    rows = [row(photo) for photo in PHOTOS]
    known.add([piece(*rows)])
    assert known == {one.photo_id: one for one in rows}


def test_rows_of_unlisted_photos_are_left_out(known: Analysis) -> None:
    stranger = replace(PHOTOS[0], uri="x.jpg")
    known.add([piece(row(stranger)), piece()])
    assert len(known) == 0 == len(known.landmarks)
