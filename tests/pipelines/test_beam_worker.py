"""Workers that keep quiet, and whose death is noticed."""

from __future__ import annotations

import logging
import shlex
import subprocess
import sys
import threading
import time

import pytest

from faceloom.pipelines.beam_worker import deaths_as_errors, quiet_beam, worker_command
from faceloom.schemas.errors import FaceloomError


def test_the_command_replaces_its_shell_and_survives_odd_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/my tools/python")
    assert shlex.split(worker_command()) == ["exec", "/my tools/python", "-m", "faceloom.pipelines.beam_worker"]


def test_beam_is_imported_in_silence() -> None:
    code = "from faceloom.pipelines.beam_worker import quiet_beam; quiet_beam(); import apache_beam"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == done.stderr == ""


def test_a_users_own_logging_stays() -> None:
    handlers = list(logging.getLogger().handlers)
    quiet_beam()
    assert logging.getLogger().handlers == handlers  # pytest has set its own


def test_a_dead_worker_is_an_error() -> None:
    def run_worker() -> None:
        raise RuntimeError("exited with return code -9")

    begin = time.perf_counter()
    with pytest.raises(FaceloomError, match=r"return code -9.*fewer workers"), deaths_as_errors():
        threading.Thread(target=run_worker, name="run_worker").start()
        time.sleep(10)
    assert time.perf_counter() - begin < 5


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
