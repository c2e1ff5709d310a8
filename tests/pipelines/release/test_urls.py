"""The shards of a split as paths."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from faceloom.pipelines.release.channel_log import append_entry
from faceloom.pipelines.release.resolve import resolve
from faceloom.pipelines.release.urls import release_urls, usable_shards
from faceloom.pipelines.store.paths import shard_index
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import ReleaseError, StorageError


def test_the_paths_are_those_of_the_split(released: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(released.parent)
    urls = {split: release_urls(Storage(released.name), "faces@1.0.0", split) for split in ("train", "test")}
    assert sum(map(len, urls.values())) == len(resolve(Storage(str(released)), "faces").release.shards)
    for split, paths in urls.items():
        for path in paths:
            assert Path(path).is_absolute() and Path(path).is_file() and Path(path).name.startswith(f"{split}-")


def test_webdataset_reads_them_without_our_code(released: Path) -> None:
    pytest.importorskip("webdataset")
    root = Storage(str(released))
    urls = release_urls(root, "faces@1.0.0", "train")
    code = """
import sys, webdataset
keys = [sample["__key__"] for sample in webdataset.WebDataset(sys.stdin.read().split(), shardshuffle=False)]
print(len(keys), len({*keys}), "faceloom" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], input="\n".join(urls), capture_output=True, text=True, check=True, timeout=120
    )
    samples = resolve(root, "faces").release.splits["train"].samples
    assert done.stdout.split() == [str(samples), str(samples), "False"]


def test_what_cannot_be_read_is_refused(own_root: Storage) -> None:
    with pytest.raises(ReleaseError, match=r"no such split.*test, train"):
        usable_shards(own_root, "faces", "val")
    found = resolve(own_root, "faces")
    own_root.remove(shard_index(found.release.shards[-1].name))
    with pytest.raises(StorageError, match="missing"):
        usable_shards(own_root, "faces", found.release.shards[-1].split)
    append_entry(own_root, "yank", found.id, why="broken")
    with pytest.raises(ReleaseError, match="yanked: broken"):
        release_urls(own_root, "faces@1.0.0", "train")
