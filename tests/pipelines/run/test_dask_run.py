"""Tasks on a real Dask cluster: progress, errors, retries, and what is refused before work begins."""

from __future__ import annotations

import importlib.metadata
import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from faceloom.pipelines.run import dask_run as module
from faceloom.pipelines.run.dask_run import check_cluster, run_on_dask
from faceloom.pipelines.run.runners import Dask
from faceloom.schemas.errors import SourceError, StorageError, WorkerError
from tests.dask_cluster import ROOT, Cluster, cluster_of, wait_for
from tests.patience import on_busy_machine
from tests.pipelines.run.tasks import (
    count_group,
    die,
    die_once,
    fail,
    fail_then_die_elsewhere,
    fill_memory,
    leave_a_file,
    pass_on,
    take_memory,
    tick_until,
)

pytest.importorskip("distributed")
TASKS = [("a", number) for number in range(6)]


@pytest.fixture
def own_cluster(tmp_path: Path) -> Iterator[Cluster]:
    """A scheduler without workers, for a test that changes it."""
    with cluster_of(tmp_path / "cluster", workers=0) as cluster:
        yield cluster


def test_a_cluster_that_is_fit_passes(dask_cluster: Cluster, tmp_path: Path) -> None:
    check_cluster(dask_cluster.dask)
    run_on_dask(TASKS, pass_on, cluster=replace(dask_cluster.dask, folder=str(tmp_path)))
    assert not list(tmp_path.iterdir()), "the probe is gone"


def test_items_are_counted_while_tasks_run(dask_cluster: Cluster, tmp_path: Path) -> None:
    counts: list[int] = []

    def on_count(count: int) -> None:
        counts.append(count)
        if count >= 3:
            (tmp_path / "go").touch()

    run_on_dask(TASKS[:2], partial(tick_until, folder=tmp_path), cluster=dask_cluster.dask, on_count=on_count)
    assert 0 in counts and counts == sorted(counts)
    assert next(count for count in counts if count >= 3) < counts[-1], "before a task has ended"


def test_an_error_names_the_worker_and_leaves_no_traceback(dask_cluster: Cluster, capfd: Any) -> None:
    with pytest.raises(SourceError) as caught:
        run_on_dask(TASKS, partial(fail, error=SourceError("gone", where="a/b")), cluster=dask_cluster.dask)
    assert str(caught.value).startswith("a/b: gone (on the Dask worker tcp://127.0.0.1:")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("error", [StorageError("disk full", where="x"), ValueError("odd")], ids=["storage", "other"])
def test_an_error_of_the_machine_is_tried_three_times(dask_cluster: Cluster, error: Exception) -> None:
    with pytest.raises((StorageError, WorkerError), match=r"(disk full|odd) .*attempt 3 of 3") as caught:
        run_on_dask(TASKS, partial(fail, error=error), cluster=dask_cluster.dask)
    assert isinstance(error, StorageError) or "in fail" in getattr(caught.value, "trace", "")


def test_an_interrupted_run_leaves_no_task_behind(dask_cluster: Cluster, tmp_path: Path) -> None:
    def on_count(count: int) -> None:
        if len(list(tmp_path.iterdir())) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_on_dask(TASKS, partial(tick_until, folder=tmp_path), cluster=dask_cluster.dask, on_count=on_count)
    (tmp_path / "go").touch()  # no driver waits for it any more
    run_on_dask(TASKS[:2], pass_on, cluster=dask_cluster.dask)
    assert not list(tmp_path.glob("ended-*")), "running tasks stopped"
    assert len(list(tmp_path.glob("began-*"))) == 2, "waiting tasks never ran"


@pytest.mark.slow
@pytest.mark.parametrize("place", ["do", "then"])
def test_the_tasks_of_a_worker_that_is_killed_run_again(own_cluster: Cluster, tmp_path: Path, place: str) -> None:
    own_cluster.add_worker()
    own_cluster.add_worker()
    wait_for(lambda: len(statuses(own_cluster)) == 2)
    before, notes = {*statuses(own_cluster)}, list[str]()
    out = tmp_path / "out"
    out.mkdir()
    tasks = [(f"{number}", number) for number in range(6)]
    do = partial(die_once if place == "do" else leave_a_file, folder=out)
    then = partial(count_group if place == "do" else die_once, folder=out)
    run_on_dask(tasks, do, cluster=replace(own_cluster.dask, folder=str(out)), then=then, on_note=notes.append)
    (lost,) = before - {*statuses(own_cluster)}
    assert len(notes) == 1
    assert re.fullmatch(rf"Warning: the Dask worker {lost} is lost\. Its .*tasks? runs? again on .*others?", notes[0])
    assert [worker.poll() is None for worker in own_cluster.workers].count(True) == 1
    assert (out / "died").exists()
    written = {path.name: path.read_text() for path in (out / "work").iterdir()}
    assert written == dict.fromkeys("012345", "half and half")
    assert place == "then" or all((out / f"{key}.then").read_text() == "1\n" for key, _ in tasks)


@pytest.mark.slow
def test_a_worker_with_too_little_memory_hands_its_tasks_to_others(own_cluster: Cluster, tmp_path: Path) -> None:
    own_cluster.add_worker(memory=4 * 2**30)
    own_cluster.add_worker()
    wait_for(lambda: len(statuses(own_cluster)) == 2)
    run_on_dask(TASKS, partial(take_memory, folder=tmp_path), cluster=own_cluster.dask)
    tries = [(tmp_path / f"tried-a-{number}").read_text() for _, number in TASKS]
    assert "xx" in tries, "the small worker had one"
    assert all((tmp_path / f"a-{number}").read_text().count("\n") == 1 for _, number in TASKS)


