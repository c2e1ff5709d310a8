"""A whole build through Dataflow's front door: captured, and rehearsed in clean processes on an emulated bucket."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from faceloom.pipelines.store.storage import Storage
from tests.dataflow_rehearsal import rehearsal, rehearse, upload
from tests.dataflow_service import IMAGE, Service
from tests.object_stores import gcs_server
from tests.tree_digest import digests, tree_digest

ON_DATAFLOW = ("--runner", "dataflow", "--project", "some-project", "--region", "europe-west4", "--image", IMAGE)


@pytest.fixture(scope="module")
def bucket(photos: Path) -> Iterator[str]:
    with gcs_server() as url:
        upload(photos, f"{url}/{photos.name}")
        yield url


@pytest.fixture
def service() -> Iterator[Service]:
    with rehearsal() as found:
        yield found


def test_a_rehearsed_build_is_the_local_one(
    run: Any, built: Any, photos: Path, recipe: Path, bucket: str, service: Service
) -> None:
    out = f"{bucket}/out"
    words = (recipe, "--source", f"{bucket}/{photos.name}", "--out", out, *ON_DATAFLOW, "--json")
    beam = ("--", f"--dataflow_endpoint={service.address}", "--no_auth")
    done = run("build", *words, *beam)
    assert done.code == 0, done.err
    assert digests(out) == digests(str(built.out))
    assert tree_digest(out) == tree_digest(str(built.out))
    assert [job.request["labels"]["faceloom-stage"] for job in service.jobs] == ["analyse", "render"]
    [build] = {job.request["labels"]["faceloom-build"] for job in service.jobs}
    assert all(build in job.request["name"] for job in service.jobs)
    was, now = built.build.json["run"], done.json["run"]
    assert [job.counters["faceloom", "items"] for job in service.jobs] == [
        now["photos_analysed"],
        now["samples_rendered"],
    ]
    assert now["samples_rendered"] == was["samples_rendered"] > 0
    assert {*now["work_seconds"]} >= {*was["work_seconds"]}
    assert "https://console.cloud.google.com/dataflow/jobs/europe-west4/2026-11-26_0" in done.err
    assert not Storage(out).list("work"), "tasks and staged pipelines are gone"
    again = run("build", *words, *beam)
    assert again.json["run"]["samples_rendered"] == again.json["run"]["photos_analysed"] == 0
    assert len(service.jobs) == 2


@pytest.mark.slow
def test_a_template_that_is_launched_again_and_again_builds_the_set(
    run: Any, built: Any, photos: Path, recipe: Path, bucket: str, service: Service
) -> None:
    """Each launch writes a job file, and the launcher starts it; the last launch writes the final files."""
    import json

    from tests.dataflow_service import Job

    out, folder = f"{bucket}/flex", Storage(f"{bucket}/launches")
    stages = []
    for number in range(3):
        template = f"--template_location={folder.root}/{number}"
        options = (
            template,
            f"--dataflow_endpoint={service.address}",
            "--no_auth",
            f"--job_name=launch-{number}",
            f"--temp_location={bucket}/temp",
        )
        words = (recipe, "--source", f"{bucket}/{photos.name}", "--out", out, *ON_DATAFLOW, "--", *options)
        done = run("build", *words)
        assert done.code == 0, done.err
        if folder.exists(str(number)):
            assert "Launch the template again with the same parameters" in done.err
            job = Job(str(number), json.loads(folder.read_bytes(str(number))))
            rehearse(job)
            stages.append(job.request["labels"]["faceloom-stage"])
    assert stages == ["analyse", "render"]
    assert digests(out) == digests(str(built.out))
    assert not service.jobs
