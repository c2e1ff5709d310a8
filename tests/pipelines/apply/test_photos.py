"""The photos below a folder, and the faces in their bytes."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from faceloom.pipelines.apply import photos as module
from faceloom.pipelines.apply.photos import (
    face_finder,
    photos_below,
    read_photo,
    refuse_other_results,
    remove_older_results,
)
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import FaceloomError, PhotoError, StorageError
from faceloom.schemas.face_options import Faces


def test_photos_have_their_path_below_the_folder_as_a_name(tmp_path: Path) -> None:
    (tmp_path / "photos" / "deep").mkdir(parents=True)
    for name in ("a.jpg", "deep/b.png", "note.txt"):
        (tmp_path / "photos" / name).write_bytes(b"x")
    found = photos_below(tmp_path / "photos", str(tmp_path / "out"))
    assert [name for name, _ in found] == ["a.jpg", "deep/b.png"] and read_photo(found[1][1]) == b"x"
    assert photos_below(tmp_path / "photos" / "a.jpg", str(tmp_path / "out"))[0][0] == "a.jpg"
    with pytest.raises(FaceloomError, match="among the photos"):
        photos_below(tmp_path / "photos", str(tmp_path / "photos" / "out"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(FaceloomError, match="there are no photos"):
        photos_below(tmp_path / "empty", str(tmp_path / "out"))


def test_results_of_other_photos_are_refused(tmp_path: Path) -> None:
    target = Storage(str(tmp_path / "out"))
    refuse_other_results(target, ["a.jpg"])
    for name in ("a.jpg.png", "deep/b.png.png", "faces.jsonl"):
        with target.write(name) as stream:
            stream.write(b"x")
    refuse_other_results(target, ["a.jpg", "deep/b.png", "new.jpg"], ["faces.jsonl"])
    for photos, other in ((["a.jpg", "deep/b.png"], "faces.jsonl"), (["a.jpg", "deep/c.png"], "deep/b.png.png")):
        with pytest.raises(FaceloomError, match=f"no results of these photos.*{other}"):
            refuse_other_results(target, photos, ["faces.jsonl"] if "deep/c.png" in photos else [])


def test_older_results_of_photos_without_one_are_deleted_and_nothing_else(tmp_path: Path) -> None:
    target = Storage(str(tmp_path / "out"))
    assert remove_older_results(target, ["a.jpg"]) == () and not (tmp_path / "out").exists()
    for name in ("a.jpg.png", "deep/b.png.png", "c.jpg.png", "a.jpg"):
        with target.write(name) as stream:
            stream.write(b"x")
    assert remove_older_results(target, ["a.jpg", "deep/b.png", "new.jpg"]) == ("a.jpg.png", "deep/b.png.png")
    assert target.list() == ["a.jpg", "c.jpg.png"]


def test_a_link_in_the_place_of_an_older_result_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a.jpg.png").write_bytes(b"x")
    (tmp_path / "out" / "deep").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StorageError, match="link"):
        remove_older_results(Storage(str(tmp_path / "out")), ["deep/a.jpg"])
    assert (tmp_path / "elsewhere" / "a.jpg.png").exists()


def test_what_is_no_photo_is_a_fault_of_the_photo(tmp_path: Path) -> None:
    with pytest.raises(PhotoError) as refused:
        read_photo(tmp_path / "missing.jpg")
    assert refused.value.code == "unreadable"
    for path in (tmp_path, tmp_path / "missing.jpg" / "a.jpg"):
        with pytest.raises(PhotoError):
            read_photo(path)
    with pytest.raises(PhotoError):
        face_finder(Faces())(b"x")


@pytest.mark.parametrize("code", ["ENOENT", "EACCES", "ELOOP", "ENAMETOOLONG", "EMFILE", "EIO", "ESTALE", "ENOMEM"])
def test_a_fault_of_the_machine_is_none_of_the_photo(
    code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault = OSError(getattr(errno, code), os.strerror(getattr(errno, code)))

    def fail(*given: Any) -> bytes:
        raise fault

    monkeypatch.setattr(module, "read_regular_file", fail)
    with pytest.raises(FaceloomError) as raised:
        read_photo(tmp_path / "a.jpg")
    of_photo = code in ("ENOENT", "EACCES", "ELOOP", "ENAMETOOLONG")
    assert type(raised.value) is (PhotoError if of_photo else StorageError)
    if not of_photo:
        assert raised.value.__cause__ is fault and str(tmp_path / "a.jpg") in str(raised.value)
