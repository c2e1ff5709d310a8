"""Plain webdataset, without any import of ours: 1 to 8 workers, 2 ranks, and no array that cannot be written to."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.interop.conftest import make_build, samples_of, shard_paths

torch = pytest.importorskip("torch")
wds = pytest.importorskip("webdataset")
pytestmark = pytest.mark.filterwarnings(
    "error", "ignore:This DataLoader will create", "ignore:unclosed file:ResourceWarning",
    "ignore:Exception ignored in. <_io:pytest.PytestUnraisableExceptionWarning",
)  # fmt: skip  # webdataset leaves the files of shards to the garbage collector

PROGRAM = """
import json, sys
import webdataset as wds

urls, workers = json.loads(sys.argv[1]), int(sys.argv[2])
samples = wds.WebDataset(urls, shardshuffle=False, nodesplitter=wds.split_by_node, workersplitter=wds.split_by_worker)
samples = samples.decode("torchrgb8").to_tuple("__key__", "face.jpg", "mask.png", "landmarks.npy", "json")
loader = wds.WebLoader(samples, batch_size=None, num_workers=workers)
keys = [key for key, face, mask, points, record in loader]
assert not any(name.split(".")[0] == "faceloom" for name in sys.modules)
print(json.dumps(keys))
"""


def read(urls: list[str], workers: int, rank: int = 0, ranks: int = 1) -> list[str]:
    """Keys that plain webdataset reads in a process of its own."""
    environment = {**os.environ, "RANK": str(rank), "WORLD_SIZE": str(ranks)}
    command = [sys.executable, "-W", "error::UserWarning:torch", "-c", PROGRAM, json.dumps(urls), str(workers)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "not writable" not in done.stderr
    return list(json.loads(done.stdout.splitlines()[-1]))


@pytest.fixture(scope="module")
def many(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A build with at least sixteen shards in train, for two ranks of eight workers."""
    shards = {"shards": {"samples": 12, "min_per_split": 16}}
    return make_build(photos, tmp_path_factory.mktemp("many") / "out", split={"shares": {"train": 1.0}}, output=shards)


@pytest.mark.slow
@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize("workers", [1, 2, 4, 8])
def test_workers_and_ranks_share_the_shards(many: Path, workers: int, ranks: int) -> None:
    urls = shard_paths(many, "train")
    assert len(urls) >= 16 and not any(mark in url for url in urls for mark in "{}")
    keys = [key for rank in range(ranks) for key in read(urls, workers, rank, ranks)]
    assert len(keys) == len(set(keys)) == samples_of(many, "train")


@pytest.mark.slow
def test_a_shard_per_worker_is_all_that_two_workers_need(many: Path) -> None:
    urls = shard_paths(many, "train")
    samples = wds.WebDataset(urls, shardshuffle=False, workersplitter=wds.split_by_worker).to_tuple("__key__")
    keys = [key for (key,) in wds.WebLoader(samples, batch_size=None, num_workers=2)]
    assert sorted(keys) == sorted(key for (key,) in wds.WebDataset(urls, shardshuffle=False).to_tuple("__key__"))


@pytest.mark.parametrize("decoder", ["torchrgb8", "pil"])
def test_batches_have_arrays_that_can_be_written_to(built: Path, decoder: str) -> None:
    """Torch warns about others, and a warning is an error here."""
    samples = wds.WebDataset(shard_paths(built, "train"), shardshuffle=False).decode(decoder)
    if decoder == "pil":
        samples = samples.map_dict(**dict.fromkeys(("face.jpg", "masked.jpg", "mask.png"), np.array))
    loader = wds.WebLoader(
        samples.to_tuple("__key__", "face.jpg", "masked.jpg", "landmarks.npy"), batch_size=4, num_workers=0
    )
    (keys, faces, masked, points), *_ = loader
    assert len(keys) == 4 and points.shape == (4, 68, 2) and points.dtype == torch.float32
    assert faces.dtype == masked.dtype == torch.uint8 and faces.numel() == 4 * 48 * 48 * 3
    for tensor in (faces, masked, points):
        tensor += 1


def test_every_sample_of_a_build_has_the_same_members(built: Path) -> None:
    names: set[tuple[Any, ...]] = set()
    for sample in wds.WebDataset(shard_paths(built, "train"), shardshuffle=False):
        names.add(tuple(sorted(name for name in sample if not name.startswith("__"))))
    assert len(names) == 1
