"""Shards on disk: joined from rendered and reused parts to the same bytes, and harmless when repeated."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from faceloom.pipelines.plan.reuse import Lift
from faceloom.pipelines.render import join_shard as joining
from faceloom.pipelines.render.join_shard import join_shard
from faceloom.pipelines.render.part_task import ShardTask, render_part
from faceloom.pipelines.store.parquet_tables import read_index, read_metadata, write_planned
from faceloom.pipelines.store.paths import part_tar, planned_faces
from faceloom.pipelines.store.tar_writer import END
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


@pytest.mark.parametrize("order", [["bb"], ["aa", "bb"], ["bb", "aa"], ["bb", "cc", "aa"], ["cc", "aa", "bb"]])
def test_lifted_parts_are_the_bytes_that_rendering_gives(bench: SimpleNamespace, order: list[str]) -> None:
    render_and_join(bench, "fresh", order)
    fresh = {path: bench.storage.read_bytes(path) for path in ("shards/fresh.tar", "index/fresh.parquet")}
    for path in fresh:
        bench.storage.remove(path)
    render_and_join(bench, "old", ["aa", "bb"])
    rows = read_index(bench.storage, "index/old.parquet")
    lifts = []
    for part in ("aa", "bb"):
        own = [row for row in rows if row.part == part]
        lifts.append((part, Lift("old", own[0].offset, sum(row.length for row in own))))
    write_planned(bench.storage, planned_faces("cc"), bench.groups["cc"])
    render_part("cc", bench.context)
    join_shard(ShardTask("fresh", tuple(order), tuple(lifts)), bench.context)
    assert {path: bench.storage.read_bytes(path) for path in fresh} == fresh
    check_index(bench.storage, "fresh")
    check_index(bench.storage, "old")


@pytest.mark.parametrize("lifted", [False, True])
def test_a_damaged_sample_is_never_joined(bench: SimpleNamespace, lifted: bool) -> None:
    render_and_join(bench, "old", ["aa"])
    for part in ("aa", "bb"):
        write_planned(bench.storage, planned_faces(part), bench.groups[part])
        render_part(part, bench.context)
    tar = bench.storage.local("shards/old.tar" if lifted else part_tar("aa"))
    data = tar.read_bytes()
    tar.write_bytes(data[:700] + bytes([data[700] ^ 1]) + data[701:])
    lifts = (("aa", Lift("old", 0, len(data) - len(END))),) if lifted else ()
    with pytest.raises(StorageError, match="damaged: sample"):
        join_shard(ShardTask("new", ("aa", "bb"), lifts), bench.context)
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
    join_shard(ShardTask("two", ("cc", "aa"), (("cc", Lift("one", 0, 0)), ("aa", Lift("one", 0, 0)))), bench.context)
    assert read_metadata(bench.storage, "index/two.parquet")["parts"] == said, "lifted rejects come along"


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
