"""Worker processes: where they run, what they inherit, and how calls fail."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from faceloom.pipelines.run.worker_pool import WorkerPool, kill_workers, processors
from faceloom.schemas.errors import StorageError, WorkerError
from tests.pipelines.run.tasks import describe, double, fail_at, refuse, sleep, tick_and_wait


def test_calls_give_results_in_any_order() -> None:
    with WorkerPool(2) as pool:
        calls = [pool.submit(double, number) for number in range(20)]
        assert [pool.result(call) for call in reversed(calls)] == [2 * number for number in reversed(range(20))]


def test_workers_see_the_environment_and_folder_of_their_parent_as_they_are_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for value in ("first", "second"):
        folder = tmp_path / value
        folder.mkdir()
        monkeypatch.setenv("FACELOOM_TEST_VALUE", value)
        monkeypatch.chdir(folder)
        with WorkerPool(1) as pool:
            found = pool.result(pool.submit(describe, "FACELOOM_TEST_VALUE"))
        assert found == (value, str(folder.resolve()), 1)


def test_an_error_arrives_as_data_and_drops_the_calls_that_wait(tmp_path: Path) -> None:
    with WorkerPool(1) as pool:
        first = pool.submit(refuse, "no such thing")
        waiting = [pool.submit(sleep, 5.0) for _ in range(10)]
        begin = time.monotonic()
        with pytest.raises(WorkerError, match="ValueError: no such thing") as caught:
            pool.result(first)
        assert "in refuse" in caught.value.trace
        with pytest.raises(WorkerError, match="not run"):
            pool.result(waiting[-1])
        pool.kill()
    assert time.monotonic() - begin < 4


def test_progress_counts_before_a_call_ends(tmp_path: Path) -> None:
    with WorkerPool(2) as pool:
        call = pool.submit(tick_and_wait, tmp_path)
        end = time.monotonic() + 20
        while not (tmp_path / "ticked").exists() and time.monotonic() < end:
            time.sleep(0.01)
        assert pool.done == 5
        (tmp_path / "go").touch()
        assert pool.result(call) == 5


def test_killed_workers_fail_their_calls_at_once() -> None:
    with WorkerPool(2) as pool:
        call = pool.submit(sleep, 60.0)
        begin = time.monotonic()
        kill_workers()
        with pytest.raises(WorkerError, match="a worker process died"):
            pool.result(call)
        assert time.monotonic() - begin < 5


def test_a_users_script_runs_once(tmp_path: Path) -> None:
    """Worker processes import only what they call: a script needs no `if __name__ == "__main__"`."""
    script = tmp_path / "script.py"
    script.write_text(
        "print('run')\n"
        "from faceloom.pipelines.run.worker_pool import WorkerPool\n"
        "with WorkerPool(2) as pool:\n"
        "    print(pool.result(pool.submit(abs, -3)))\n"
        "print(__file__, __spec__)\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == f"run\n3\n{script} None\n"
    assert not done.stderr


def test_processors_are_those_that_this_process_may_use() -> None:
    assert 1 <= processors() <= (os.cpu_count() or 1)


def test_a_storage_error_keeps_its_fields(tmp_path: Path) -> None:
    from functools import partial

    error = StorageError("full", where="a", value="b", remedy="c")
    with WorkerPool(1) as pool, pytest.raises(StorageError) as caught:
        pool.result(pool.submit(partial(fail_at, bad=("a", 1), error=error, folder=tmp_path), ("a", 1)))
    assert vars(caught.value) == vars(error)


def test_all_processes_start_at_once_and_are_known() -> None:
    with WorkerPool(3) as pool:
        assert len(pool._processes) == 3
        calls = [pool.submit(os.path.basename, "x") for _ in range(9)]
        assert [pool.result(call) for call in calls] == ["x"] * 9
        assert len(pool._processes) == 3
