"""Every runner does the same: each task once, then each group once, with the same results and errors."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from faceloom.pipelines.run.run_tasks import check_workers, run_tasks, shared_folder
from faceloom.pipelines.run.runners import Dask, DataflowBuild, Workers
from faceloom.schemas.errors import SourceError, WorkerError
from faceloom.schemas.recipe import parse_recipe
from tests.dataflow_rehearsal import rehearsal
from tests.object_stores import gcs_server
from tests.pipelines.run.tasks import count_group, fail_at, leave_a_file, pass_on

pytestmark = pytest.mark.usefixtures("beam")
TASKS = [(key, number) for key in "abc" for number in range(4)]
RUNNERS = ["in this process", "worker processes", "Dask", "Dataflow"]


@pytest.fixture(params=RUNNERS)
def workers(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Workers]:
    if request.param == "Dask":
        yield request.getfixturevalue("dask_cluster").dask
    elif request.param == "Dataflow":
        with gcs_server() as bucket, rehearsal(clean=False) as service:
            yield service.dataflow(f"--temp_location={bucket}/temp", folder=str(tmp_path / "out"), build="0123")
        assert not list(tmp_path.glob("out/work/*")), "no task is left behind"
    else:
        yield 1 + RUNNERS.index(request.param)


def test_every_runner_does_each_task_once_and_then_its_group(tmp_path: Path, workers: Workers) -> None:
    counts: list[int] = []
    do, then = partial(leave_a_file, folder=tmp_path), partial(count_group, folder=tmp_path)
    seconds = run_tasks(TASKS, do, workers=workers, then=then, on_count=counts.append)
    assert seconds == {"work": 6.0, "of a": 1.0, "of b": 1.0, "of c": 1.0}
    attempts = Counter((tmp_path / f"{key}-{number}").read_text().count("\n") for key, number in TASKS)
    assert attempts == {1: len(TASKS)}
    assert [(tmp_path / f"{key}.then").read_text() for key in "abc"] == ["4\n"] * 3, "once each, after all of the group"
    assert counts[-1] == len(TASKS) and counts == sorted(counts)


def test_every_runner_does_tasks_without_then(tmp_path: Path, workers: Workers) -> None:
    assert run_tasks(TASKS[:2], partial(leave_a_file, folder=tmp_path), workers=workers)["work"] == 1.0


def test_one_error_among_many_tasks_ends_every_run(tmp_path: Path, workers: Workers) -> None:
    do = partial(fail_at, bad=("b", 2), error=SourceError("gone", where="a/b", remedy="Bring it"), folder=tmp_path)
    with pytest.raises(SourceError, match=r"^a/b: gone.*Bring it$"):
        run_tasks(TASKS, do, workers=workers, then=partial(count_group, folder=tmp_path))
    assert not list(tmp_path.glob("b.then")), "a group with a failed task is not gathered"


def test_without_tasks_there_is_no_runner() -> None:
    assert run_tasks([], pass_on, workers=Dask("no address")) == {}


def test_workers_elsewhere_get_the_whole_path_of_the_output_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert shared_folder("out", 2) == ("out", 2)
    found, workers = shared_folder("out", Dask("tcp://a:1"))
    assert isinstance(workers, Dask)
    assert found == workers.folder == str(tmp_path / "out") and workers.scheduler == "tcp://a:1"
    assert shared_folder("s3://a/b", Dask("tcp://a:1"))[0] == "s3://a/b"


def test_every_build_has_a_name_of_its_own() -> None:
    names = {shared_folder("out", Dask("tcp://a:1"))[1].build for _ in range(3)}  # type: ignore[union-attr]
    assert len(names) == 3 and "" not in names


def test_only_a_cluster_is_checked_ahead() -> None:
    recipe = parse_recipe({"name": "x", "masks": [{"kind": "polygon", "shape": "A"}]})
    assert check_workers(2, recipe) == 2
    dataflow = DataflowBuild("some-project", "europe-west4", "", folder="gs://b/out")
    with pytest.raises(WorkerError, match="image"):
        check_workers(dataflow, recipe)


def test_what_one_runner_needs_is_imported_by_it_alone() -> None:
    names = {"apache_beam", "distributed", "google.auth"}
    code = f"import sys, faceloom.pipelines.run.run_tasks; print({names} & {{*sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
