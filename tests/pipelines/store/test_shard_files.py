"""Which shards and parts count as finished."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from faceloom.pipelines.render.part_task import render_part
from faceloom.pipelines.store.paths import part_index, part_tar
from faceloom.pipelines.store.shard_files import is_finished, is_whole
from tests.pipelines.render.parts import parts_bench, render_and_join


@pytest.fixture
def bench(tmp_path: Path, synthetic: SimpleNamespace) -> SimpleNamespace:
    return parts_bench(tmp_path, synthetic)


def test_a_shard_is_finished_at_its_full_length(bench: SimpleNamespace) -> None:
    assert not is_finished(bench.storage, "one")
    render_and_join(bench, "one", ["aa", "bb"])
    assert is_finished(bench.storage, "one")
    tar = bench.storage.local("shards/one.tar")
    tar.write_bytes(tar.read_bytes()[:-1])
    assert not is_finished(bench.storage, "one")


def test_a_part_is_whole_only_to_its_last_byte(bench: SimpleNamespace) -> None:
    storage = bench.storage
    assert not is_whole(storage, "aa")
    render_part("aa", bench.context)
    assert is_whole(storage, "aa")
    tar = storage.local(part_tar("aa"))
    data = tar.read_bytes()
    for damaged in (b"", data[: len(data) // 2], data[:600] + bytes([data[600] ^ 1]) + data[601:]):
        tar.write_bytes(damaged)
        assert not is_whole(storage, "aa")
    tar.write_bytes(data)
    assert is_whole(storage, "aa")
    storage.local(part_index("aa")).write_bytes(b"")
    assert not is_whole(storage, "aa")
