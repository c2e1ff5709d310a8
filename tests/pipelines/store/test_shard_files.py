"""Which shards and parts count as finished."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from faceloom.pipelines.render.part_task import render_part
from faceloom.pipelines.store.paths import part_index, part_tar
from faceloom.pipelines.store.shard_files import find_damaged, is_finished, is_whole
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import StorageError
from tests.pipelines.render.parts import parts_bench, render_and_join


@pytest.fixture
def bench(tmp_path: Path, synthetic: SimpleNamespace) -> SimpleNamespace:
    return parts_bench(tmp_path, synthetic)


def test_a_shard_is_finished_at_its_full_length(bench: SimpleNamespace) -> None:
    assert not is_finished(bench.storage, "one")
    render_and_join(bench, "one", ["aa", "bb"])
    assert is_finished(bench.storage, "one")
    tar = bench.storage.local("shards/one.tar")
    data = tar.read_bytes()
    for other in (data[:-1], data + b"x"):
        tar.write_bytes(other)
        assert not is_finished(bench.storage, "one")
    tar.write_bytes(data)
    assert is_finished(bench.storage, "one")
    bench.storage.local("index/one.parquet").write_bytes(b"PAR1")
    assert not is_finished(bench.storage, "one")


def test_damaged_shards_are_found_with_their_fault(bench: SimpleNamespace) -> None:
    names = ["one", "two", "three"]
    for name in names:
        render_and_join(bench, name, ["aa"])
    seen: list[int] = []
    assert find_damaged(bench.storage, names, seen.append) == {}
    assert seen == [1, 2, 3]
    tar = bench.storage.local("shards/two.tar")
    data = bytearray(tar.read_bytes())
    data[700] ^= 1
    tar.write_bytes(data)
    ((name, fault),) = find_damaged(bench.storage, names).items()
    assert name == "two" and "is damaged" in fault


def test_a_shard_that_must_not_be_read_is_not_called_damaged(
    bench: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    render_and_join(bench, "one", ["aa"])

    def refuse(*_: object) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Storage, "range_of", refuse)
    with pytest.raises(StorageError, match="Ask the owner of the folder for permission"):
        find_damaged(bench.storage, ["one"])


def test_a_part_is_whole_only_to_its_last_byte(bench: SimpleNamespace) -> None:
    storage = bench.storage
    assert not is_whole(storage, "aa")
    render_part("aa", bench.context)
    assert is_whole(storage, "aa")
    tar = storage.local(part_tar("aa"))
    data = tar.read_bytes()

    def flipped(at: int) -> bytes:
        return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]

    for damaged in (b"", data[: len(data) // 2], data + b"x", *map(flipped, (600, 3, 200))):
        tar.write_bytes(damaged)
        assert not is_whole(storage, "aa")
    tar.write_bytes(data)
    assert is_whole(storage, "aa")
    storage.local(part_index("aa")).write_bytes(b"")
    assert not is_whole(storage, "aa")
