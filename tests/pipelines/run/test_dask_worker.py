"""A worker checks itself, answers with results or errors, and stops when no driver waits for it."""

from __future__ import annotations

import importlib.metadata
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from faceloom.pipelines.run import dask_worker as module
from faceloom.pipelines.run import progress
from faceloom.pipelines.run.dask_worker import (
    Call,
    Needs,
    answer,
    fault_of_worker,
    is_running,
    other_versions,
    other_versions_of_scheduler,
    versions,
)
from faceloom.pipelines.store import object_client
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import PhotoError, StorageError, WorkerError, error_from_json
from tests.object_stores import fresh_clients, s3_server
from tests.pipelines.run.tasks import double, fail, pass_on, tick_and_wait

NEEDS = Needs(tuple(versions().items()))


class Worker:
    """What of a Dask worker a task sees."""

    def __init__(self, threads: int = 1) -> None:
        self.address = "tcp://a:1"
        self.state = SimpleNamespace(nthreads=threads, tasks={})
        self.events: list[Any] = []

    def log_event(self, topic: str, message: Any) -> None:
        self.events.append((topic, message))


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Worker:
    distributed = pytest.importorskip("distributed")
    one = Worker()
    monkeypatch.setattr(distributed, "get_worker", lambda: one)
    return one


def call(function: Any, argument: Any, worker: Worker, needs: Needs = NEEDS) -> Call:
    made = Call("run", 3, 1, function, argument, needs)
    worker.state.tasks[made.key] = SimpleNamespace(state="executing")
    return made


def test_versions_are_those_that_bytes_depend_on() -> None:
    found = versions()
    assert {"Python", "faceloom", "analyser", "renderer", "numpy", "opencv-python-headless", "dlib-bin"} <= {*found}
    assert other_versions(found) == ""


def test_other_versions_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = {**versions(), "numpy": "1.0", "Python": "3.9"}
    shown = other_versions(wanted)
    assert "numpy" in shown and " instead of 1.0" in shown and " instead of 3.9" in shown


def test_a_package_that_only_one_side_has_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    assert other_versions({**versions(), "made-up": "1"}) == ""
    full, real = versions(), importlib.metadata.version

    def without_torch(name: str) -> str:
        if name == "torch":
            raise importlib.metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(module, "version", without_torch)
    assert "torch" not in versions() and other_versions(full) == ""


def test_a_call_is_answered(worker: Worker) -> None:
    found = answer(call(double, 4, worker))
    assert (found.result, found.error, found.worker) == (8, "", "tcp://a:1")


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (PhotoError("no_face", "none", where="x.jpg"), False),
        (StorageError("cannot be written", where="x"), True),
        (WorkerError("memory ran out"), True),
        (MemoryError(), True),
    ],
    ids=["photo", "storage", "machine", "memory"],
)
def test_an_error_is_an_answer_and_only_faults_of_machines_are_tried_again(
    worker: Worker, error: Exception, again: bool
) -> None:
    found = answer(call(partial(fail, error=error), 1, worker))
    assert found.again == again
    back = error_from_json(found.error)
    assert isinstance(back, WorkerError if isinstance(error, MemoryError) else type(error))


def test_items_are_counted_and_reported_now_and_then(
    tmp_path: Path, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "go").touch()
    assert answer(call(tick_and_wait, tmp_path, worker)).count == 5
    assert worker.events == [], "a short task needs no report"
    monkeypatch.setattr(module, "_TICK_SECONDS", 0)
    answer(call(tick_and_wait, tmp_path, worker))
    assert worker.events == [(module.TOPIC, ["run", 3, 1, 5])]


@pytest.mark.parametrize("state", ["cancelled", None])
def test_a_task_without_a_client_ends_at_its_next_tick(tmp_path: Path, worker: Worker, state: str | None) -> None:
    made = call(tick_and_wait, tmp_path, worker)
    worker.state.tasks[made.key] = SimpleNamespace(state=state) if state else None
    assert "cancelled" in answer(made).error
    assert not (tmp_path / "ticked").exists()


