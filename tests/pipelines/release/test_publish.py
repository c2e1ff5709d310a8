"""A release is published whole or not at all, and never twice."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import pytest

from faceloom.pipelines.release.manifest import read_manifest
from faceloom.pipelines.release.publish import free_unused, publish, refuse_existing, write_release
from faceloom.pipelines.release.root import locked_root
from faceloom.pipelines.run.watcher import Watcher
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import ReleaseError, StorageError


def test_the_files_beside_the_manifest_have_the_listed_digests(released: Path) -> None:
    folder = released / "releases" / "faces" / "1.0.0"
    lines = [line.split("  ") for line in (folder / "SHA256SUMS").read_text().splitlines()]
    listed = {name: sha256 for sha256, name in lines}
    held = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
    assert listed == {name: sha256 for name, sha256 in held.items() if name != "SHA256SUMS"}
    assert set(listed) == {"release.json", "croissant.json", "README.md", "gallery.html"}
    assert listed["release.json"] == read_manifest(Storage(str(released)), "faces", "1.0.0").digest
    done = subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=folder, capture_output=True)
    assert done.returncode == 0


def test_the_manifest_is_written_last(own_root: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    found = read_manifest(own_root, "faces", "1.0.0")
    release = found.release.model_copy(update={"version": "1.0.1", "parent": found.id, "gates": ()})
    order: list[str] = []
    real = Storage.local

    def noting(storage: Storage, path: str) -> Path:
        order.append(path)
        return real(storage, path)

    with locked_root(own_root):
        monkeypatch.setattr(Storage, "local", noting)
        done = publish(own_root, release, watcher=Watcher())
        monkeypatch.undo()
    written = [path for path in order if path.startswith("releases/faces/1.0.1/")]
    last = {path.rpartition("/")[2]: place for place, path in enumerate(written)}
    manifest, mark = last.pop("release.json"), last.pop("unfinished")
    assert all(place < manifest for name, place in last.items() if "." in name) and manifest < mark
    assert done.release.gates and read_manifest(own_root, "faces", "1.0.1") == done


def test_a_version_is_published_once(own_root: Storage) -> None:
    found = read_manifest(own_root, "faces", "1.0.0")
    with locked_root(own_root), pytest.raises(ReleaseError, match="exists already"):
        publish(own_root, found.release, watcher=Watcher())
    with pytest.raises(StorageError, match="exists already"):
        write_release(own_root, found, {})  # even if nothing looked before
    own_root.local("releases/faces/1.0.0/release.json").rename(own_root.local("releases/faces/1.0.0/tombstone.json"))
    with pytest.raises(ReleaseError, match="purged"):
        refuse_existing(own_root, "faces", "1.0.0")


def test_a_parent_that_was_changed_is_refused(own_root: Storage) -> None:
    found = read_manifest(own_root, "faces", "1.0.0")
    other = f"faces/1.0.0+{'0' * 64}"
    release = found.release.model_copy(update={"version": "1.0.1", "parent": other})
    with locked_root(own_root), pytest.raises(StorageError, match="parent was changed"):
        publish(own_root, release, watcher=Watcher())


def test_only_unused_files_of_the_pool_are_deleted(own_root: Storage) -> None:
    used = own_root.list("shards") + own_root.list("index")
    for path in ("shards/train-0-0123456789ab.tar", "index/train-0-0123456789ab.parquet"):
        own_root.local(path).write_bytes(b"old")
    with locked_root(own_root):
        assert free_unused(own_root) == {
            "index/train-0-0123456789ab.parquet": 3, "shards/train-0-0123456789ab.tar": 3,
        }  # fmt: skip
        assert free_unused(own_root) == {}
    assert own_root.list("shards") + own_root.list("index") == used


def test_nothing_is_deleted_if_a_manifest_is_damaged(own_root: Storage) -> None:
    used = own_root.list("shards")
    own_root.local("releases/faces/1.0.0/release.json").write_bytes(b"{}")
    with locked_root(own_root), pytest.raises(StorageError, match="damaged manifest"):
        free_unused(own_root)
    assert own_root.list("shards") == used
