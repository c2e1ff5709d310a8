"""Worker processes: where they run, what they inherit, and how calls fail."""

from __future__ import annotations

import contextlib
import errno
import multiprocessing
import os
import re
import stat
import subprocess
import sys
import threading
import time
from concurrent.futures import CancelledError
from multiprocessing import forkserver
from pathlib import Path
from typing import NoReturn

import pytest

from faceloom.pipelines.run import worker_pool
from faceloom.pipelines.run.worker_pool import WorkerPool, processors
from faceloom.schemas.errors import StorageError, WorkerError
from tests.patience import on_busy_machine
from tests.pipelines.run.tasks import describe, double, fail_at, process_number, refuse, sleep, tick_and_wait


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
        waiting = [pool.submit(sleep, 600.0) for _ in range(10)]
        begin = time.monotonic()
        with pytest.raises(WorkerError, match="ValueError: no such thing") as caught:
            pool.result(first)
        assert "in refuse" in caught.value.trace
        pool.cancel()
        with pytest.raises(CancelledError):
            pool.result(waiting[-1])
        pool.kill()
    assert time.monotonic() - begin < on_busy_machine(4)


def test_progress_counts_before_a_call_ends(tmp_path: Path) -> None:
    with WorkerPool(2) as pool:
        call = pool.submit(tick_and_wait, tmp_path)
        end = time.monotonic() + on_busy_machine(20)
        while not (tmp_path / "ticked").exists() and time.monotonic() < end:
            time.sleep(0.01)
        assert pool.done == 5
        (tmp_path / "go").touch()
        assert pool.result(call) == 5


def test_killed_workers_fail_their_calls_at_once() -> None:
    with WorkerPool(2) as pool:
        call = pool.submit(sleep, 60.0)
        begin = time.monotonic()
        pool.kill()
        with pytest.raises(WorkerError, match="a worker process died"):
            pool.result(call)
        assert time.monotonic() - begin < on_busy_machine(5)


def test_all_processes_start_at_once_and_before_the_first_call() -> None:
    before = multiprocessing.active_children()
    with WorkerPool(3) as pool:
        started = {process.pid for process in multiprocessing.active_children() if process not in before}
        calls = [pool.submit(process_number, 0.05) for _ in range(12)]
        assert {pool.result(call) for call in calls} <= started
        assert len(started) == 3


