"""Builds on a real Dask cluster have the bytes of builds on this machine, whatever happens to the workers."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.dask_cluster import Cluster, cluster_of, wait_for

pytest.importorskip("distributed")

ON_DASK = ("--runner", "dask", "--dask-scheduler")
UNLIKE = ("last_run.json", ".lock")
"""Files that hold times, or nothing."""


def digests(out: Path) -> dict[str, str]:
    return {
        path.relative_to(out).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in out.rglob("*")
        if path.is_file() and path.name not in UNLIKE
    }


def sample_keys(out: Path) -> Counter[str]:
    """How often each sample is in the indexes."""
    return Counter(key for path in (out / "index").iterdir() for key in pq.read_table(path)["key"].to_pylist())


@pytest.mark.slow  # tests/pipelines/test_cluster_builds.py compares the bytes in `make test`
def test_a_build_on_two_workers_is_the_local_one(
    tmp_path: Path, run: Any, built: Any, photos: Path, recipe: Path, dask_cluster: Cluster
) -> None:
    words = (recipe, "--source", photos, "--out", tmp_path / "out", *ON_DASK, dask_cluster.address, "--json")
    done = run("build", *words)
    assert done.code == 0, done.err
    assert digests(tmp_path / "out") == digests(built.out)
    assert done.json["run"]["samples_rendered"] == built.build.json["run"]["samples_rendered"] > 0
    assert {*done.json["run"]["work_seconds"]} >= {*built.build.json["run"]["work_seconds"]}
    again = run("build", *words)
    assert again.json["run"]["samples_rendered"] == again.json["run"]["photos_analysed"] == 0


@pytest.mark.slow
def test_the_output_may_be_a_relative_path(
    tmp_path: Path, photos: Path, recipe: Path, built: Any, dask_cluster: Cluster
) -> None:
    command = [str(Path(sys.executable).with_name("faceloom")), "plan", str(recipe), "--source", str(photos)]
    words = ["--out", "out", *ON_DASK, dask_cluster.address, "--json"]
    done = subprocess.run([*command, *words], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["samples"] == built.plan.json["samples"]
    assert (tmp_path / "out" / "faces").is_dir()


@pytest.fixture(scope="module")
def many_photos(tmp_path_factory: pytest.TempPathFactory, photos: Path) -> Path:
    """Enough photos for some dozens of tasks: copies, each with other bytes."""
    root = tmp_path_factory.mktemp("many")
    for number in range(40):
        for path in sorted(photos.rglob("view *.jpg")):
            folder = root / f"{path.parent.name} {number}"
            folder.mkdir(exist_ok=True)
            (folder / path.name).write_bytes(path.read_bytes() + b" " * (number + 1))
    return root


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["faces/*/*", "work/*.tar*"])
def test_a_worker_killed_in_any_stage_changes_nothing(
    stage: str, tmp_path: Path, run: Any, many_photos: Path, recipe: Path
) -> None:
    plain = run("build", recipe, "--source", many_photos, "--out", tmp_path / "plain", workers=2)
    assert plain.code == 0, plain.err
    out = tmp_path / "out"
    with cluster_of(tmp_path / "cluster", workers=2) as cluster:
        command = [str(Path(sys.executable).with_name("faceloom")), "build", str(recipe), "--source", str(many_photos)]
        with subprocess.Popen([*command, "--out", str(out), *ON_DASK, cluster.address]) as build:
            wait_for(lambda: build.poll() is not None or [*out.glob(stage)], seconds=300)
            assert build.poll() is None, "the build was too quick to be disturbed"
            os.killpg(cluster.workers[0].pid, signal.SIGKILL)
            assert build.wait(timeout=300) == 0
    assert digests(out) == digests(tmp_path / "plain")
    assert set(sample_keys(out).values()) == {1}


@pytest.mark.slow
def test_one_worker_makes_the_same_bytes(tmp_path: Path, run: Any, built: Any, photos: Path, recipe: Path) -> None:
    with cluster_of(tmp_path / "cluster", workers=1, nanny=True) as cluster:
        words = (recipe, "--source", photos, "--out", tmp_path / "out", *ON_DASK, cluster.address)
        assert run("build", *words).code == 0
    assert digests(tmp_path / "out") == digests(built.out)


@pytest.mark.slow
def test_ctrl_c_stops_the_workers_and_the_next_run_goes_on(
    tmp_path: Path, run: Any, many_photos: Path, recipe: Path, dask_cluster: Cluster
) -> None:
    out = tmp_path / "out"
    words = (recipe, "--source", many_photos, "--out", out, *ON_DASK, dask_cluster.address)
    command = [str(Path(sys.executable).with_name("faceloom")), "build", *map(str, words)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as build:
        wait_for(lambda: [*out.glob("faces/*/*.parquet")])
        build.send_signal(signal.SIGINT)
        _, printed = build.communicate(timeout=60)
    assert build.returncode == 130
    assert "Traceback" not in printed and "distributed" not in printed
    left = digests(out)
    time.sleep(1)
    assert digests(out) == left, "no worker writes any more"
    assert not [path for path in left if ".partial-" in path]
    done = run("build", *words, "--json")
    assert done.code == 0, done.err
    assert done.json["run"]["photos_analysed"] < 240
