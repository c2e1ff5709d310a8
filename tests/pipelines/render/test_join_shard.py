"""Shards on disk: joined from rendered and reused parts to the same bytes, and harmless when repeated."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from faceloom.pipelines.render import join_shard as joining
from faceloom.pipelines.render.join_shard import join_shard
from faceloom.pipelines.render.part_task import ShardTask, render_part
from faceloom.pipelines.store.parquet_tables import read_index, read_metadata
from faceloom.pipelines.store.paths import part_tar, planned_faces
from faceloom.pipelines.store.planned_rows import write_planned
from faceloom.schemas.errors import StorageError
from tests.pipelines.render.parts import check_index, everything, parts_bench, render_and_join


@pytest.fixture
def bench(tmp_path: Path, synthetic: SimpleNamespace) -> SimpleNamespace:
    return parts_bench(tmp_path, synthetic)


def fill_disk(monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """The disk takes so many more files."""
    left = [after]
    replace_file = Path.replace

    def full(path: Path, target: Path) -> Path:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return replace_file(path, target)

    monkeypatch.setattr(Path, "replace", full)


def test_joined_parts_are_one_archive_whose_index_is_right(bench: SimpleNamespace) -> None:
    render_and_join(bench, "train-all-x", ["aa", "bb", "cc"])
    check_index(bench.storage, "train-all-x")
    assert [row.part for row in read_index(bench.storage, "index/train-all-x.parquet")] == ["aa"] * 6 + ["bb"] * 4 + [
        "cc"
    ] * 2
    assert read_metadata(bench.storage, "index/train-all-x.parquet")["parts"] == {"aa": [], "bb": [], "cc": []}
    assert bench.storage.list() == ["index/train-all-x.parquet", "shards/train-all-x.tar"], "work is cleared"


def test_how_photos_are_cut_into_parts_does_not_show_in_the_samples(bench: SimpleNamespace) -> None:
    render_and_join(bench, "one", ["aa", "bb"])
    bench.groups["whole"] = bench.faces[:5]
    render_and_join(bench, "other", ["whole"])
    assert bench.storage.read_bytes("shards/one.tar") == bench.storage.read_bytes("shards/other.tar")


def test_a_join_that_died_before_its_marker_is_repeated(
    bench: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    for part in ("aa", "bb"):
        render_part(part, bench.context)

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(joining, "write_index", die)
        with pytest.raises(KeyboardInterrupt):
            join_shard(ShardTask("one", ("aa", "bb")), bench.context)
    assert not bench.storage.exists("index/one.parquet")
    join_shard(ShardTask("one", ("aa", "bb")), bench.context)
    check_index(bench.storage, "one")


def test_a_join_waits_for_all_its_parts(bench: SimpleNamespace) -> None:
    render_part("aa", bench.context)
    before = everything(bench.storage)
    join_shard(ShardTask("one", ("aa", "bb")), bench.context)
    assert everything(bench.storage) == before


def test_a_damaged_sample_is_never_joined(bench: SimpleNamespace) -> None:
    for part in ("aa", "bb"):
        write_planned(bench.storage, planned_faces(part), bench.groups[part])
        render_part(part, bench.context)
    tar = bench.storage.local(part_tar("aa"))
    data = tar.read_bytes()
    tar.write_bytes(data[:700] + bytes([data[700] ^ 1]) + data[701:])
    with pytest.raises(StorageError, match="damaged: sample"):
        join_shard(ShardTask("new", ("aa", "bb")), bench.context)
    assert not bench.storage.exists("shards/new.tar") and not bench.storage.exists("index/new.parquet")


def test_samples_rejected_in_rendering_are_remembered_with_their_part(
    bench: SimpleNamespace, synthetic: SimpleNamespace
) -> None:
    far = replace(bench.faces[5], landmarks=(synthetic.landmarks((5000, 5000), 32)).tobytes())
    bench.groups["cc"] = [far]
    bench.groups["aa"] = [replace(bench.faces[0], landmarks=np.zeros((68, 2), np.float32).tobytes()), bench.faces[1]]
    render_and_join(bench, "one", ["aa", "cc"])
    check_index(bench.storage, "one")
    assert [row.uri for row in read_index(bench.storage, "index/one.parquet")] == ["001.png"] * 2
    said = read_metadata(bench.storage, "index/one.parquet")["parts"]
    assert [(reject["code"], reject["uri"], reject["stage"]) for reject in said["cc"]] == [
        ("crop_outside", "005.png", "render")
    ] * 2
    assert [reject["code"] for reject in said["aa"]] == ["degenerate_points"] * 2
    assert said["cc"][0]["key"].endswith("-f00-m000")


@pytest.mark.parametrize("after", range(4))
def test_a_full_disk_leaves_nothing_half_done_and_a_retry_finishes(
    bench: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    with monkeypatch.context() as patch:
        fill_disk(patch, after)
        with pytest.raises(StorageError, match="disk full"):
            render_part("aa", bench.context)
            join_shard(ShardTask("one", ("aa",)), bench.context)
    left = everything(bench.storage)
    assert len(left) == len(bench.groups) + after
    assert not [path for path in left if ".partial-" in path]
    render_part("aa", bench.context)
    join_shard(ShardTask("one", ("aa",)), bench.context)
    check_index(bench.storage, "one")
    finished = everything(bench.storage)
    assert left.get("shards/one.tar", finished["shards/one.tar"]) == finished["shards/one.tar"]
