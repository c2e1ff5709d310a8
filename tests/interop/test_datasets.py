"""HuggingFace datasets opens shards as they are: streaming and cached, with `json`, without arguments of ours."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tests.interop.conftest import make_build, make_photos, samples_of, shard_paths
from tests.pipelines.conftest import tiny_run

pytest.importorskip("datasets", reason="needs the extra `interop`")

PROGRAM = """
import json, sys
from datasets import load_dataset

files, streaming = json.loads(sys.argv[1]), sys.argv[2] == "streaming"
loaded = load_dataset("webdataset", data_files=files, streaming=streaming)
found = {}
for split, samples in loaded.items():
    found[split] = []
    for sample in samples:
        own = {name: value for name, value in sample.items() if not name.startswith("__")}
        members = {name: list(getattr(value, "size", ())) for name, value in own.items()}
        found[split].append({"key": sample["__key__"], "members": members, "json": sample["json"]})
print(json.dumps({"samples": found, "columns": sorted(loaded["train"].column_names or ())}))
"""


def load(out: Path, how: str, home: Path) -> dict[str, Any]:
    """What datasets finds, in a process and with a cache of its own and without a network."""
    files = {split: shard_paths(out, split) for split in ("train", "test")}
    environment = {**os.environ, "HF_HOME": str(home), "HF_HUB_OFFLINE": "1", "HF_DATASETS_DISABLE_PROGRESS_BARS": "1"}
    command = [sys.executable, "-W", "error::UserWarning", "-c", PROGRAM, json.dumps(files), how]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr[-3000:]
    return dict(json.loads(done.stdout.splitlines()[-1]))


SLOW = [
    pytest.param(name, marks=pytest.mark.slow) for name in ("plain", "lowres", "landmarks_missing", "no_attributes")
]


@pytest.fixture(scope="module", params=["morphs", *SLOW])
def kind(request: pytest.FixtureRequest, photos: Path, built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Builds of several kinds."""
    if request.param == "morphs":
        return built
    folder = tmp_path_factory.mktemp("kind")
    changes: dict[str, Any] = {"augment": [], "per_face": 1}
    if request.param == "no_attributes":
        changes["sources"] = [{"kind": "table", "path": str(photos)}]
    if request.param == "lowres":
        changes = {"lowres": {"sizes": [12]}, "output": {"alpha": True, "halves": {"split_row": 30}}}
    if request.param == "landmarks_missing":
        pytest.importorskip("torch")
        photos = make_photos(folder, without_face=5)
        network = tiny_run(folder / "run", size=48)
        learned = {"kind": "autoencoder", "checkpoint": str(network), "when": "landmarks_missing"}
        changes = {"masks": [{"kind": "template", "template": "surgical"}, learned]}
    return make_build(photos, folder / "out", **changes)


def records(out: Path) -> Iterator[dict[str, Any]]:
    """The `json` of every sample."""
    for path in [*shard_paths(out, "train"), *shard_paths(out, "test")]:
        with tarfile.open(path) as tar:
            for member in tar:
                if member.name.endswith(".json"):
                    content = tar.extractfile(member)
                    assert content is not None
                    yield json.loads(content.read())


def test_every_json_alone_has_the_same_types(kind: Path) -> None:
    # datasets infers types from the first samples of a file: later ones may not have a number where those have nothing.
    types = {str(pa.array([{**record, "attributes": 0}]).type) for record in records(kind)}
    assert len(types) == 1 and "null" not in min(types)


def test_morphs_have_the_attributes_of_faces(built: Path) -> None:
    assert len({str(pa.array([record["attributes"]]).type) for record in records(built)}) == 1


@pytest.mark.slow
@pytest.mark.parametrize("how", ["streaming", "cached"])
def test_every_sample_is_loaded_with_its_json(kind: Path, how: str, tmp_path: Path) -> None:
    found = load(kind, how, tmp_path)
    for split in ("train", "test"):
        samples = found["samples"][split]
        assert len(samples) == samples_of(kind, split)
        assert len({sample["key"] for sample in samples}) == len(samples)
        assert {tuple(sorted(sample["members"])) for sample in samples} == {tuple(sorted(samples[0]["members"]))}
        for sample in samples:
            assert sample["json"]["key"] == sample["key"] and sample["json"]["split"] == split
            assert all(isinstance(operation["name"], str) for operation in sample["json"]["operations"])
            assert sample["members"]["face.jpg"] == [48, 48]


def test_the_folder_of_a_build_opens_by_the_head_of_its_card(built: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(built, out)
    (out / "shards" / "train-0-of-an-older-recipe.tar").write_bytes(b"x")
    program = (
        "import json, sys; from datasets import load_dataset; loaded = load_dataset(sys.argv[1], streaming=True);"
        "print(json.dumps({split: [one['__key__'] for one in samples] for split, samples in loaded.items()}))"
    )
    environment = {**os.environ, "HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-c", program, str(out)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr[-3000:]
    keys = json.loads(done.stdout.splitlines()[-1])
    assert {split: len(set(found)) for split, found in keys.items()} == {
        split: samples_of(built, split) for split in ("train", "test")
    }
