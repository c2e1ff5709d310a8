"""Tasks become one job: a linear chain with nothing in it but numbers. What is submitted is captured."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from faceloom.pipelines.run import dataflow_job
from faceloom.pipelines.run.dataflow_run import make_pipeline, run_on_dataflow
from faceloom.pipelines.run.dataflow_worker import Work, read_task
from faceloom.pipelines.run.runners import DataflowBuild, JobPrepared
from faceloom.pipelines.store.storage import Storage
from tests.dataflow_rehearsal import key_fields, run_pipeline, staged_pipeline
from tests.dataflow_service import IMAGE, Job, Service, dataflow_service
from tests.object_stores import gcs_server
from tests.pipelines.run.chain_check import steps_of_chain
from tests.pipelines.run.tasks import pass_on

pytest.importorskip("google.cloud.dataflow_v1beta3", reason="needs the extra `dataflow`")
TASKS = [("a", 1), ("b", 2)]
NUMBERS = Work("gs://bucket/out", "1", tuple, 3, ())


def ignore(value: Any) -> None:
    """What follows a group; it is never called."""


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    with gcs_server() as url:
        yield url


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    monkeypatch.setattr(dataflow_job, "_POLL_SECONDS", 0.05)
    with dataflow_service() as found:
        yield found


def runner(service: Service, bucket: str, *options: str, **values: Any) -> DataflowBuild:
    own = {"folder": f"{bucket}/out", "build": "0123456789ab", "recipe": "two_masks", "memory": 10**9, **values}
    return replace(service.dataflow(*options), **own)


@pytest.mark.parametrize("then", [None, ignore])
def test_the_pipeline_is_a_linear_chain(then: Any) -> None:
    dataflow = DataflowBuild(
        "some-project", "europe-west4", IMAGE, ("--no_auth",), dry_run=True, folder="gs://bucket/out"
    )
    pipeline = make_pipeline(NUMBERS, pass_on, dataflow=dataflow, stage="render", then=then)
    assert steps_of_chain(pipeline) == ["Tasks", "Spread", "Do", *(["Gather", "Then"] if then else [])]


def test_the_real_service_gets_no_pickle_of_this_process_either() -> None:
    """Beam has other defaults for it than for a stand-in."""
    dataflow = DataflowBuild("some-project", "europe-west4", IMAGE, dry_run=True, folder="gs://bucket/out")
    pipeline = make_pipeline(NUMBERS, pass_on, dataflow=dataflow, stage="render", then=None)
    pipeline.run()
    [environment] = pipeline.runner.job.proto_pipeline.components.environments.values()
    assert not environment.dependencies


def test_a_hundred_thousand_tasks_make_a_small_pipeline() -> None:
    dataflow = DataflowBuild("some-project", "europe-west4", IMAGE, dry_run=True, folder="gs://bucket/out")
    pipeline = make_pipeline(replace(NUMBERS, number=100_000), pass_on, dataflow=dataflow, stage="a", then=None)
    assert pipeline.to_runner_api().ByteSize() < 10**6


def test_a_submission_holds_what_was_named_and_no_more(service: Service, bucket: str) -> None:
    seen: list[str] = []

    def look(job: Job) -> None:
        seen.extend(Storage(f"{bucket}/out").list())
        [name] = [Path(path).stem.removeprefix("dataflow-") for path in seen if path.endswith(".tasks")]
        work = Work(f"{bucket}/out", name, tuple, 2, ())
        assert [read_task(work, number) for number in (0, 1)] == TASKS
        job.state = "DONE"

    service.run = look
    dataflow = runner(service, bucket, "--max_num_workers=5", "--labels=team=faces", "--no_use_public_ips")
    assert run_on_dataflow(TASKS, pass_on, dataflow=dataflow, stage="analyse", then=ignore) == {}
    [job] = service.jobs
    fields = key_fields(job)
    assert fields["name"] == "faceloom-two-masks-0123456789ab-analyse"
    assert fields["labels"] == {
        "faceloom-build": "0123456789ab",
        "faceloom-stage": "analyse",
        "faceloom-version": fields["labels"]["faceloom-version"],
        "team": "faces",
    }
    assert (fields["image"], fields["threads"], fields["packages"]) == (IMAGE, 1, [])
    assert fields["hints"] == {"min_ram_bytes": "4000000000", "cpu_count": "2"}
    assert job.pool["autoscalingSettings"] == {"maxNumWorkers": 5}
    assert job.pool["ipConfiguration"] == 2, "private addresses"
    assert job.request["type"] == 1 and "steps" not in job.request, "a batch job; the graph is the staged pipeline"
    assert job.options["sdk_location"] == "container" and job.options["save_main_session"] is False
    proto = staged_pipeline(job)
    graph = proto.components.transforms
    root = list(proto.root_transform_ids)
    names = [graph[name].unique_name for name in (graph[root[0]].subtransforms if len(root) == 1 else root)]
    assert names == ["Tasks", "Spread", "Do", "Gather", "Then"]
    [environment] = proto.components.environments.values()
    assert not environment.dependencies, "nothing is installed when a worker starts"
    assert fields["request_bytes"] < 10**5 and fields["pipeline_bytes"] < 10**5
    [staged, tasks] = sorted(seen, key=lambda path: path.endswith(".tasks"))
    assert staged.startswith("work/dataflow/faceloom-two-masks-0123456789ab-analyse.")
    assert staged.endswith("/pipeline.pb") and tasks.startswith("work/dataflow-")


def test_a_dry_run_sends_nothing(service: Service, bucket: str) -> None:
    with pytest.raises(JobPrepared) as caught:
        odd = runner(service, bucket, dry_run=True, region="us-west99a")
        run_on_dataflow(TASKS, pass_on, dataflow=odd, stage="render", then=ignore)
    job = caught.value.job
    assert caught.value.dataflow == odd
    assert job and (job.name, job.tasks) == ("faceloom-two-masks-0123456789ab-render", 2)
    assert job.hints == {"min_ram": "4GB", "cpu_count": "2"} and job.image == IMAGE
    assert job.steps == ("Tasks", "Spread", "Do", "Gather", "Then")
    assert not service.seen


def test_a_template_leaves_a_job_file_and_the_tasks_of_its_job(service: Service, bucket: str) -> None:
    place = f"{bucket}/templates/job"
    options = (f"--template_location={place}", "--job_name=flex-1", f"--temp_location={bucket}/temp")
    dataflow = runner(service, bucket, *options, folder=f"{bucket}/flex")
    with pytest.raises(JobPrepared) as caught:
        run_on_dataflow(TASKS, pass_on, dataflow=dataflow, stage="analyse")
    assert caught.value.job and caught.value.job.template == place
    assert not service.jobs
    written = json.loads(Storage(f"{bucket}/templates").read_bytes("job"))
    assert written["name"] == "flex-1" and written["labels"]["faceloom-stage"] == "analyse"
    [tasks] = Storage(f"{bucket}/flex").list()
    assert tasks.endswith(".tasks")
    counters = run_pipeline(staged_pipeline(Job("1", written)), workers=1, clean=False)
    assert counters == {}, "the tasks of this test count nothing, and end without an error"
