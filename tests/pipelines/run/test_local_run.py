"""Tasks through Beam: each is done once, time adds up, errors arrive whole, and the pipeline is one chain."""

from __future__ import annotations

import logging
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from faceloom.pipelines.run import local_run as module
from faceloom.pipelines.run.local_run import run_here
from faceloom.pipelines.run.worker_pool import WorkerPool
from faceloom.schemas.errors import FaceloomError, PhotoError, RecipeError, SourceError, StorageError, WorkerError
from tests.patience import on_busy_machine
from tests.pipelines.run.chain_check import steps_of_chain
from tests.pipelines.run.tasks import (
    count_group,
    die,
    die_if_not_first,
    fail,
    fail_at,
    leave_a_file,
    pass_on,
)

pytestmark = pytest.mark.usefixtures("beam")

TASKS = [(key, number) for key in "abc" for number in range(4)]
NASTY = "it's \"broken\": \\n [while running 'Do']\nsecond line\ttab {brace} 100% é 写真 faceloom.schemas.errors.X: y"


@pytest.mark.parametrize("workers", [1, 2])
def test_every_task_is_done_once_and_then_its_group(tmp_path: Path, workers: int) -> None:
    counts: list[int] = []
    do, then = partial(leave_a_file, folder=tmp_path), partial(count_group, folder=tmp_path)
    seconds = run_here(TASKS, do, workers=workers, then=then, on_count=counts.append)
    assert seconds == {"work": 6.0, "of a": 1.0, "of b": 1.0, "of c": 1.0}
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        [f"{key}-{number}" for key, number in TASKS] + [f"{key}.then" for key in "abc"]
    )
    pids = Counter((tmp_path / f"{key}-{number}").read_text() for key, number in TASKS)
    assert pids.total() == len(TASKS)
    assert all(len(pid.split()) == 1 for pid in pids), "nothing is done twice"
    assert [(tmp_path / f"{key}.then").read_text() for key in "abc"] == ["4\n"] * 3, "once each, after all of the group"
    assert counts[-1] == len(TASKS) and counts == sorted(counts)
    if workers == 1:
        assert set(pids) == {f"{os.getpid()}\n"}, "one worker works in this process"
    else:
        assert f"{os.getpid()}\n" not in pids


def test_tasks_without_then(tmp_path: Path) -> None:
    assert run_here(TASKS[:2], partial(leave_a_file, folder=tmp_path), workers=1)["work"] == 1.0


