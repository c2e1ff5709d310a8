"""The command line with photos in one store and the output in another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from faceloom.pipelines.store.storage import Storage
from tests.dask_cluster import cluster_of
from tests.object_stores import gcs_server, s3_server
from tests.tree_digest import digests


def lay(photos: Path, bucket: str) -> str:
    """Upload the photos; returns their URL."""
    source = Storage(f"{bucket}/{photos.name}")
    for file in photos.rglob("*"):
        if file.is_file():
            with source.write(file.relative_to(photos).as_posix()) as stream:
                stream.write(file.read_bytes())
    return source.root


@pytest.mark.slow
def test_photos_of_one_store_become_samples_in_another(photos: Path, recipe: Path, run: Any, built: Any) -> None:
    with s3_server() as bucket, gcs_server() as other:
        source, out = lay(photos, bucket), f"{other}/out"
        done = run("build", recipe, "--source", source, "--out", out, workers=2)
        assert done.code == 0, done.err
        assert digests(out) == digests(str(built.out))
        assert run("verify", out).code == 0 and run("show", out, "--rejects").code == 0
        refused = run("build", recipe, "--source", source, "--out", f"{source}/out")
        assert refused.code == 2 and "lies inside this source" in refused.err


@pytest.mark.slow
@pytest.mark.parametrize("server", [s3_server, gcs_server])
def test_a_cluster_reads_and_writes_a_store(
    server: Any, tmp_path: Path, photos: Path, recipe: Path, run: Any, built: Any
) -> None:
    with server() as bucket, cluster_of(tmp_path / "cluster", workers=2) as cluster:
        source, out = lay(photos, bucket), f"{bucket}/out"
        on_dask = ("--runner", "dask", "--dask-scheduler", cluster.address)
        done = run("build", recipe, "--source", source, "--out", out, *on_dask, "--json")
        assert done.code == 0, done.err
        assert digests(out) == digests(str(built.out))
        assert done.json["run"]["samples_rendered"] == built.build.json["run"]["samples_rendered"]
        assert run("verify", out).code == 0


@pytest.mark.slow
def test_a_cluster_that_does_not_know_the_store_is_an_error_before_work_begins(
    tmp_path: Path, photos: Path, recipe: Path, run: Any
) -> None:
    with cluster_of(tmp_path / "cluster", workers=1) as cluster, s3_server() as bucket:
        on_dask = ("--runner", "dask", "--dask-scheduler", cluster.address)
        done = run("build", recipe, "--source", photos, "--out", f"{bucket}/out", *on_dask)
    assert done.code == 1
    assert "this worker cannot use the output folder" in done.err and "the variables that name the store" in done.err
