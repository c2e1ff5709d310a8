"""The wait for a job: its progress, its end, and what is known about a failure. The service is a stand-in by HTTP."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from faceloom.pipelines.run import dataflow_job
from faceloom.pipelines.run.dataflow_run import run_on_dataflow
from faceloom.pipelines.run.runners import DataflowBuild
from faceloom.schemas.errors import FaceloomError, SourceError, StorageError, WorkerError, error_to_json
from tests.dataflow_service import Job, Service, dataflow_service
from tests.object_stores import gcs_server
from tests.pipelines.run.tasks import pass_on

pytest.importorskip("google.cloud.dataflow_v1beta3", reason="needs the extra `dataflow`")
TASKS = [("a", 1), ("b", 2)]
URL = "https://console.cloud.google.com/dataflow/jobs/europe-west4/2026-11-26_0?project=some-project"


@dataclass
class Bench:
    """A service, a runner whose jobs go there, and what the user sees."""

    service: Service
    dataflow: DataflowBuild
    out: Path
    counts: list[int]
    notes: list[str]

    def run(self) -> dict[str, float]:
        return run_on_dataflow(
            TASKS,
            pass_on,
            dataflow=self.dataflow,
            stage="analyse",
            on_count=self.counts.append,
            on_note=self.notes.append,
        )

    def leave_error(self, error: Exception) -> None:
        """As a worker does."""
        [tasks] = self.out.glob("work/*.tasks")
        tasks.with_name(tasks.name.replace(".tasks", ".error.json")).write_text(error_to_json(error))


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    with gcs_server() as url:
        yield url


@pytest.fixture
def bench(bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setattr(dataflow_job, "_POLL_SECONDS", 0.05)
    monkeypatch.setattr(dataflow_job, "_MESSAGE_SECONDS", 0.0)
    with dataflow_service() as service:
        dataflow = service.dataflow(f"--temp_location={bucket}/temp", folder=str(tmp_path / "out"), build="0123")
        yield Bench(service, dataflow, tmp_path / "out", [], [])


def test_counters_become_progress_and_seconds(bench: Bench) -> None:
    def work(job: Job) -> None:
        for items in (1, 2, 1):  # a bundle that is tried again takes its items back
            job.counters = {("faceloom", "items"): items, ("faceloom_seconds", "read"): 2_500_000, ("other", "x"): 3}
            time.sleep(0.3)
        job.state = "DONE"

    bench.service.run = work
    assert bench.run() == {"read": 2.5}
    assert bench.counts[-1] == 2 and bench.counts == sorted(bench.counts)
    assert bench.notes == [f"Dataflow job 2026-11-26_0: {URL}"]
    assert not [*bench.out.glob("work/*")]


def end(state: str, *messages: str, error: FaceloomError | None = None) -> Any:
    def work(bench: Bench, job: Job) -> None:
        if error:
            bench.leave_error(error)
        job.messages, job.state = list(messages), state

    return work


@pytest.mark.parametrize(
    ("work", "kind", "message"),
    [
        (  # a later try has mended the error
            end("FAILED", "Quota exceeded: CPUS", error=SourceError("gone", where="a/b", remedy="Bring it")),
            WorkerError,
            r"the Dataflow job ended as FAILED .got Quota exceeded: CPUS",
        ),
        (
            end(
                "FAILED",
                "Traceback\nSourceError: a/b: gone. Bring it",
                error=SourceError("gone", where="a/b", remedy="Bring it"),
            ),
            SourceError,
            r"^a/b: gone .on Dataflow, four times",
        ),
        (
            end("FAILED", error=SourceError("gone", where="a/b", remedy="Bring it")),
            SourceError,
            r"^a/b: gone .on Dataflow, four times; https://console.*\. Bring it$",
        ),
        (
            end("FAILED", "The work item was attempted 4 times", "Traceback\nMemoryError"),
            WorkerError,
            r"^https://console.*: the Dataflow job ended as FAILED .got Traceback MemoryError.*logs of its workers",
        ),
        (end("FAILED", "Quota 'CPUS' exceeded"), WorkerError, r"Quota 'CPUS'.*Ask for more quota in the region"),
        (end("FAILED"), WorkerError, r"ended as FAILED\. Read the logs"),
        (end("CANCELLED"), WorkerError, r"the Dataflow job was cancelled\. Run the same command again"),
        (end("CANCELLED", error=SourceError("gone")), WorkerError, r"the Dataflow job was cancelled"),
        (end("DRAINED"), WorkerError, r"ended as DRAINED"),
    ],
)
def test_a_job_that_fails_is_explained(bench: Bench, work: Any, kind: type[FaceloomError], message: str) -> None:
    bench.service.run = partial(work, bench)
    with pytest.raises(kind, match=message):
        bench.run()
    assert not [*bench.out.glob("work/*")]


def test_ctrl_c_cancels_the_job(bench: Bench) -> None:
    bench.service.run = lambda job: None

    def interrupt(count: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_on_dataflow(
            TASKS, pass_on, dataflow=bench.dataflow, stage="a", on_count=interrupt, on_note=bench.notes.append
        )
    assert [job.state for job in bench.service.jobs] == ["CANCELLED"]
    assert "2026-11-26_0 is being cancelled" in bench.notes[-1]


def test_a_job_that_cannot_be_cancelled_is_named_with_the_command(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.service.run = lambda job: None
    monkeypatch.setattr(dataflow_job, "_CANCEL_SECONDS", 0.2)
    bench.service.refuse = lambda method, path: (403, "no") if method == "PUT" else None

    def interrupt(count: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_on_dataflow(
            TASKS, pass_on, dataflow=bench.dataflow, stage="a", on_count=interrupt, on_note=bench.notes.append
        )
    assert "gcloud dataflow jobs cancel 2026-11-26_0 --region europe-west4 --project some-project" in bench.notes[-1]


def test_a_service_that_refuses_to_be_asked_leaves_the_job_alone(bench: Bench) -> None:
    bench.service.run = lambda job: None
    bench.service.refuse = lambda method, path: (403, "no more") if method == "GET" else None
    with pytest.raises(WorkerError, match=r"403 .*no more.*The job goes on: https://console.*gcloud dataflow jobs"):
        bench.run()
    assert [job.state for job in bench.service.jobs] == ["RUNNING"]
    assert [*bench.out.glob("work/*.tasks")], "it needs them"


@pytest.mark.parametrize(
    ("status", "text", "message"),
    [
        (403, "Dataflow API has not been used", r"some-project, region europe-west4: .*403.*Enable the Dataflow API"),
        (404, "no such project", r"404.*Check --project and --region"),
        (429, "Quota exceeded", r"429.*Ask for more quota"),
        (400, "bad machine type", r"400.*Check the options of Beam"),
    ],
)
def test_a_job_that_is_refused_is_explained(bench: Bench, status: int, text: str, message: str) -> None:
    bench.service.refuse = lambda method, path: (status, text)
    with pytest.raises(WorkerError, match=message):
        bench.run()
    assert not bench.service.jobs and not [*bench.out.glob("work/*")]


def test_a_second_job_of_a_stage_is_refused_while_the_first_one_runs(bench: Bench) -> None:
    bench.service.jobs.append(Job("7", {"name": "faceloom-0123-analyse", "clientRequestId": "other"}, "RUNNING"))
    with pytest.raises(WorkerError, match=r"a job of this stage is active .got .*with id: 7.*Wait until it ends"):
        bench.run()


def test_a_bucket_that_is_not_there_is_named(bench: Bench) -> None:
    options = ("--temp_location=gs://nowhere/temp", *bench.dataflow.options[:2])
    bench.dataflow = replace(bench.dataflow, options=options)
    with pytest.raises(StorageError, match=r"gs://nowhere/temp.*Create the bucket first"):
        bench.run()
    assert not bench.service.jobs
