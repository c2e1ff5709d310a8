"""The training reader: every sample once, over any number of ranks and workers; right shapes, clear errors."""

from __future__ import annotations

import builtins
import dataclasses
import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import faceloom.pipelines.read
from faceloom.pipelines.read.split_reader import open_split
from faceloom.pipelines.store.build_record import read_record
from faceloom.pipelines.store.parquet_tables import read_index, write_index
from faceloom.pipelines.store.paths import shard_index
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import FaceloomError, StorageError
from tests.pipelines.read.builds import SIDE, make_build, sample_files
from tests.test_rooms import SLOW

pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create")

torch = pytest.importorskip("torch")
pytest.importorskip("webdataset")


def keys_of(samples: Any) -> list[str]:
    return [sample["__key__"] for sample in samples]


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three train shards of 5, 1 and 7 samples, and one test shard of 4."""
    folder = tmp_path_factory.mktemp("build")
    return make_build(folder, [("train", 5), ("train", 1), ("train", 7), ("test", 4)])


TRAIN = [f"{number:04d}-f00-m000" for number in range(13)]
TEST = [f"{number:04d}-f00-m000" for number in range(13, 17)]


def test_a_split_holds_its_own_samples_in_the_order_of_the_shards(build: Path) -> None:
    assert keys_of(open_split(build, "train")) == TRAIN
    assert keys_of(open_split(build, "test")) == TEST


def test_a_sample_has_its_members_in_order_with_the_promised_types(build: Path) -> None:
    sample = next(iter(open_split(build, "test")))
    assert list(sample) == ["__key__", "alpha", "face", "json", "landmarks", "mask", "masked"]
    assert sample["face"].shape == sample["masked"].shape == (SIDE, SIDE, 3)
    assert sample["mask"].shape == sample["alpha"].shape == (SIDE, SIDE)
    assert all(sample[name].dtype == np.uint8 for name in ("alpha", "face", "mask", "masked"))
    assert (sample["landmarks"].shape, sample["landmarks"].dtype) == ((68, 2), np.float32)
    assert sample["json"] == {"key": "k13", "identity": "p1", "licence": None}


def test_pictures_are_rgb(build: Path) -> None:
    sample = next(iter(open_split(build, "test")))
    assert sample["face"][0, 0].tolist() == [13, 0, 0]
    assert sample["masked"][0, 0].tolist() == [242, 255, 255]
    assert np.unique(sample["mask"]).tolist() == [0, 255]


def test_named_members_come_alone(build: Path) -> None:
    sample = next(iter(open_split(build, "test", members=["masked", "face"])))
    assert list(sample) == ["__key__", "face", "masked"]


def test_a_member_that_is_not_there_is_named_with_those_that_are(build: Path) -> None:
    with pytest.raises(FaceloomError, match=r"no such member.*got depth.*alpha, face, json, landmarks, mask, masked"):
        next(iter(open_split(build, "test", members=["depth"])))


@pytest.fixture(scope="module")
def faceless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two shards of 6 and 7 samples; the first, the fifth and the last have no landmarks."""
    folder = tmp_path_factory.mktemp("faceless")
    return make_build(folder, [("train", 6), ("train", 7)], without_landmarks=[0, 4, 12])


def test_a_member_that_some_lack_is_an_error_that_names_the_switch(faceless: Path) -> None:
    with pytest.raises(FaceloomError, match=r"::0000-f00.*got landmarks.*missing='skip'"):
        next(iter(open_split(faceless, "train", members=["face", "landmarks"])))
    assert ["landmarks" in sample for sample in open_split(faceless, "train")].count(False) == 3


@pytest.mark.parametrize("workers", [0, 2, 3])
@pytest.mark.parametrize("shuffle", [0, 8])
def test_samples_that_lack_a_member_can_be_left_out(faceless: Path, workers: int, shuffle: int) -> None:
    wanted = ["face", "landmarks"]
    samples = open_split(faceless, "train", shuffle=shuffle, members=wanted, missing="skip", tensors=True)
    keys = []
    for batch in torch.utils.data.DataLoader(samples, batch_size=3, num_workers=workers):
        assert (batch["landmarks"][:, 0, 0] == batch["face"][:, 0, 0, 0]).all()
        keys += batch["__key__"]
    assert sorted(keys) == [key for number, key in enumerate(TRAIN) if number not in (0, 4, 12)]


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("tensors", [False, True])
def test_something_can_stand_in_for_what_samples_lack(faceless: Path, workers: int, tensors: bool) -> None:
    unknown = {"landmarks": np.full((68, 2), np.nan, np.float32)}
    samples = open_split(faceless, "train", members=["face", "landmarks"], missing=unknown, tensors=tensors)
    loader = torch.utils.data.DataLoader(samples, batch_size=13, num_workers=workers)
    points = {key: one for batch in loader for key, one in zip(batch["__key__"], batch["landmarks"], strict=True)}
    assert sorted(points) == TRAIN
    assert [key for key in TRAIN if points[key].isnan().all()] == [TRAIN[0], TRAIN[4], TRAIN[12]]
    assert points[TRAIN[3]].eq(3).all()


