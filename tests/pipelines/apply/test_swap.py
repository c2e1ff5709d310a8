"""A face goes on every photo of a folder; photos without a face are listed."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from faceloom.pipelines.apply import swap
from faceloom.pipelines.apply.swap import find_face, swap_folder
from faceloom.pipelines.run.watcher import Watcher
from faceloom.schemas.errors import FaceloomError, PhotoError, StorageError
from faceloom.transforms.decode import decode_rgb

PICTURE = np.full((8, 8, 3), 90, np.uint8)


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three files; only in the first a face is found."""
    folder = tmp_path / "photos"
    (folder / "deep").mkdir(parents=True)
    for name in ("a.jpg", "deep/b.jpg", "note.txt"):
        (folder / name).write_bytes(b"x")

    def found(path: Path) -> tuple[Any, Any]:
        if path.name == "b.jpg":
            raise PhotoError("no_face", "no face was found")
        return PICTURE, np.zeros((68, 2), np.float32)

    monkeypatch.setattr(swap, "find_face", found)
    monkeypatch.setattr(swap, "swap_face", lambda photo, *rest: photo + 1)
    return folder


def test_results_keep_their_names_and_the_rest_is_listed(photos: Path, tmp_path: Path) -> None:
    done = swap_folder(tmp_path / "mine.jpg", photos, str(tmp_path / "out"), Watcher())
    assert done.written == ("a.jpg.png",) and done.left_out == {"deep/b.jpg": "no face was found"}
    assert np.array_equal(decode_rgb((tmp_path / "out" / "a.jpg.png").read_bytes()), PICTURE + 1)
    one = swap_folder(tmp_path / "mine.jpg", photos / "a.jpg", str(tmp_path / "one"), Watcher())
    assert one.written == ("a.jpg.png",)


def test_a_second_run_leaves_no_picture_of_a_photo_without_a_face(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "out" / "deep").mkdir(parents=True)
    for name in ("a.jpg.png", "deep/b.jpg.png"):
        (tmp_path / "out" / name).write_bytes(b"of an earlier run")
    done = swap_folder(tmp_path / "mine.jpg", photos, str(tmp_path / "out"), Watcher())
    assert done.removed == ("deep/b.jpg.png",) and not (tmp_path / "out" / "deep" / "b.jpg.png").exists()
    assert np.array_equal(decode_rgb((tmp_path / "out" / "a.jpg.png").read_bytes()), PICTURE + 1)


@pytest.mark.parametrize("code", [errno.EMFILE, errno.EIO])
def test_a_fault_of_the_machine_ends_the_run_and_deletes_nothing(
    code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("photos/a.jpg", "photos/b.jpg", "out/a.jpg.png", "out/b.jpg.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"of an earlier run")

    def fail(*given: Any) -> bytes:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(swap, "find_own_face", lambda face: (PICTURE, np.zeros((68, 2), np.float32)))
    monkeypatch.setattr("faceloom.pipelines.apply.photos.read_regular_file", fail)
    with pytest.raises(StorageError, match=r"a\.jpg: the photo cannot be read"):
        swap_folder(tmp_path / "mine.jpg", tmp_path / "photos", str(tmp_path / "out"), Watcher())
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.jpg.png", "b.jpg.png"]


def test_results_among_the_photos_a_face_without_a_face_and_no_photos_are_refused(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(FaceloomError, match="among the photos"):
        swap_folder(tmp_path / "mine.jpg", photos, str(photos / "out"), Watcher())
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "z.jpg.png").write_bytes(b"x")
    with pytest.raises(FaceloomError, match="no results of these photos"):
        swap_folder(tmp_path / "mine.jpg", photos, str(tmp_path / "other"), Watcher())
    with pytest.raises(FaceloomError, match=r"b.jpg: the face cannot be used"):
        swap_folder(tmp_path / "b.jpg", photos, str(tmp_path / "out"), Watcher())
    (tmp_path / "empty").mkdir()
    with pytest.raises(FaceloomError, match="there are no photos"):
        swap_folder(tmp_path / "mine.jpg", tmp_path / "empty", str(tmp_path / "out"), Watcher())


def test_a_file_that_cannot_be_read_is_a_fault_of_the_photo(tmp_path: Path) -> None:
    with pytest.raises(PhotoError) as refused:
        find_face(tmp_path / "missing.jpg")
    assert refused.value.code == "unreadable"


def test_a_face_without_trusted_landmarks_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.jpg").write_bytes(b"x")
    face = SimpleNamespace(landmarks=np.zeros((68, 2), np.float32), unsure=True)
    monkeypatch.setattr(swap, "face_finder", lambda faces: lambda data: SimpleNamespace(faces=[face]))
    monkeypatch.setattr(swap, "decode_rgb", lambda data: PICTURE)
    with pytest.raises(PhotoError, match="probably wrong") as refused:
        find_face(tmp_path / "a.jpg")
    assert refused.value.code == "landmarks_unsure"
