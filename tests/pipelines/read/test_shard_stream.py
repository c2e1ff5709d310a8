"""The stream of samples: an epoch of a given length is shared by workers, and its rounds miss no sample."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from faceloom.pipelines.read.shard_stream import ShardStream
from faceloom.pipelines.read.split_pieces import split_shards
from faceloom.pipelines.store.storage import Storage
from tests.pipelines.read.builds import make_build

pytest.importorskip("webdataset")


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three shards of 50, 1 and 20 samples."""
    return make_build(tmp_path_factory.mktemp("build"), [("train", 50), ("train", 1), ("train", 20)])


def stream(build: Path, epoch: int | None = None, shuffle: int = 0, seed: int = 0) -> ShardStream:
    storage = Storage(str(build))
    return ShardStream(storage, split_shards(storage, "train"), shuffle=shuffle, seed=seed, epoch=epoch)


def epoch_of(one: ShardStream, monkeypatch: pytest.MonkeyPatch, readers: int, ranks: int = 1) -> list[list[int]]:
    """Numbers of the samples that each worker of each rank reads."""
    seen = []
    monkeypatch.setenv("WORLD_SIZE", str(ranks))
    monkeypatch.setenv("NUM_WORKERS", str(readers))
    turn = one.turn
    for rank in range(ranks):
        monkeypatch.setenv("RANK", str(rank))
        for worker in range(readers):
            monkeypatch.setenv("WORKER", str(worker))
            one.turn = turn
            seen.append([int(sample["__key__"][:4]) for sample in one()])
    return seen


@pytest.mark.parametrize("shuffle", [0, 10])
@pytest.mark.parametrize("workers", [1, 2, 3, 8])
@pytest.mark.parametrize("epoch", [1, 70, 71, 72, 200])
def test_workers_share_an_epoch_and_repeat_no_sample_before_all_were_read(
    build: Path, monkeypatch: pytest.MonkeyPatch, shuffle: int, workers: int, epoch: int
) -> None:
    seen = epoch_of(stream(build, epoch, shuffle), monkeypatch, workers)
    counts = Counter(number for numbers in seen for number in numbers)
    assert counts.total() == epoch
    assert {len(numbers) for numbers in seen} <= {epoch // workers, epoch // workers + 1}
    assert max(counts.values()) == -(-epoch // 71)
    assert min(counts[number] for number in range(71)) == epoch // 71


@pytest.mark.parametrize("ranks", [2, 80])
def test_every_rank_reads_as_many_samples_even_if_there_are_fewer_samples_than_ranks(
    build: Path, monkeypatch: pytest.MonkeyPatch, ranks: int
) -> None:
    seen = epoch_of(stream(build, 40), monkeypatch, 2, ranks)
    assert [len(one) + len(two) for one, two in zip(seen[::2], seen[1::2], strict=True)] == [40] * ranks
    assert {number for numbers in seen for number in numbers} == set(range(71))


def test_a_short_epoch_reads_other_samples_each_time_if_shuffled(build: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def two_epochs(shuffle: int, seed: int = 0) -> list[list[int]]:
        one = stream(build, 35, shuffle, seed)
        return [[number for numbers in epoch_of(one, monkeypatch, 2) for number in numbers] for _ in range(2)]

    first, second = two_epochs(5)
    assert set(first) != set(second)
    assert two_epochs(5) == [first, second]
    assert two_epochs(5, seed=1)[0] != first
    assert two_epochs(0) == [list(range(35))] * 2


def test_without_a_length_each_sample_comes_once(build: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for shuffle in (0, 7):
        seen = epoch_of(stream(build, None, shuffle), monkeypatch, 3, 2)
        assert sorted(number for numbers in seen for number in numbers) == list(range(71))


def test_no_samples_are_no_endless_epoch(tmp_path: Path) -> None:
    assert list(ShardStream(Storage(str(tmp_path)), (), epoch=5)()) == []
