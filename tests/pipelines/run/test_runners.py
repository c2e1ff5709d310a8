"""Who runs tasks, as plain values."""

from __future__ import annotations

import inspect
import pickle

import pytest

from faceloom.pipelines.run.runners import Dask, Dataflow, DataflowBuild, JobPrepared, here


def test_a_cluster_is_a_small_value() -> None:
    cluster = Dask("tcp://host:8786", folder="/out")
    assert pickle.loads(pickle.dumps(cluster)) == cluster


def test_a_cluster_has_no_worker_process_on_this_machine() -> None:
    assert here(3) == 3
    assert here(Dask("tcp://host:8786")) == 0
    assert here(Dataflow("p", "r", "i")) == 0


@pytest.mark.parametrize(
    ("options", "dry_run", "waits"),
    [((), False, True), ((), True, False), (("--template_location=gs://b/t",), False, False)],
)
def test_a_build_waits_for_its_jobs_unless_others_run_them(
    options: tuple[str, ...], dry_run: bool, waits: bool
) -> None:
    assert Dataflow("p", "r", "i", options, dry_run=dry_run).waits == waits


def test_the_signature_of_a_runner_has_what_users_give() -> None:
    assert [*inspect.signature(Dataflow).parameters] == ["project", "region", "image", "options", "dry_run"]


def test_a_build_that_needs_no_job_says_so() -> None:
    assert str(JobPrepared(None, DataflowBuild("p", "r", "i"))) == "no job is needed"
