"""Files that must be new: they replace none, and of two writers one succeeds."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import StorageError
from tests.pipelines.store.test_storage import everything, fails_with, put


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage(str(tmp_path / "out"))


@pytest.mark.parametrize("links", [True, False])
def test_a_new_file_replaces_none(links: bool, storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    if not links:
        monkeypatch.setattr(os, "link", fails_with(errno.EPERM))
    with storage.write("release.json", new=True) as stream:
        stream.write(b"first")
    with pytest.raises(StorageError, match="exists already"), storage.write("release.json", new=True) as stream:
        stream.write(b"second")
    assert everything(storage) == ["release.json"] and storage.read_bytes("release.json") == b"first"


def test_of_two_writers_of_a_new_file_one_succeeds(storage: Storage) -> None:
    def write_slowly() -> None:
        with storage.write("release.json", new=True) as stream:
            stream.write(b"slow")
            with storage.write("quick", new=True) as other:
                other.write(b"quick")
            storage.local("quick").rename(storage.local("release.json"))

    with pytest.raises(StorageError, match="exists already"):
        write_slowly()
    assert everything(storage) == ["release.json"] and storage.read_bytes("release.json") == b"quick"


def test_partial_files_are_swept_from_the_named_folders(storage: Storage) -> None:
    for folder in ("releases", "shards"):
        put(storage, f"{folder}/a")
        storage.local(f"{folder}/b.partial-1-2").write_bytes(b"half")
    assert storage.sweep_partials(("releases",)) == ["releases/b.partial-1-2"]
    assert storage.partials() == ["shards/b.partial-1-2"]
