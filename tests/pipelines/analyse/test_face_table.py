"""Rows are found by photo while it is as it was, by content whatever it is called, and the best of several is taken."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from faceloom.pipelines.analyse import face_table
from faceloom.pipelines.analyse.analysis import TOO_LARGE
from faceloom.pipelines.analyse.face_table import (
    applies_to_identical_bytes,
    face_files,
    load_analysed,
    merge_files,
    row_of_content,
)
from faceloom.pipelines.analyse.photo_table import stamp_of
from faceloom.pipelines.store.parquet_tables import read_face_columns, read_faces, write_faces
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import StorageError
from faceloom.schemas.faces import AnalysedPhoto, FaceRow
from faceloom.schemas.photos import Photo

GIVEN = bytes(range(136)) * 4
FACE = FaceRow((0.0, 0.0, 50.0, 50.0), bytes(544), 1.0, (2.0, -3.0, 50.0, 128.0, 40.0))


def photo(uri: str = "a.jpg", size: int = 10, stamp: str = "1", landmarks: bytes | None = None) -> Photo:
    return Photo("s", uri, None, None, None, None, (), landmarks, size, stamp)


def row(one: Photo, **changes: Any) -> AnalysedPhoto:
    sha = hashlib.sha256(one.uri.encode()).hexdigest()
    given = one.landmarks is not None
    made = AnalysedPhoto(one.photo_id, one.size, stamp_of(one), sha, 9, 9, 1, (FACE,), given=given)
    return replace(made, **changes)


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage(str(tmp_path / "out"))


def lay(storage: Storage, *pieces: Sequence[AnalysedPhoto], analyser: str = "id") -> list[str]:
    for number, rows in enumerate(pieces):
        write_faces(storage, f"faces/{analyser}/{number}.parquet", rows)
    return face_files(storage, analyser)


def test_given_landmarks_are_part_of_the_stamp() -> None:
    one, other = photo(landmarks=GIVEN), photo(landmarks=GIVEN[::-1])
    assert len({stamp_of(photo()), stamp_of(one), stamp_of(other)}) == 3
    assert stamp_of(one) == stamp_of(photo(landmarks=bytes(bytearray(GIVEN))))


def test_rows_of_listed_photos_are_loaded_by_their_id_and_without_quality(storage: Storage) -> None:
    photos = [photo(f"{n}.jpg") for n in range(4)]
    files = lay(storage, [row(photos[0]), row(photos[1])], [row(photos[2]), row(photo("stranger.jpg"))])
    found = load_analysed(storage, files, photos)
    assert found == {one.photo_id: row(one) for one in photos[:3]}
    assert load_analysed(storage, files[:1], photos).keys() == {"s/0.jpg", "s/1.jpg"}
    assert load_analysed(storage, [], photos) == {}


@pytest.mark.parametrize(
    "changes", [{"size": 11}, {"stamp": "2"}, {"uri": "b.jpg"}, {"source": "t"}, {"landmarks": GIVEN}]
)
def test_a_photo_that_may_have_changed_is_not_known(storage: Storage, changes: dict[str, Any]) -> None:
    files = lay(storage, [row(photo())])
    assert load_analysed(storage, files, [replace(photo(), **changes)]) == {}


@pytest.mark.parametrize(
    "changes", [{"identity": "Ada"}, {"split": "train"}, {"licence": "CC0"}, {"attributes": (("a", 1),)}]
)
def test_what_is_said_about_a_photo_is_no_change(storage: Storage, changes: dict[str, Any]) -> None:
    files = lay(storage, [row(photo())])
    assert load_analysed(storage, files, [replace(photo(), **changes)]).keys() == {"s/a.jpg"}


def test_of_several_rows_the_best_is_taken_whatever_the_order(storage: Storage) -> None:
    good = row(photo())
    passing = row(photo(), stamp="", faces=(), code="vanished", message="m")
    large = row(photo(), faces=(), code=TOO_LARGE, message="m")
    for some in permutations([good, passing, large]):
        assert load_analysed(storage, lay(storage, *([one] for one in some)), [photo()]) == {"s/a.jpg": good}
    for some in permutations([passing, large]):
        files = lay(storage, *([one] for one in some), analyser="two")
        assert load_analysed(storage, files, [photo()]) == {"s/a.jpg": large}


def test_an_analyser_has_files_of_its_own(storage: Storage) -> None:
    assert face_files(storage, "id") == []
    assert lay(storage, [row(photo())], analyser="id") == ["faces/id/0.parquet"]
    assert face_files(storage, "other") == []


def test_content_is_found_in_whichever_file_it_is_with_quality(storage: Storage) -> None:
    rows = [row(photo(f"{n}.jpg")) for n in range(6)]
    lay(storage, rows[:2], rows[2:4], rows[4:])
    for one in rows:
        assert row_of_content(storage.root, "faces/id", "content", one.sha256) == one
    assert row_of_content(storage.root, "faces/id", "content", "00" * 32) is None
    assert row_of_content(storage.root, "faces/none", "content", rows[0].sha256) is None


@pytest.mark.parametrize(
    "changes", [{"stamp": ""}, {"code": TOO_LARGE, "faces": ()}, {"given": True}, {"sha256": "", "code": "vanished"}]
)
def test_some_rows_say_nothing_of_copies(storage: Storage, changes: dict[str, Any]) -> None:
    one = row(photo(), **changes)
    assert not applies_to_identical_bytes(one.sha256, one.stamp, one.code, one.given)
    lay(storage, [one])
    assert row_of_content(storage.root, "faces/id", str(changes), row(photo()).sha256) is None


def test_a_reject_for_good_holds_for_copies(storage: Storage) -> None:
    one = row(photo(), code="no_face", message="m", faces=())
    lay(storage, [one])
    assert row_of_content(storage.root, "faces/id", "reject", one.sha256) == one


def test_the_table_is_read_once_for_each_state(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [row(photo(f"{n}.jpg")) for n in range(4)]
    lay(storage, rows[:2], rows[2:])
    read: list[str] = []

    def noted(storage: Storage, path: str, *rest: Any) -> Any:
        read.append(path)
        return read_face_columns(storage, path, *rest)

    monkeypatch.setattr(face_table, "read_face_columns", noted)
    for one in rows * 3:
        assert row_of_content(storage.root, "faces/id", "first", one.sha256)
    assert len(read) == 2
    new = row(photo("new.jpg"))
    lay(storage, rows[:2], rows[2:], [new])
    assert row_of_content(storage.root, "faces/id", "first", new.sha256) is None
    assert row_of_content(storage.root, "faces/id", "second", new.sha256) == new


def test_a_damaged_file_is_an_error(storage: Storage) -> None:
    files = lay(storage, [row(photo())])
    with storage.write(files[0]) as stream:
        stream.write(b"no table")
    with pytest.raises(StorageError):
        load_analysed(storage, files, [photo()])
    with pytest.raises(StorageError):
        row_of_content(storage.root, "faces/id", "damaged", "00" * 32)


def small_files(storage: Storage, monkeypatch: pytest.MonkeyPatch, at_once: int = 10**9) -> list[Photo]:
    """Thirty photos in a file each."""
    monkeypatch.setattr(face_table, "MERGED_BYTES", at_once)
    photos = [photo(f"{n}.jpg") for n in range(30)]
    lay(storage, *([row(one)] for one in photos))
    return photos


@pytest.mark.parametrize("files", [1, 4])
def test_many_small_files_are_merged_and_no_row_is_lost(
    storage: Storage, monkeypatch: pytest.MonkeyPatch, files: int
) -> None:
    photos = small_files(storage, monkeypatch)
    size = storage.size("faces/id/0.parquet")
    monkeypatch.setattr(face_table, "MERGED_BYTES", 10**9 if files == 1 else 9 * size)
    before = dict(load_analysed(storage, face_files(storage, "id"), photos))
    merge_files(storage, "id")
    assert len(face_files(storage, "id")) == files
    assert load_analysed(storage, face_files(storage, "id"), photos) == before
    assert row_of_content(storage.root, "faces/id", f"merged {files}", row(photos[7]).sha256) == row(photos[7])
    after = face_files(storage, "id")
    merge_files(storage, "id")
    assert face_files(storage, "id") == after


def test_few_files_stay_as_they_are(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    files = lay(storage, *([row(photo(f"{n}.jpg"))] for n in range(face_table.FEWEST_MERGED - 1)))
    merge_files(storage, "id")
    assert face_files(storage, "id") == files


@pytest.mark.parametrize("removed", [0, 1, 12])
def test_a_kill_between_writing_and_removing_loses_and_doubles_nothing(
    storage: Storage, monkeypatch: pytest.MonkeyPatch, removed: int
) -> None:
    photos, left = small_files(storage, monkeypatch), iter(range(removed))
    before = dict(load_analysed(storage, face_files(storage, "id"), photos))
    remove = Storage.remove

    def kill(storage: Storage, path: str) -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt
        remove(storage, path)

    monkeypatch.setattr(Storage, "remove", kill)
    with pytest.raises(KeyboardInterrupt):
        merge_files(storage, "id")
    monkeypatch.setattr(Storage, "remove", remove)
    assert len(face_files(storage, "id")) == 31 - removed
    assert load_analysed(storage, face_files(storage, "id"), photos) == before
    monkeypatch.setattr(face_table, "FEWEST_MERGED", 2)
    merge_files(storage, "id")
    [path] = face_files(storage, "id")
    assert sorted(row.photo_id for row in read_faces(storage, path)) == sorted(one.photo_id for one in photos)
    assert load_analysed(storage, [path], photos) == before


def test_a_damaged_file_is_left_out_where_the_caller_allows_it(storage: Storage) -> None:
    files, damaged = lay(storage, [row(photo())], [row(photo("b.jpg"))]), []
    with storage.write(files[0]) as stream:
        stream.write(b"no table")
    found = load_analysed(storage, files, [photo(), photo("b.jpg")], lambda path, _: damaged.append(path))
    assert list(found) == ["s/b.jpg"] and damaged == files[:1]