def test_what_stands_in_is_each_samples_own(faceless: Path) -> None:
    wanted: dict[str, Any] = {"members": ["landmarks"], "missing": {"landmarks": np.zeros((68, 2), np.float32)}}
    first, *_, last = open_split(faceless, "train", **wanted)
    first["landmarks"][:] = 5
    assert (last["landmarks"] == 0).all()


def test_stand_ins_may_be_anything(faceless: Path) -> None:
    wanted: dict[str, Any] = {"members": ["landmarks"], "missing": {"landmarks": "none"}}
    assert next(iter(open_split(faceless, "train", tensors=True, **wanted)))["landmarks"] == "none"
    assert next(iter(open_split(faceless, "train", decode=False, **wanted)))["landmarks"] == "none"


def test_undecoded_members_are_bytes_under_their_file_names(build: Path) -> None:
    sample = next(iter(open_split(build, "test", decode=False, members=["face", "json"])))
    assert sample == {"__key__": TEST[0], **{n: c for n, c in sample_files(13) if n in ("face.png", "json")}}


def test_tensors_have_their_channels_first(build: Path) -> None:
    sample = next(iter(open_split(build, "test", tensors=True)))
    assert sample["face"].shape == (3, SIDE, SIDE)
    assert sample["face"][:, 0, 0].tolist() == [13, 0, 0]
    assert sample["mask"].shape == (1, SIDE, SIDE)
    assert (sample["landmarks"].dtype, sample["landmarks"].shape) == (torch.float32, (68, 2))
    assert isinstance(sample["json"], dict)


@pytest.mark.parametrize("shards", [[("train", 6)], [("train", 5), ("train", 1), ("train", 7)]], ids=["one", "three"])
@pytest.mark.parametrize("shuffle", [0, 8])
@pytest.mark.parametrize("workers", [0, 2, 3])
def test_every_sample_comes_once_over_all_workers(
    tmp_path: Path, shards: list[tuple[str, int]], shuffle: int, workers: int
) -> None:
    make_build(tmp_path, shards)
    samples = open_split(tmp_path, "train", shuffle=shuffle, members=["face"])
    loader = torch.utils.data.DataLoader(samples, batch_size=None, num_workers=workers)
    for _ in range(2):  # two epochs
        assert sorted(keys_of(loader)) == TRAIN[: sum(count for _, count in shards)]


def test_more_workers_than_samples_is_no_error(tmp_path: Path) -> None:
    make_build(tmp_path, [("train", 1)])
    loader = torch.utils.data.DataLoader(open_split(tmp_path, "train"), batch_size=None, num_workers=3)
    assert keys_of(loader) == TRAIN[:1]


@pytest.mark.parametrize("shuffle", [0, 5])
def test_ranks_share_the_samples_evenly(build: Path, monkeypatch: pytest.MonkeyPatch, shuffle: int) -> None:
    seen = []
    for rank in range(4):
        monkeypatch.setenv("RANK", str(rank))
        monkeypatch.setenv("WORLD_SIZE", "4")
        seen.append(keys_of(open_split(build, "train", shuffle=shuffle)))
    assert sorted(key for keys in seen for key in keys) == TRAIN
    assert {len(keys) for keys in seen} == {3, 4}


