"""Rehearse a build on Dataflow: everything is real, but for the service, the image and the bucket.

    python -m tests.dataflow_rehearsal masked-pairs --source FOLDER

The jobs that the build submits are captured. Their staged pipelines run in clean Python processes, which have the
installed package and nothing of this process, and read and write an emulated bucket. It proves the graph, pickling,
coders, tasks, files, options and errors. It proves nothing about quotas, permissions, the network or the image.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import shlex
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from faceloom.pipelines.run import dataflow_job
from faceloom.pipelines.store.storage import Storage
from tests.dataflow_service import Job, Service, dataflow_service
from tests.object_stores import gcs_server
from tests.tree_digest import tree_digest

PASSED = ("CONTROL_API_SERVICE_DESCRIPTOR", "LOGGING_API_SERVICE_DESCRIPTOR", "PIPELINE_OPTIONS", "WORKER_ID")
KEPT = ("STORAGE_EMULATOR_HOST", "FACELOOM_LANDMARK_MODEL", "AWS_")


def clean_worker() -> str:
    """Command of a worker: a Python process without this one's environment, folder and modules."""
    values = {name: value for name, value in os.environ.items() if name.startswith(KEPT)}
    values |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    words = [*(f'{name}="${name}"' for name in PASSED), *(f"{n}={shlex.quote(v)}" for n, v in values.items())]
    python = f"{shlex.quote(sys.executable)} -I -W ignore -m apache_beam.runners.worker.sdk_worker_main"
    return f"cd / && exec env -i {' '.join(words)} {python} 2>/dev/null"


def staged_pipeline(job: Job) -> Any:
    """The proto of a job, from where the service would read it."""
    from apache_beam.portability.api import beam_runner_api_pb2

    folder, _, name = job.options["pipelineUrl"].rpartition("/")
    data = Storage(folder).read_bytes(name)
    assert hashlib.sha256(data).hexdigest() == job.options["pipelineProtoHash"]
    return beam_runner_api_pb2.Pipeline.FromString(data)


def run_pipeline(proto: Any, workers: int, clean: bool = True) -> dict[tuple[str, str], int]:
    """Run a staged pipeline in clean processes, in place of its Docker containers; returns its counters.

    With `clean=False` it runs in this process, which knows the functions of tests.
    """
    from apache_beam.options.pipeline_options import PipelineOptions
    from apache_beam.portability import common_urns, python_urns
    from apache_beam.runners.portability.fn_api_runner import FnApiRunner

    for environment in proto.components.environments.values():
        assert environment.urn == common_urns.environments.DOCKER.urn and not environment.dependencies
        command = clean_worker().encode()
        environment.urn, environment.payload = (
            (python_urns.SUBPROCESS_SDK, command) if clean else (python_urns.EMBEDDED_PYTHON, b"")
        )
    runner = FnApiRunner()
    runner._num_workers = workers
    result = runner.run_via_runner_api(proto, PipelineOptions([]))
    result.wait_until_finish()
    counters = result.metrics().query()["counters"]
    return {(one.key.metric.namespace, one.key.metric.name): one.committed for one in counters}


def rehearse(job: Job, workers: int = 1, clean: bool = True) -> None:
    """Do a job as the service would. It is the `run` of a `Service`, which catches its errors."""
    job.counters = run_pipeline(staged_pipeline(job), workers, clean)
    job.state = "DONE"


@contextlib.contextmanager
def rehearsal(workers: int = 1, clean: bool = True) -> Iterator[Service]:
    """A service that rehearses all jobs, and that is asked often."""
    pytest.importorskip("google.cloud.dataflow_v1beta3", reason="needs the extra `dataflow`")
    with dataflow_service() as service, mock.patch.object(dataflow_job, "_POLL_SECONDS", 0.1):
        service.run = lambda job: rehearse(job, workers, clean)
        yield service


def upload(folder: Path, url: str) -> None:
    """Copy a folder into a bucket."""
    storage = Storage(url)
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            with storage.write(file.relative_to(folder).as_posix()) as stream:
                stream.write(file.read_bytes())


def key_fields(job: Job) -> dict[str, Any]:
    """What is worth a look in a captured job."""
    proto = staged_pipeline(job)
    [environment] = proto.components.environments.values()
    return {
        "name": job.request["name"],
        "state": job.state,
        "labels": job.request["labels"],
        "image": job.pool["workerHarnessContainerImage"],
        "threads": job.pool["numThreadsPerWorker"],
        "hints": {urn.split(":")[-2]: value.decode() for urn, value in environment.resource_hints.items()},
        "packages": job.pool.get("packages", []),
        "request_bytes": len(str(job.request)),
        "pipeline_bytes": proto.ByteSize(),
        "items": job.counters.get(("faceloom", "items"), 0),
    }


def main() -> None:
    """Build with the given sources in an emulated bucket, and print jobs, seconds and the digest of the tree."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe")
    parser.add_argument("--source", type=Path, required=True, help="folder of photos, copied into the bucket first")
    parser.add_argument("--workers", type=int, default=2, help="worker processes of each job")
    parser.add_argument("--compare", type=Path, help="output folder of a local build of the same folder")
    given = parser.parse_args()
    import faceloom

    with gcs_server() as bucket, rehearsal(given.workers) as service:
        upload(given.source, f"{bucket}/{given.source.name}")
        begin = time.perf_counter()
        # Elsewhere than in the output, whose build deletes them at its end.
        dataflow = service.dataflow(f"--temp_location={bucket}/temp")
        done = faceloom.build(given.recipe, f"{bucket}/{given.source.name}", out=f"{bucket}/out", workers=dataflow)
        seconds = time.perf_counter() - begin
        for job in service.jobs:
            print(*(f"{name}: {value}" for name, value in key_fields(job).items()), sep="\n", end="\n\n")
        print(f"samples: {done.rendered}\nseconds: {seconds:.1f}\ndigest: {tree_digest(done.out)}")
        if given.compare:
            print(f"local: {tree_digest(str(given.compare))}")


if __name__ == "__main__":
    main()