@pytest.mark.skipif(sys.platform != "linux", reason="replaces a step of the fork server")
@pytest.mark.parametrize("error", [OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)), EOFError("unexpected EOF")])
def test_a_process_that_cannot_start_is_an_error_and_leaves_no_other(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    from multiprocessing.popen_forkserver import Popen

    before, real, begin = multiprocessing.active_children(), Popen._launch, time.monotonic()  # type: ignore[attr-defined]
    starts: list[object] = []

    def launch(popen: object, process: object) -> None:
        starts.append(process)
        if len(starts) == 2:
            raise error
        real(popen, process)

    monkeypatch.setattr(Popen, "_launch", launch)
    value = "the process that starts them ended" if isinstance(error, EOFError) else str(error)
    with pytest.raises(WorkerError, match=f"cannot start.*{re.escape(value)}.*fewer workers"), WorkerPool(3):
        pytest.fail("entered")
    assert len(starts) == 2
    end = time.monotonic() + on_busy_machine(5)
    while set(multiprocessing.active_children()) - set(before) and time.monotonic() < end:
        time.sleep(0.01)
    assert not set(multiprocessing.active_children()) - set(before)
    assert time.monotonic() - begin < on_busy_machine(10)
    with WorkerPool(1) as pool:
        assert pool.result(pool.submit(double, 4)) == 8


def test_a_process_that_cannot_be_prepared_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    monkeypatch.chdir(folder)
    pool = WorkerPool(2)
    folder.rmdir()
    with pytest.raises(WorkerError, match="cannot start"), pool:
        pytest.fail("entered")
    with pytest.raises(WorkerError, match=r"cannot start.*No such file"):
        WorkerPool(1)


@pytest.mark.parametrize("code", [errno.EMFILE, errno.ENFILE])
def test_too_many_open_files_have_their_own_remedy(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    def fail(*_: object) -> NoReturn:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(worker_pool, "ProcessPoolExecutor", fail)
    with pytest.raises(WorkerError, match=r"cannot start.*Raise the limit of open files, see `ulimit -n`"):
        WorkerPool(1)


def test_a_call_after_a_worker_died_is_an_error_of_ours() -> None:
    with WorkerPool(2) as pool:
        call = pool.submit(sleep, 60.0)
        pool.kill()
        with pytest.raises(WorkerError, match="a worker process died"):
            pool.result(call)
        with pytest.raises(WorkerError, match="a worker process died"):
            pool.submit(double, 1)


def test_a_thread_without_memory_that_passes_no_more_calls_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a check, all calls would wait forever."""
    from concurrent.futures import process

    def run(thread: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(process._ExecutorManagerThread, "run", run)
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    begin = time.monotonic()
    with pytest.raises(WorkerError, match="can't start new thread"), WorkerPool(2):
        pytest.fail("entered")
    assert time.monotonic() - begin < on_busy_machine(20)


def test_a_pool_at_work_passes_its_check() -> None:
    with WorkerPool(1) as pool:
        call = pool.submit(sleep, 0.1)
        pool.check()
        assert pool.result(call) == 0.1
    pool.check()


@pytest.mark.skipif(sys.platform != "linux", reason="a server that starts processes")
@pytest.mark.parametrize(("preload", "begin"), [("time", "time.sleep, (100,)"), ("hangs", "*begin")])
def test_a_start_that_hangs_is_an_error_after_a_while(preload: str, begin: str, tmp_path: Path) -> None:
    (tmp_path / "hangs.py").write_text("import time; time.sleep(100)\n")
    script = tmp_path / "script.py"
    script.write_text(
        "import time\n"
        "from faceloom.pipelines.run import worker_pool\n"
        "real, worker_pool.START_SECONDS = worker_pool.ProcessPoolExecutor, 2.0\n"
        f"worker_pool.ProcessPoolExecutor = lambda n, c, *begin: real(n, c, {begin})\n"
        f"worker_pool.start_server(['{preload}'])\n"
        "try:\n"
        "    with worker_pool.WorkerPool(2): print('entered')\n"
        "except worker_pool.WorkerError as error: print(error)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=60, env=environment)
    assert done.stdout.startswith("worker processes cannot start"), done.stdout
    assert not done.stderr


def sockets_of(process: int | None) -> set[str]:
    """Numbers of the sockets that a process has open."""
    found = set[str]()
    for link in Path(f"/proc/{process}/fd").iterdir():
        with contextlib.suppress(OSError):
            found |= set(re.findall(r"socket:\[(\d+)\]", str(link.readlink())))
    return found


@pytest.mark.skipif(not Path("/proc/net/unix").exists(), reason="reads /proc")
def test_no_stranger_can_reach_the_processes_of_a_pool() -> None:
    """They listen on no port, and on one socket file that lies in a folder of this user."""
    before = sockets_of(os.getpid())  # of other tests
    with WorkerPool(2) as pool:
        pool.result(pool.submit(double, 1))
        numbers = {os.getpid(), *(process.pid for process in pool._processes), forkserver._forkserver._forkserver_pid}  # type: ignore[attr-defined]
        inodes = {inode for number in numbers for inode in sockets_of(number)} - before
        for name in ("tcp", "tcp6", "udp", "udp6", "raw", "packet"):
            table = Path("/proc/net", name)
            lines = table.read_text().splitlines()[1:] if table.exists() else []
            assert not inodes & {word for line in lines for word in line.split()}, name
        rows = [line.split() for line in Path("/proc/net/unix").read_text().splitlines()[1:]]
        files = {row[7] for row in rows if row[6] in inodes and len(row) > 7}
        assert files and not any(file.startswith("@") for file in files)
        for file in files:
            assert stat.S_IMODE(Path(file).parent.stat().st_mode) == 0o700


def test_processes_of_another_thread_are_not_killed() -> None:
    context = multiprocessing.get_context("spawn")
    with WorkerPool(1) as pool:
        pass
    pool = WorkerPool(1)
    others: list[multiprocessing.process.BaseProcess] = []
    real = pool._executor.submit

    def submit(*call: object) -> object:
        others.append(context.Process(target=sleep, args=(30.0,)))
        others[0].start()  # as another thread does meanwhile
        return real(*call)  # type: ignore[arg-type]

    pool._executor.submit = submit  # type: ignore[method-assign, assignment]
    try:
        with pool:
            pool.kill()
        assert others[0].is_alive()
    finally:
        others[0].kill()
        others[0].join()


def test_a_users_script_runs_once(tmp_path: Path) -> None:
    """Worker processes import only what they call: a script needs no `if __name__ == "__main__"`."""
    script = tmp_path / "script.py"
    script.write_text(
        "print('run')\n"
        "from faceloom.pipelines.run.worker_pool import WorkerPool\n"
        "with WorkerPool(2) as pool:\n"
        "    calls = [pool.submit(abs, -number) for number in range(20)]\n"
        "    print(sum(map(pool.result, calls)))\n"
        "print(__file__, __spec__)\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == f"run\n190\n{script} None\n"
    assert not done.stderr


def test_processors_are_those_that_this_process_may_use() -> None:
    assert 1 <= processors() <= (os.cpu_count() or 1)


def test_a_storage_error_keeps_its_fields(tmp_path: Path) -> None:
    from functools import partial

    error = StorageError("full", where="a", value="b", remedy="c")
    with WorkerPool(1) as pool, pytest.raises(StorageError) as caught:
        pool.result(pool.submit(partial(fail_at, bad=("a", 1), error=error, folder=tmp_path), ("a", 1)))
    assert vars(caught.value) == vars(error)