def test_a_worker_knows_which_runs_it_works_for(worker: Worker) -> None:
    assert answer(call(is_running, "run", worker)).result is True
    assert not is_running("run") and progress._add is None


def test_a_worker_forgets_what_it_read_for_another_build(worker: Worker) -> None:
    """A table may have changed since; a process of one machine ends with its build. The detector of dlib cannot."""
    from faceloom.pipelines import context
    from faceloom.pipelines.analyse.model_files import load_detector

    def call_of(build: str) -> Call:
        return call(double, 1, worker, replace(NEEDS, build=build))

    answer(call_of("one"))
    context._recipe('{"name": "x"}')
    answer(call_of("one"))
    assert context._recipe.cache_info().currsize == 1
    detector = load_detector()
    answer(call_of("two"))
    assert context._recipe.cache_info().currsize == 0
    assert load_detector() is detector


def test_an_environment_variable_that_changes_results_is_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACELOOM_LANDMARK_MODEL", "/other")
    assert other_versions(dict(NEEDS.versions)) == "FACELOOM_LANDMARK_MODEL /other instead of unset"
    assert other_versions_of_scheduler(dict(NEEDS.versions)) == "", "a scheduler does no tasks"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / ".partial-1-2").write_text("token")
    return tmp_path


def test_a_worker_that_is_fit_writes_to_the_output_folder_and_leaves_nothing(folder: Path) -> None:
    needs = Needs(NEEDS.versions, str(folder), ".partial-1-2", "token")
    assert fault_of_worker(needs, Worker()) == ""
    assert [path.name for path in folder.iterdir()] == [".partial-1-2"]


@pytest.mark.parametrize(
    ("needs", "threads", "message"),
    [
        (Needs((("numpy", "1.0"),)), 1, "other versions than here .got numpy .* instead of 1.0"),
        (NEEDS, 4, "tasks cannot share a process .got 4 threads.*--nthreads 1"),
        (Needs(NEEDS.versions, "FOLDER", "other", "token"), 1, "does not see the output folder .*Mount the same"),
        (Needs(NEEDS.versions, "FOLDER", ".partial-1-2", "older"), 1, "does not see the output folder"),
        (Needs(NEEDS.versions, "/proc/none", ".partial-1-2", "x"), 1, "does not see the output folder"),
    ],
)
def test_a_worker_that_is_not_fit_says_why(folder: Path, needs: Needs, threads: int, message: str) -> None:
    needs = replace(needs, folder=needs.folder.replace("FOLDER", str(folder)))
    with pytest.raises(WorkerError, match=rf"Dask worker tcp://a:1: .*{message}"):
        raise error_from_json(fault_of_worker(needs, Worker(threads)))


def test_a_worker_that_cannot_write_is_not_fit(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(storage: object) -> None:
        raise StorageError("cannot be written", where="x")

    monkeypatch.setattr(Storage, "check_writable", refuse)
    needs = Needs(NEEDS.versions, str(folder), ".partial-1-2", "token")
    assert "cannot use the output folder" in fault_of_worker(needs, Worker(1))


def test_a_worker_without_credentials_for_the_store_is_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    with s3_server() as url:
        needs = Needs(NEEDS.versions, f"{url}/out", ".partial-1-2", "token")
        assert "does not see the output folder" in fault_of_worker(needs, Worker())
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        monkeypatch.setattr(object_client, "PATIENCE", object_client.Patience(0.0))
        with fresh_clients():
            fault = fault_of_worker(replace(needs, token="another"), Worker())
    assert "cannot use the output folder" in fault and "the variables that name the store" in fault


def test_a_task_is_not_begun_on_a_worker_that_is_not_fit(worker: Worker) -> None:
    worker.state.nthreads = 2
    found = answer(call(pass_on, ("a", 1), worker))
    assert found.again and found.result is None and "2 threads" in found.error