def statuses(cluster: Cluster) -> dict[str, Any]:
    from distributed import Client

    with Client(cluster.address, set_as_default=False) as client:
        workers: dict[str, Any] = client.scheduler_info()["workers"]
        return workers


@pytest.mark.slow
def test_without_workers_or_scheduler_a_run_ends_with_a_message(own_cluster: Cluster) -> None:
    with pytest.raises(WorkerError, match=r"no Dask worker takes tasks .got no workers for 1 seconds.*`dask worker"):
        run_on_dask(TASKS, pass_on, cluster=Dask(own_cluster.address, patience=1))
    threading.Timer(0.7, lambda: os.killpg(own_cluster.scheduler.pid, signal.SIGKILL)).start()
    begin = time.monotonic()
    with pytest.raises(WorkerError, match=r"the Dask scheduler is lost .*Run the same command again"):
        run_on_dask(TASKS, pass_on, cluster=own_cluster.dask)
    assert time.monotonic() - begin < on_busy_machine(25)


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "nonsense://x", "a b", "127.0.0.1"])
def test_an_address_without_scheduler_is_an_error(address: str) -> None:
    with pytest.raises(WorkerError, match=rf"^{address}: no Dask scheduler answers .*Start one with `dask scheduler`"):
        check_cluster(Dask(address, patience=0.5))


def test_a_missing_package_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "distributed", None)
    with pytest.raises(WorkerError, match=r"`distributed` is missing .*faceloom\[dask\]"):
        check_cluster(Dask("tcp://127.0.0.1:9"))


def other_site(folder: Path, code: str) -> str:
    """PYTHONPATH of processes that run some code when they start."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(code)
    return f"{folder}{os.pathsep}{ROOT}"


OLDER = """
import importlib.metadata as metadata
real = metadata.version
metadata.version = lambda name: "0.1.0" if name == "faceloom" else real(name)
"""


def test_a_worker_of_another_version_is_an_error_before_work_begins(own_cluster: Cluster, tmp_path: Path) -> None:
    own_cluster.add_worker()
    own_cluster.add_worker(PYTHONPATH=other_site(tmp_path / "site", OLDER))
    wait_for(lambda: len(statuses(own_cluster)) == 2)
    own = importlib.metadata.version("faceloom")
    with pytest.raises(
        WorkerError, match=rf"Dask worker tcp:.* other versions than here .got faceloom 0.1.0 instead of {own}.*Install"
    ):
        check_cluster(own_cluster.dask)
    with pytest.raises(WorkerError, match="other versions"):
        run_on_dask(TASKS, partial(leave_a_file, folder=tmp_path), cluster=own_cluster.dask)
    assert not (tmp_path / "a-0").exists()


@pytest.mark.slow
def test_a_worker_that_comes_later_checks_itself_before_its_first_task(own_cluster: Cluster, tmp_path: Path) -> None:
    own_cluster.add_worker(threads=2)
    run = partial(run_on_dask, TASKS, partial(leave_a_file, folder=tmp_path), cluster=own_cluster.dask)
    with pytest.raises(WorkerError, match=r"tasks cannot share a process .got 2 threads"):
        run()
    assert not (tmp_path / "a-0").exists()


def test_a_worker_that_sees_another_folder_is_an_error_before_work_begins(
    dask_cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    cluster = replace(dask_cluster.dask, folder="/proc/self/cwd")  # each process has its own
    with pytest.raises(WorkerError, match=r"does not see the output folder .got /proc/self/cwd.*Mount the same folder"):
        run_on_dask(TASKS, partial(leave_a_file, folder=tmp_path), cluster=cluster)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_task_that_kills_every_worker_ends_the_run_with_a_message(own_cluster: Cluster) -> None:
    own_cluster.add_worker(nanny=True)
    with pytest.raises(WorkerError, match=r"Dask workers died of the same task .got 4 workers died.*--memory-limit"):
        run_on_dask(TASKS[:1], die, cluster=own_cluster.dask)


@pytest.mark.slow
def test_a_task_whose_other_workers_died_runs_where_it_failed(own_cluster: Cluster, tmp_path: Path) -> None:
    own_cluster.add_worker()
    own_cluster.add_worker()
    wait_for(lambda: len(statuses(own_cluster)) == 2)
    run_on_dask(TASKS[:1], partial(fail_then_die_elsewhere, folder=tmp_path), cluster=own_cluster.dask)
    assert [worker.poll() is None for worker in own_cluster.workers].count(True) == 1
    assert (tmp_path / "a-0").exists()


@pytest.mark.slow
def test_a_worker_that_uses_too_much_memory_is_ended_by_its_nanny(own_cluster: Cluster) -> None:
    own_cluster.add_worker("--memory-limit", "600MB", nanny=True)
    with pytest.raises(WorkerError, match=r"Dask workers died of the same task|no Dask worker takes tasks"):
        run_on_dask(TASKS[:1], fill_memory, cluster=own_cluster.dask)


def test_the_clients_log_is_as_before(dask_cluster: Cluster) -> None:
    import logging

    names = ("distributed", "distributed.client", "distributed.core", "tornado")
    before = [logging.getLogger(name).level for name in names]
    run_on_dask(TASKS[:1], pass_on, cluster=dask_cluster.dask)
    assert [logging.getLogger(name).level for name in names] == before
    assert module.MOST_ATTEMPTS == 3
