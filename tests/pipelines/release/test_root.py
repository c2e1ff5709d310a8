"""A folder of releases is marked, locked, and never mistaken for another."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from faceloom.pipelines.release.root import locked_root, open_root
from faceloom.pipelines.store.output_folder import locked_output
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import ReleaseError, StorageError
from tests.object_stores import s3_server


def make(root: Path) -> Storage:
    with locked_root(Storage(str(root)), create=True):
        pass
    return open_root(root)


def test_a_new_or_empty_folder_becomes_one(tmp_path: Path) -> None:
    assert make(tmp_path / "new").exists("faceloom.json")
    (tmp_path / "empty").mkdir()
    make(tmp_path / "empty")
    make(tmp_path / "empty")  # and stays one


def test_what_is_none_is_not_opened(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(ReleaseError, match="no releases in this folder"):
            open_root(folder)
        with pytest.raises(ReleaseError, match="no releases"), locked_root(Storage(str(folder))):
            pass
    assert not [*tmp_path.iterdir()]


def test_a_folder_with_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.doc").write_text("years of work")
    with pytest.raises(ReleaseError, match="not of releases"), locked_root(Storage(str(tmp_path)), create=True):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.doc"]


def test_a_build_is_no_folder_of_releases_and_the_other_way_round(built: Path, tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match="such as a build"), locked_root(Storage(str(built)), create=True):
        pass
    with pytest.raises(ReleaseError, match="such as a build"):
        open_root(built)
    root = make(tmp_path / "root")
    with pytest.raises(StorageError, match="this is a folder of releases, and no build"), locked_output(root):
        pass


@pytest.mark.parametrize("content", ["", "{", "[]", '{"what": 1}', "[" * 3000, "x" * 5000])
def test_a_damaged_marker_is_named(content: str, tmp_path: Path) -> None:
    make(tmp_path)
    (tmp_path / "faceloom.json").write_text(content)
    with pytest.raises((StorageError, ReleaseError)) as caught:
        open_root(tmp_path)
    assert "faceloom.json" in str(caught.value) and caught.value.remedy


def test_the_marker_of_a_later_version_is_refused(tmp_path: Path) -> None:
    root = make(tmp_path)
    mark = json.loads(root.read_bytes("faceloom.json"))
    (tmp_path / "faceloom.json").write_text(json.dumps({**mark, "format": 2}))
    with pytest.raises(ReleaseError, match="format"):
        open_root(tmp_path)


@pytest.mark.parametrize("name", ["faceloom.json", ".lock", "shards", "index", "releases", "channels"])
def test_links_are_not_followed(name: str, tmp_path: Path) -> None:
    root = make(tmp_path / "root")
    place = root.local(name)
    aside = tmp_path / "aside"
    if place.exists():
        place.rename(aside)
    else:
        aside.mkdir()
    place.symlink_to(aside)
    with pytest.raises(StorageError, match="a link"), locked_root(Storage(root.root), create=True):
        pass


def test_one_process_writes_at_a_time(tmp_path: Path) -> None:
    root = make(tmp_path)
    with locked_root(root), pytest.raises(StorageError, match="another process"), locked_root(root):
        pass


def test_unfinished_releases_and_partial_files_are_deleted(tmp_path: Path) -> None:
    root = make(tmp_path)
    whole = ("releases/a/1.0.0/release.json", "releases/a/1.1.0/tombstone.json", "releases/notes.txt")
    lost, torn = "releases/a/3.0.0/README.md", ("releases/a/2.0.0/README.md", "releases/a/2.0.0/unfinished")
    for path in (
        *whole,
        lost,
        *torn,
        "releases/a/1.0.0/unfinished",
        "channels/a.jsonl.partial-1-2",
        "shards/x.tar.partial-3-4",
    ):
        root.local(path).parent.mkdir(parents=True, exist_ok=True)
        root.local(path).write_bytes(b"x")
    with locked_root(root):
        left = {path for path in root.list() if path not in (".lock", "faceloom.json")}
    assert left == {*whole, lost} and not root.local("releases/a/2.0.0").exists()


def test_a_bucket_that_does_not_exist_is_called_so() -> None:
    with s3_server() as url:
        with pytest.raises(ReleaseError, match="no releases in this folder"):
            open_root(f"{url}/releases")
        for create in (False, True):
            with pytest.raises(StorageError, match="no such bucket"), locked_root(Storage("s3://none"), create=create):
                pass
