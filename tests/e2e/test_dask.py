"""Builds on a real Dask cluster have the bytes of builds on this machine, whatever happens to the workers."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from tests.dask_cluster import Cluster

ON_DASK = ("--runner", "dask", "--dask-scheduler")
UNLIKE = ("last_run.json", ".lock")
"""Files that hold times."""


def digests(out: Path) -> dict[str, str]:
    return {
        path.relative_to(out).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in out.rglob("*")
        if path.is_file() and path.name not in UNLIKE
    }


def test_a_build_on_two_workers_is_the_local_one(
    tmp_path: Path, run: Any, built: Any, photos: Path, recipe: Path, dask_cluster: Cluster
) -> None:
    words = (recipe, "--source", photos, "--out", tmp_path / "out")
    done = run("build", *words, *ON_DASK, dask_cluster.address, "--json")
    assert done.code == 0, done.err
    assert digests(tmp_path / "out") == digests(built.out)
    assert done.json["run"]["samples_rendered"] == built.build.json["run"]["samples_rendered"] > 0
