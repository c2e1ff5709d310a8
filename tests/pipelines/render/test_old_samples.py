"""Samples of older shards are copied to the byte, and only if they are whole."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from faceloom.pipelines.analyse.verified_photos import read_unchanged
from faceloom.pipelines.render.join_shard import join_shard
from faceloom.pipelines.render.old_samples import OldSample, OldSampleReader, find_old_samples
from faceloom.pipelines.render.part_task import ShardTask, render_part
from faceloom.pipelines.store.parquet_tables import read_index
from faceloom.pipelines.store.paths import part_index, part_tar, planned_faces, shard_tar
from faceloom.pipelines.store.planned_rows import write_planned
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import StorageError
from tests.pipelines.render.parts import check_index, parts_bench, render_and_join


@pytest.fixture
def bench(tmp_path: Path, synthetic: SimpleNamespace) -> SimpleNamespace:
    """A finished shard `old` of the parts `aa` and `bb`, and what a fresh shard of `cc` and `bb` holds."""
    made = parts_bench(tmp_path, synthetic)
    render_and_join(made, "fresh", ["cc", "bb"])
    made.fresh = {path: made.storage.read_bytes(path) for path in ("shards/fresh.tar", "index/fresh.parquet")}
    for path in made.fresh:
        made.storage.remove(path)
    render_and_join(made, "old", ["aa", "bb"])
    return made


def render_again(bench: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, older: tuple[str, ...]) -> list[str]:
    """Render `cc` and `bb` into the shard `fresh`; returns the names of the photos that were read."""
    read: list[str] = []

    def spy(context: object, source: str, uri: str, sha256: str) -> bytes:
        read.append(uri)
        return read_unchanged(context, source, uri, sha256)  # type: ignore[arg-type]

    monkeypatch.setattr("faceloom.pipelines.render.part_task.read_unchanged", spy)
    for part in ("cc", "bb"):
        write_planned(bench.storage, planned_faces(part), bench.groups[part])
        render_part(part, bench.context, older)
    return read


def test_copied_samples_have_the_bytes_that_rendering_gives(
    bench: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = render_again(bench, monkeypatch, ("old", "gone"))
    assert read == ["005.png"], "photos of copied samples are not even read"
    join_shard(ShardTask("fresh", ("cc", "bb")), bench.context)
    assert {path: bench.storage.read_bytes(path) for path in bench.fresh} == bench.fresh
    check_index(bench.storage, "fresh")


def test_a_face_of_which_one_sample_is_held_is_rendered_for_the_others(
    bench: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = read_index(bench.storage, "index/old.parquet")[-1]
    wanted = {row.key: row.inputs, "other": row.inputs}
    assert {*find_old_samples(bench.storage, ["old"], wanted)} == {row.key}
    tar = bench.storage.local(shard_tar("old"))
    data = bytearray(tar.read_bytes())
    data[row.members[0].offset] ^= 1
    tar.write_bytes(data)
    assert find_old_samples(bench.storage, ["old"], wanted) == {}, "a damaged sample is left out"
    read = render_again(bench, monkeypatch, ("old",))
    assert read == ["005.png", "004.png"]
    join_shard(ShardTask("fresh", ("cc", "bb")), bench.context)
    assert {path: bench.storage.read_bytes(path) for path in bench.fresh} == bench.fresh


def test_damage_that_comes_between_check_and_copy_stops_the_part(bench: SimpleNamespace) -> None:
    row = read_index(bench.storage, "index/old.parquet")[0]
    old = find_old_samples(bench.storage, ["old"], {row.key: row.inputs})[row.key]
    with OldSampleReader(bench.storage) as reader:
        assert reader.read(old)[512:][: row.members[0].size]
        bench.storage.local(shard_tar("old")).write_bytes(b"short")
        with pytest.raises(StorageError, match="old"):
            reader.read(old)
    assert not bench.storage.exists(part_tar("aa")) and not bench.storage.exists(part_index("aa"))


def test_a_shard_is_opened_once_for_samples_side_by_side(bench: SimpleNamespace) -> None:
    rows = read_index(bench.storage, "index/old.parquet")
    bench.storage.local(shard_tar("copy")).write_bytes(bench.storage.read_bytes(shard_tar("old")))
    opened: list[str] = []

    class Spy(Storage):
        def open(self, path: str, most_bytes: int | None = None) -> Any:
            opened.append(path)
            return super().open(path, most_bytes)

    with OldSampleReader(Spy(bench.storage.root)) as reader:
        read = [reader.read(OldSample(shard, row)) for shard in ("old", "copy") for row in rows]
    assert opened == [shard_tar("old"), shard_tar("copy")] and len(rows) > 1
    assert b"".join(read[: len(rows)]) == b"".join(read[len(rows) :])
    assert bench.storage.read_bytes(shard_tar("old")).startswith(b"".join(read[: len(rows)]))


def test_without_older_shards_nothing_is_copied(bench: SimpleNamespace) -> None:
    row = read_index(bench.storage, "index/old.parquet")[0]
    assert find_old_samples(bench.storage, [], {row.key: row.inputs}) == {}
    assert find_old_samples(bench.storage, ["missing"], {row.key: row.inputs}) == {}
    assert find_old_samples(bench.storage, ["old"], {row.key: "0" * 24}) == {}