def test_ranks_and_workers_multiply(build: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    seen: list[str] = []
    for rank in range(2):
        monkeypatch.setenv("RANK", str(rank))
        loader = torch.utils.data.DataLoader(open_split(build, "train"), batch_size=None, num_workers=2)
        seen += keys_of(loader)
    assert sorted(seen) == TRAIN


def test_batches_are_collated_by_torch(build: Path) -> None:
    samples = open_split(build, "train", members=["face", "mask", "landmarks"])
    batch = next(iter(torch.utils.data.DataLoader(samples, batch_size=4)))
    assert batch["face"].shape == (4, SIDE, SIDE, 3)
    assert batch["mask"].shape == (4, SIDE, SIDE)
    assert batch["landmarks"].shape == (4, 68, 2)
    assert batch["__key__"] == TRAIN[:4]


def test_the_order_differs_between_epochs_and_repeats_with_the_seed(tmp_path: Path) -> None:
    make_build(tmp_path, [("train", 60)])
    one = open_split(tmp_path, "train", shuffle=100, seed=7, members=[])
    first, second = keys_of(one), keys_of(one)
    assert first != second
    assert sorted(first) == sorted(second) == sorted(keys_of(open_split(tmp_path, "train", members=[])))
    assert keys_of(open_split(tmp_path, "train", shuffle=100, seed=7, members=[])) == first
    assert keys_of(open_split(tmp_path, "train", shuffle=100, seed=8, members=[])) != first


def test_the_order_differs_between_epochs_with_workers_too(tmp_path: Path) -> None:
    # Workers are started anew for every epoch, with a fresh copy of the pipeline.
    make_build(tmp_path, [("train", 60)])
    samples = open_split(tmp_path, "train", shuffle=100, members=[])

    def two_epochs() -> list[list[str]]:
        torch.manual_seed(5)
        loader = torch.utils.data.DataLoader(samples, batch_size=None, num_workers=1)
        return [keys_of(loader), keys_of(loader)]

    first, second = two_epochs()
    assert first != second
    assert two_epochs() == [first, second]


def test_shuffling_mixes_beyond_the_buffer(tmp_path: Path) -> None:
    # One person's samples are neighbours: with a small buffer alone, a batch would hold hardly anybody else.
    make_build(tmp_path, [("train", 250)])
    numbers = [int(key[:4]) for key in keys_of(open_split(tmp_path, "train", shuffle=70, members=[]))]
    assert np.ptp(numbers[:60]) > 120


def test_the_pipeline_travels_to_spawned_workers(build: Path) -> None:
    assert keys_of(pickle.loads(pickle.dumps(open_split(build, "train", shuffle=1, members=["face"])))) == keys_of(
        open_split(build, "train", shuffle=1, members=["face"])
    )


def test_an_epoch_can_be_given_a_length(build: Path) -> None:
    assert len(keys_of(open_split(build, "train").with_epoch(nsamples=20))) == 20


def test_what_the_record_does_not_list_is_not_read(tmp_path: Path) -> None:
    make_build(tmp_path, [("train", 2)])
    (tmp_path / "shards" / "train-999-superseded.tar").write_bytes(b"not a tar")
    assert keys_of(open_split(tmp_path, "train")) == TRAIN[:2]


def flip(folder: Path, at: int) -> Path:
    """Flip a bit of the first shard."""
    tar = min((folder / "shards").iterdir())
    data = bytearray(tar.read_bytes())
    data[at] ^= 1
    tar.write_bytes(data)
    return tar


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.slow)])  # torch waits long to end its workers
@pytest.mark.parametrize(("at", "what"), [(520, "sha256 of its alpha.png"), (3, "tar header of its alpha.png")])
def test_damage_is_named_with_shard_sample_and_member(tmp_path: Path, workers: int, at: int, what: str) -> None:
    make_build(tmp_path, [("train", 6)])
    tar = flip(tmp_path, at)
    loader = torch.utils.data.DataLoader(open_split(tmp_path, "train"), batch_size=None, num_workers=workers)
    with pytest.raises(StorageError, match=f"shards/{tar.name}: sample {TRAIN[0]} is damaged: the {what} differs"):
        list(loader)


@pytest.mark.parametrize("at", [520, 3])
def test_damage_does_not_end_an_epoch_that_does_not_verify(tmp_path: Path, at: int) -> None:
    make_build(tmp_path, [("train", 6)])
    flip(tmp_path, at)
    assert keys_of(open_split(tmp_path, "train", verify=False, members=["face"])) == TRAIN[:6]


def test_a_forged_index_is_named(tmp_path: Path) -> None:
    make_build(tmp_path, [("train", 6)])
    storage = Storage(str(tmp_path))
    shard = read_record(storage).shards[0]
    rows = read_index(storage, shard_index(shard.name))
    rows[3] = dataclasses.replace(rows[3], length=2**62)
    write_index(storage, shard_index(shard.name), rows, {"part": []}, length=shard.bytes)
    with pytest.raises(StorageError, match=f"index/{shard.name}.parquet: .*row 3"):
        next(iter(open_split(tmp_path, "train", verify=False)))


def test_a_shard_that_is_listed_twice_gives_no_sample_twice(tmp_path: Path) -> None:
    make_build(tmp_path, [("train", 2)])
    record = json.loads((tmp_path / "build.json").read_text())
    record["shards"] *= 2
    (tmp_path / "build.json").write_text(json.dumps(record))
    with pytest.raises(StorageError, match=r"build.json: .*twice"):
        open_split(tmp_path, "train")


def test_an_unknown_split_is_refused_with_those_that_exist(build: Path) -> None:
    with pytest.raises(FaceloomError, match=r"no such split.*got val.*has: (train, test|test, train)"):
        open_split(build, "val")


def test_an_unfinished_build_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="no finished build"):
        open_split(tmp_path, "train")


def test_without_webdataset_the_error_says_what_to_install(build: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def refuse(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.partition(".")[0] == "webdataset":
            raise ImportError("No module named 'webdataset'")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(FaceloomError, match=r"pip install 'faceloom\[torch\]'"):
        open_split(build, "train")


def test_the_room_itself_offers_the_reader_too(build: Path) -> None:
    assert keys_of(faceloom.pipelines.read.open_split(build, "train")) == keys_of(open_split(build, "train")) == TRAIN


def test_importing_the_reader_imports_nothing_slow() -> None:
    slow = {*SLOW} - {"google"}  # a file of Google's packages puts the empty namespace there whenever Python starts
    code = f"import sys, faceloom.pipelines.read; print(*(name for name in {slow!r} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == []
