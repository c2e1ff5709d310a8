"""Random access: any sample by number or key, with one range request, in every process."""

from __future__ import annotations

import pickle
import time
from pathlib import Path
from typing import IO, Any

import numpy as np
import pytest

from faceloom.pipelines.read.pipeline import ReadOptions
from faceloom.pipelines.read.sample_lookup import Samples, open_samples
from faceloom.pipelines.read.split_reader import open_split
from faceloom.pipelines.store.build_record import read_record
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import FaceloomError, StorageError
from faceloom.schemas.release import ReleaseShard
from tests.pipelines.read.builds import make_build

KEYS = [f"{number:04d}-f00-m000" for number in range(17)]


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three train shards of 5, 1 and 7 samples, and one test shard of 4."""
    folder = tmp_path_factory.mktemp("build")
    return make_build(folder, [("train", 5), ("train", 1), ("train", 7), ("test", 4)])


@pytest.fixture
def ranges(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int, int]]:
    """Path, offset and length of each range that is read."""
    read, original = [], Storage.range_of

    def range_of(self: Storage, stream: IO[bytes], path: str, offset: int, length: int) -> bytes:
        read.append((path, offset, length))
        return original(self, stream, path, offset, length)

    monkeypatch.setattr(Storage, "range_of", range_of)
    return read


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return list(one) == list(other) and all(np.array_equal(one[name], other[name]) for name in one)


def test_samples_come_by_number_and_by_key(build: Path) -> None:
    pytest.importorskip("webdataset")
    samples = open_samples(build, "train")
    assert len(samples) == 13
    streamed = list(open_split(build, "train"))
    for number in (0, 4, 5, 6, 12, -1):
        assert same(samples[number], streamed[number])
        assert same(samples.by_key(streamed[number]["__key__"]), streamed[number])
    assert all(map(same, samples, streamed))


def test_all_splits_or_one(build: Path) -> None:
    assert [open_samples(build).key(number) for number in range(17)] == KEYS
    assert [sample["__key__"] for sample in open_samples(build, "test", members=[])] == KEYS[13:]
    with pytest.raises(FaceloomError, match="no such split"):
        open_samples(build, "val")


def test_what_is_not_there_is_an_error_of_python(build: Path) -> None:
    samples = open_samples(build, "train")
    for number in (13, -14):
        with pytest.raises(IndexError):
            samples[number]
    with pytest.raises(TypeError):
        samples["0000"]  # type: ignore[index]
    for key in (KEYS[13], "", "zzzz", "000", KEYS[0] + "0", "ä"):
        assert key not in samples
        with pytest.raises(KeyError):
            samples.by_key(key)
    assert KEYS[3] in samples and 3 not in samples


def test_a_sample_takes_one_range_request(build: Path, ranges: list[tuple[str, int, int]]) -> None:
    samples = open_samples(build, "train")
    assert ranges == []
    whole = samples.by_key(KEYS[7])
    assert len(ranges) == 1
    some = open_samples(build, "train", members=["mask", "json"]).by_key(KEYS[7])
    assert len(ranges) == 2 and ranges[1][2] < ranges[0][2]
    assert same(some, {name: whole[name] for name in ("__key__", "json", "mask")})
    assert list(open_samples(build, "train", members=[])[0]) == ["__key__"]


def test_keys_are_looked_up_without_reading_a_shard(tmp_path: Path, ranges: list[tuple[str, int, int]]) -> None:
    make_build(tmp_path, [("train", 200), ("train", 50)])
    samples = open_samples(tmp_path)
    begin = time.process_time()
    for _ in range(400):
        assert [samples.number(samples.key(number)) for number in range(250)] == list(range(250))
    assert time.process_time() - begin < 5, "100,000 keys"
    assert ranges == []


def test_damage_is_named(tmp_path: Path) -> None:
    make_build(tmp_path, [("train", 3)])
    (tar,) = (tmp_path / "shards").iterdir()
    data = bytearray(tar.read_bytes())
    data[520] ^= 1
    tar.write_bytes(data)
    samples = open_samples(tmp_path, decode=False)
    with pytest.raises(StorageError, match=f"{tar.name}: sample {KEYS[0]} is damaged: the sha256 of its alpha.png"):
        samples[0]
    assert "mask.png" in samples[1] and "mask.png" in open_samples(tmp_path, decode=False, verify=False)[0]
    tar.unlink()
    with pytest.raises(StorageError, match=f"{tar.name}: cannot be read"):
        samples[1]
    with pytest.raises(StorageError, match="the shard is missing"):
        open_samples(tmp_path)


def test_members_that_are_missing(tmp_path: Path) -> None:
    make_build(tmp_path, [("train", 3)], without_landmarks=[1])
    unknown = np.full((68, 2), np.nan, np.float32)
    samples = open_samples(tmp_path, members=["landmarks"], missing={"landmarks": unknown})
    assert [bool(np.isnan(sample["landmarks"]).all()) for sample in samples] == [False, True, False]
    with pytest.raises(FaceloomError, match="no such member"):
        open_samples(tmp_path, members=["landmarks"])[1]
    with pytest.raises(FaceloomError, match=r"cannot be left out.*open_split"):
        open_samples(tmp_path, members=["landmarks"], missing="skip")


def test_the_shards_of_a_manifest_are_read(tmp_path: Path) -> None:
    make_build(tmp_path, [("train", 2), ("train", 3)])
    storage = Storage(str(tmp_path))
    shards = [ReleaseShard(**shard.model_dump()) for shard in read_record(storage).shards]
    (tmp_path / "build.json").unlink()
    samples = Samples(storage, shards, ReadOptions(members=["face"]))
    assert int(samples.by_key(KEYS[4])["face"][0, 0, 0]) == 4
    assert len(Samples(storage, [])) == 0 and "k" not in Samples(storage, [])
    twice = [shards[0], shards[0]]
    with pytest.raises(StorageError, match=f"two samples have the same key .*{KEYS[0]}"):
        Samples(storage, twice)


@pytest.mark.parametrize("start", ["fork", pytest.param("spawn", marks=pytest.mark.slow)])
@pytest.mark.filterwarnings("ignore:This DataLoader will create", "ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_workers_of_a_loader_read_them_in_any_order(build: Path, start: str) -> None:
    torch = pytest.importorskip("torch")
    samples = open_samples(build, "train", members=["face", "landmarks"], tensors=True)
    loader = torch.utils.data.DataLoader(
        samples, batch_size=4, shuffle=True, num_workers=2, multiprocessing_context=start
    )
    assert len(loader) == 4
    batches = list(loader)
    assert sorted(key for batch in batches for key in batch["__key__"]) == KEYS[:13]
    for batch in batches:
        assert [int(key[:4]) for key in batch["__key__"]] == batch["face"][:, 0, 0, 0].tolist()


def test_samples_travel_to_other_processes_without_reading_again(build: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    samples = open_samples(build, "train")
    text = pickle.dumps(samples)
    monkeypatch.setattr("faceloom.pipelines.read.sample_lookup.read_places", None)
    assert same(pickle.loads(text)[3], samples[3])
