"""Workers that keep quiet, and whose death is noticed."""

from __future__ import annotations

import logging
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from typing import Any

import pytest

from faceloom.pipelines import beam_worker
from faceloom.pipelines.beam_worker import deaths_as_errors, forked_by, quiet_beam, worker_command
from faceloom.schemas.errors import FaceloomError


def test_the_command_replaces_its_shell_and_survives_odd_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/my tools/python")
    plain = ["/my tools/python", "-m", "faceloom.pipelines.beam_worker", str(os.getpid())]
    assert shlex.split(worker_command()) == ["exec", *plain]
    with forked_by("a-server", 1 << 30):
        forked = shlex.split(worker_command())
        assert forked[:2] == ["exec", "/my tools/python"] and forked[5:] == ["a-server", *plain]
    assert shlex.split(worker_command()) == ["exec", *plain], "afterwards as before"


WORKER = """
import cv2, os, runpy, signal, sys, time
os.environ["LOGGING_API_SERVICE_DESCRIPTOR"] = "url: 'localhost:1'"
from faceloom.pipelines.beam_worker import quiet_beam, work
quiet_beam()
from apache_beam.runners.worker import sdk_worker_main
def serve(_):
    print(cv2.getNumThreads(), "LOGGING_API_SERVICE_DESCRIPTOR" in os.environ, flush=True)
    {serve}
sdk_worker_main.main = serve
{begin}
"""


def worker(serve: str, begin: str) -> tuple[int, str, str]:
    """How a process ends that is a worker and does no more than `serve`."""
    code = WORKER.format(serve=serve, begin=begin)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


def test_a_worker_has_one_opencv_thread_and_no_log_and_tells_that_it_ended_well() -> None:
    assert worker("", "work(os.getppid(), lambda: print('well', flush=True))") == (0, "1 False\nwell\n", "")


def test_a_plain_worker_ends_quietly_when_interrupted() -> None:
    begin = """
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
sys.argv = ["beam_worker", str(os.getppid())]
sys.modules.pop("faceloom.pipelines.beam_worker")
runpy.run_module("faceloom.pipelines.beam_worker", run_name="__main__")
"""
    assert worker("os.kill(os.getpid(), signal.SIGINT); time.sleep(30)", begin) == (0, "1 False\n", "")


ABANDONED = """
import subprocess, threading, time
from faceloom.pipelines.beam_worker import abandon_workers, deaths_as_errors, forked_by, worker_command
started = []
thread = threading.Thread(target=lambda: started.append(subprocess.Popen(["sleep", "60"])))
thread.start(), thread.join()
server = subprocess.Popen(["sleep", "60"])
def run_worker():
    raise RuntimeError("exited with return code -9")
with deaths_as_errors(), forked_by("a-server", server.pid):
    abandon_workers()
    threading.Thread(target=run_worker, name="run_worker").start()
    print(server.wait(), started[0].wait(), subprocess.call(worker_command(), shell=True))
    time.sleep(0.2)
    abandon_workers()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lists a process's children")
def test_workers_that_are_abandoned_die_and_are_no_error_and_no_more_are_started() -> None:
    done = subprocess.run([sys.executable, "-c", ABANDONED], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "-9 -9 1\n", "")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux kills workers with their master")
def test_a_process_whose_parent_is_gone_already_ends() -> None:
    code = "from faceloom.pipelines.beam_worker import die_with; die_with({}); print('lives')"
    for parent, shown in (("os.getppid()", "lives\n"), ("1 << 30", "")):
        done = subprocess.run([sys.executable, "-c", "import os; " + code.format(parent)], stdout=subprocess.PIPE)
        assert done.stdout.decode() == shown and (done.returncode == 0) == bool(shown)


def test_beam_is_imported_in_silence() -> None:
    code = "from faceloom.pipelines.beam_worker import quiet_beam; quiet_beam(); import apache_beam"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == done.stderr == ""


def test_a_users_own_logging_stays() -> None:
    handlers = list(logging.getLogger().handlers)
    quiet_beam()
    assert logging.getLogger().handlers == handlers  # pytest has set its own


def start_worker_that_dies() -> threading.Thread:
    def run_worker() -> None:
        time.sleep(0.2)  # until the main thread waits
        raise RuntimeError("exited with return code -9")

    thread = threading.Thread(target=run_worker, name="run_worker")
    thread.start()
    return thread


@pytest.mark.parametrize("ctrl_c", [signal.default_int_handler, signal.SIG_IGN], ids=["heard", "ignored"])
def test_a_dead_worker_is_an_error_even_where_ctrl_c_is_ignored(ctrl_c: Any) -> None:
    before, begin = signal.signal(signal.SIGINT, ctrl_c), time.perf_counter()
    try:
        with pytest.raises(FaceloomError, match=r"return code -9.*fewer workers"), deaths_as_errors():
            start_worker_that_dies()
            threading.Event().wait(10)  # as Beam does
    finally:
        signal.signal(signal.SIGINT, before)
    assert time.perf_counter() - begin < 5


def test_a_death_is_told_until_it_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beam_worker, "INSIST_SECONDS", 0.1)
    swallowed = []
    with pytest.raises(FaceloomError, match="a worker process died"), deaths_as_errors():
        start_worker_that_dies()
        for _ in range(2):
            try:
                threading.Event().wait(10)
            except BaseException as error:
                swallowed.append(error)
        threading.Event().wait(10)
    assert len(swallowed) == 2


def test_a_death_that_is_told_too_late_interrupts_nobody() -> None:
    with deaths_as_errors():
        late = signal.getsignal(signal.SIGURG)
    assert callable(late)
    late(signal.SIGURG, None)
    assert signal.getsignal(signal.SIGURG) is signal.SIG_DFL
    signal.raise_signal(signal.SIGURG)


def test_several_deaths_are_one_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beam_worker, "INSIST_SECONDS", 0.05)
    said: list[str] = []
    monkeypatch.setattr(threading, "excepthook", lambda fault: said.append(str(fault.exc_value)))
    with pytest.raises(FaceloomError), deaths_as_errors():
        threads = [start_worker_that_dies() for _ in range(4)]
        threading.Event().wait(10)
    for thread in threads:
        thread.join()
    time.sleep(0.2)  # in which nothing more is raised
    assert len(said) < 4, "only those who die after all is over are nobody's business"


def test_in_another_thread_nothing_is_changed() -> None:
    before = threading.excepthook, signal.getsignal(signal.SIGURG)
    seen = []

    def watch() -> None:
        with deaths_as_errors():
            seen.append((threading.excepthook, signal.getsignal(signal.SIGURG)))

    thread = threading.Thread(target=watch)
    thread.start()
    thread.join()
    assert seen == [before]


def test_other_threads_and_ctrl_c_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    monkeypatch.setattr(threading, "excepthook", lambda fault: seen.append(str(fault.exc_value)))
    before = threading.excepthook
    with pytest.raises(KeyboardInterrupt), deaths_as_errors():
        thread = threading.Thread(target=lambda: 1 / 0)
        thread.start()
        thread.join()
        raise KeyboardInterrupt
    assert seen == ["division by zero"] and threading.excepthook is before
