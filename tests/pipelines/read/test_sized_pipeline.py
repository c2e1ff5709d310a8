"""Pipelines know their length where it is certain, and epochs do not depend on the number of workers."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from faceloom.pipelines.read.split_reader import open_split
from faceloom.schemas.errors import FaceloomError
from tests.pipelines.read.builds import make_build

torch = pytest.importorskip("torch")
pytest.importorskip("webdataset")
pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create")

WORKERS = [0, 1, 2, 3, pytest.param(8, marks=pytest.mark.slow)]


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two shards of 4 and 7 samples; the first has no landmarks."""
    return make_build(tmp_path_factory.mktemp("build"), [("train", 4), ("train", 7)], without_landmarks=[0])


def number(sample: dict[str, Any]) -> int:
    return int(sample["__key__"][:4])


def is_even(value: int) -> bool:
    return value % 2 == 0


@pytest.mark.parametrize("workers", WORKERS)
@pytest.mark.parametrize("open_epoch", [
    lambda build: open_split(build, "train", members=["face"], epoch=24),
    lambda build: open_split(build, "train", members=["face"]).with_epoch(nsamples=24),
])  # fmt: skip
def test_an_epoch_has_its_length_whatever_the_workers(
    build: Path, workers: int, open_epoch: Callable[[Path], Any]
) -> None:
    samples = open_epoch(build)
    assert len(samples) == 24
    loader = torch.utils.data.DataLoader(samples, batch_size=None, num_workers=workers)
    assert len(loader) == 24
    for _ in range(2):
        assert sum(1 for _ in loader) == 24


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("workers", WORKERS)
def test_the_length_of_a_loader_is_its_number_of_batches(build: Path, workers: int) -> None:
    samples = open_split(build, "train", members=["face"], epoch=4 * max(1, workers) * 3)
    loader = torch.utils.data.DataLoader(samples, batch_size=4, num_workers=workers)
    assert len(loader) == sum(1 for _ in loader) == 3 * max(1, workers)


def test_a_split_has_the_length_of_the_ranks_run(build: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    samples = open_split(build, "train", members=[])
    assert len(samples) == len(list(samples)) == 11
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank, count in enumerate((5, 6)):
        monkeypatch.setenv("RANK", str(rank))
        assert len(samples) == len(list(samples)) == count


def test_a_map_keeps_the_length_and_other_stages_do_not(build: Path) -> None:
    samples = open_split(build, "train", members=[], epoch=6)
    assert len(samples.map(number)) == len(list(samples.map(number))) == 6
    for longer in (samples.map(number).select(is_even), samples.batched(2), samples.select(is_even).map(number)):
        with pytest.raises(TypeError, match="length is unknown"):
            len(longer)
    assert len(samples) == 6
    with pytest.raises(TypeError, match="length is unknown"):
        len(open_split(build, "train", members=["landmarks"], missing="skip"))


@pytest.mark.parametrize("workers", WORKERS[:-1])
def test_an_epoch_counts_what_comes_out_of_the_last_stage(build: Path, workers: int) -> None:
    samples = open_split(build, "train", members=[]).map(number).select(is_even).with_epoch(nsamples=10)
    loader = torch.utils.data.DataLoader(samples, batch_size=None, num_workers=workers)
    seen = list(loader)
    assert len(seen) == 10 and {value % 2 for value in seen} == {0}


@pytest.mark.parametrize("workers", [0, 3])
def test_samples_that_are_left_out_do_not_count(build: Path, workers: int) -> None:
    samples = open_split(build, "train", members=["landmarks"], missing="skip", epoch=30)
    loader = torch.utils.data.DataLoader(samples, batch_size=None, num_workers=workers)
    assert len([number(sample) for sample in loader]) == 30


def test_a_worker_that_finds_nothing_is_an_error(build: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    samples = open_split(build, "train", members=["landmarks"], missing="skip", epoch=30)
    for name, value in {"WORKER": "0", "NUM_WORKERS": "11"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(FaceloomError, match=r"finds no samples for its share.*fewer workers"):
        list(samples)


def test_pipelines_with_a_length_travel_to_spawned_workers(build: Path) -> None:
    samples = pickle.loads(pickle.dumps(open_split(build, "train", members=[], epoch=7).map(number)))
    assert len(samples) == 7 and list(samples) == list(range(7))


@pytest.mark.parametrize("epoch", [0, -3])
def test_an_epoch_of_nothing_is_refused(build: Path, epoch: int) -> None:
    with pytest.raises(FaceloomError, match="at least one sample"):
        open_split(build, "train", epoch=epoch)
    with pytest.raises(FaceloomError, match="at least one sample"):
        open_split(build, "train").with_epoch(nsamples=epoch)