@pytest.mark.parametrize(
    "error",
    [
        StorageError(NASTY, where=NASTY, value=NASTY, remedy=NASTY),
        SourceError("gone", where="a/b"),
        RecipeError("wrong", where="$.masks[0]"),
        PhotoError("no_face", "none", where="x.jpg"),
        FaceloomError(""),
        StorageError("x" * 20_000),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("place", ["do", "then"])
def test_an_error_of_ours_arrives_whole(error: FaceloomError, place: str) -> None:
    raising = partial(fail, error=error)
    with pytest.raises(FaceloomError) as caught:
        if place == "do":
            run_here([("a", 1)], raising, workers=1)
        else:
            run_here([("a", 1)], pass_on, workers=1, then=raising)
    assert type(caught.value) is type(error)
    assert vars(caught.value) == vars(error)
    assert str(caught.value) == str(error)


@pytest.mark.parametrize("place", ["do", "then"])
def test_an_error_of_ours_arrives_whole_from_worker_processes(place: str) -> None:
    error = StorageError(NASTY, where=NASTY, value=NASTY, remedy=NASTY)
    raising = partial(fail, error=error)
    with pytest.raises(StorageError) as caught:
        run_here(TASKS, raising if place == "do" else pass_on, workers=2, then=raising)
    assert vars(caught.value) == vars(error)


def test_another_error_keeps_its_kind_in_this_process_and_its_traceback_from_others() -> None:
    raising = partial(fail, error=ValueError("no such thing"))
    with pytest.raises(ValueError, match="no such thing"):
        run_here([("a", 1)], raising, workers=1)
    with pytest.raises(WorkerError, match="ValueError: no such thing") as caught:
        run_here([("a", 1)], raising, workers=2)
    assert "in fail" in caught.value.trace


@pytest.mark.parametrize("workers", [1, 2])
def test_one_error_among_many_tasks_ends_the_run(tmp_path: Path, workers: int) -> None:
    do = partial(fail_at, bad=("b", 2), error=SourceError("gone"), folder=tmp_path)
    with pytest.raises(SourceError, match="gone"):
        run_here(TASKS, do, workers=workers, then=partial(count_group, folder=tmp_path))
    assert not list(tmp_path.glob("b.then")), "a group with a failed task is not gathered"


def test_the_error_is_the_cause_and_not_that_others_were_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls are cancelled only once the error is noted, however slowly that happens."""
    real = WorkerPool.cancel

    def cancel(pool: WorkerPool) -> None:
        real(pool)
        time.sleep(0.5)  # the errors of cancelled calls arrive in other threads meanwhile

    monkeypatch.setattr(WorkerPool, "cancel", cancel)
    with pytest.raises(SourceError, match="gone"):
        run_here(TASKS, partial(fail, error=SourceError("gone")), workers=2)


def test_workers_that_cannot_start_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(pool: WorkerPool) -> WorkerPool:
        raise WorkerError("worker processes cannot start")

    monkeypatch.setattr(WorkerPool, "__enter__", refuse)
    with pytest.raises(WorkerError, match="cannot start"):
        run_here(TASKS, pass_on, workers=2)
    assert module._RUNS == {}


def test_a_worker_that_is_killed_is_an_error_within_five_seconds() -> None:
    run_here(TASKS, pass_on, workers=2)  # starts the server
    for do in (die, die_if_not_first):
        begin = time.monotonic()
        with pytest.raises(WorkerError, match="a worker process died"):
            run_here(TASKS, do, workers=2)
        assert time.monotonic() - begin < on_busy_machine(5)


MASTER = """
import sys
from functools import partial
from pathlib import Path
from faceloom.pipelines.run.local_run import run_here
from tests.pipelines.run.tasks import sleep_then_pass_on
tasks = [("a", number) for number in range(int(sys.argv[2]))]
run_here(tasks, partial(sleep_then_pass_on, folder=Path(sys.argv[1])), workers=len(tasks))
"""


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(
    ("workers", "number"),
    [
        (1, signal.SIGKILL),
        (2, signal.SIGINT),
        pytest.param(1, signal.SIGINT, marks=pytest.mark.slow),
        pytest.param(2, signal.SIGKILL, marks=pytest.mark.slow),
    ],
)
def test_no_process_outlives_the_one_that_uses_it(tmp_path: Path, number: signal.Signals, workers: int) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", MASTER, str(tmp_path), str(workers)],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as master:
        end = time.monotonic() + on_busy_machine(60)
        while len(pids := [int(path.name) for path in tmp_path.iterdir()]) < workers and time.monotonic() < end:
            time.sleep(0.05)
        session = [int(p.name) for p in Path("/proc").iterdir() if p.name.isdigit() and _session(p) == master.pid]
        assert len(pids) == workers and set(pids) <= set(session)
        os.kill(master.pid, number)
        begin = time.monotonic()
        while any(map(is_running, [*session])) and time.monotonic() < begin + on_busy_machine(5):
            time.sleep(0.02)
        assert not [pid for pid in session if is_running(pid)]
        assert time.monotonic() - begin < on_busy_machine(3)
        assert master.stderr is not None
        printed = master.stderr.read()
        assert ("KeyboardInterrupt" in printed.splitlines()) == (number == signal.SIGINT)
        assert workers == 1 or printed.count("Traceback") == (number == signal.SIGINT), "workers print nothing"


def _session(process: Path) -> int:
    try:
        return int((process / "stat").read_text().rpartition(")")[2].split()[3])
    except (FileNotFoundError, ProcessLookupError):
        return 0


class Stop(Exception):
    """Raised in place of running a pipeline."""


@pytest.mark.parametrize("then", [None, count_group])
def test_the_pipeline_is_one_chain_on_a_named_runner(monkeypatch: pytest.MonkeyPatch, then: Any) -> None:
    import apache_beam as beam
    from apache_beam.runners.portability.fn_api_runner import FnApiRunner

    built = []

    def stop(pipeline: beam.Pipeline) -> None:
        built.append(pipeline)
        raise Stop

    monkeypatch.setattr(beam.Pipeline, "run", stop)
    with pytest.raises(Stop):
        run_here(TASKS, pass_on, workers=1, then=then)
    [pipeline] = built
    assert isinstance(pipeline.runner, FnApiRunner)
    assert steps_of_chain(pipeline) == ["Tasks", "Do", *(["Gather", "Then"] if then else [])]


def test_tasks_are_small() -> None:
    """What passes through Beam's grouping is names, never pictures."""
    from faceloom.pipelines.render.part_task import PartTask, ShardTask

    task = PartTask(ShardTask("train-0101-0123456789ab", tuple(f"{n:024d}" for n in range(20))), "0" * 24)
    assert len(pickle.dumps(task)) < 2000


def test_nothing_is_kept_of_a_run(tmp_path: Path) -> None:
    run_here(TASKS[:1], partial(leave_a_file, folder=tmp_path), workers=1)
    with pytest.raises(SourceError):
        run_here(TASKS[:1], partial(fail, error=SourceError("gone")), workers=1)
    assert module._RUNS == {}


@pytest.mark.parametrize("workers", [1, 2])
def test_beams_log_is_as_before_after_a_run(tmp_path: Path, workers: int) -> None:
    log, root = logging.getLogger("apache_beam"), logging.getLogger()
    before = log.level, list(root.handlers)
    run_here(TASKS[:2], partial(leave_a_file, folder=tmp_path), workers=workers)
    assert (log.level, list(root.handlers)) == before


def test_a_thread_that_ends_without_an_answer_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without memory even noting an error can fail; waiting for the answer would never end."""

    class Thread(threading.Thread):
        def run(self) -> None:
            """No memory."""

    monkeypatch.setattr(threading, "Thread", Thread)
    with pytest.raises(MemoryError, match="the thread that runs the tasks ended"):
        module._run_beside(lambda: {}, lambda: None)
