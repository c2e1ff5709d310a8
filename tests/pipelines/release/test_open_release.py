"""A release is opened like a build, unless it is yanked."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

import faceloom
from faceloom.pipelines.read.split_reader import open_split
from faceloom.pipelines.release.channel_log import append_entry
from faceloom.pipelines.release.open_release import open_release, open_release_samples
from faceloom.pipelines.release.resolve import resolve
from faceloom.pipelines.store.paths import shard_tar
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import FaceloomError, ReleaseError, StorageError

pytest.importorskip("webdataset")


def test_a_release_gives_the_samples_of_its_build(released: Path, built: Path) -> None:
    assert faceloom.open_release is open_release
    ours = list(open_release(released, "faces@1.0.0", "train", members=["face", "json"]))
    theirs = list(open_split(built, "train", members=["face", "json"]))
    assert [sample["__key__"] for sample in ours] == [sample["__key__"] for sample in theirs] != []
    for one, other in zip(ours, theirs, strict=True):
        assert np.array_equal(one["face"], other["face"]) and one["json"] == other["json"]


def test_samples_of_a_release_are_read_by_key(released: Path, own_root: Storage) -> None:
    assert faceloom.open_release_samples is open_release_samples
    streamed = {one["__key__"]: one for one in open_release(released, "faces@1.0.0", "train", members=["face"])}
    samples = open_release_samples(released, "faces@1.0.0", "train", members=["face"])
    assert len(samples) == len(streamed) > 1
    for key, one in streamed.items():
        assert np.array_equal(samples.by_key(key)["face"], one["face"])
    append_entry(own_root, "yank", resolve(own_root, "faces").id, why="a mask is upside down")
    with pytest.raises(ReleaseError, match="a mask is upside down"):
        open_release_samples(own_root.root, "faces@1.0.0", "train")


def test_the_build_and_its_photos_are_not_needed(released: Path, tmp_path: Path) -> None:
    shutil.copytree(released, tmp_path / "copy")
    assert len(list(open_release(tmp_path / "copy", "faces", "train", shuffle=10, tensors=False))) > 1


def test_a_yanked_release_is_refused_with_its_reason_and_replacement(own_root: Storage) -> None:
    found = resolve(own_root, "faces")
    append_entry(own_root, "yank", found.id, why="a mask is upside down", replacement=f"faces/1.0.1+{'0' * 64}")
    with pytest.raises(ReleaseError, match=r"a mask is upside down.*Use faces@1\.0\.1"):
        open_release(own_root.root, "faces@1.0.0", "train")


def test_damage_is_named(own_root: Storage) -> None:
    shard = next(shard for shard in resolve(own_root, "faces").release.shards if shard.split == "train")
    path = own_root.local(shard_tar(shard.name))
    data = bytearray(path.read_bytes())
    data[data.index(b".masked.jpg") + 1000] ^= 1
    path.write_bytes(data)
    with pytest.raises(StorageError, match=r"masked\.jpg"):
        list(open_release(own_root.root, "faces", "train"))
    assert list(open_release(own_root.root, "faces", "train", verify=False, decode=False))
    path.unlink()
    with pytest.raises(StorageError, match="missing"):
        open_release(own_root.root, "faces", "train")


def test_wrong_arguments_are_refused(released: Path, built: Path) -> None:
    with pytest.raises(ReleaseError, match="no such split"):
        open_release(released, "faces", "val")
    with pytest.raises(ReleaseError, match="such as a build"):
        open_release(built, "faces", "train")
    with pytest.raises(FaceloomError):
        open_release(released, "faces", "train", epoch=0)
