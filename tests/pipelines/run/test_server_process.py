from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

PARENT_VARIABLE = "FACELOOM_SERVER_PARENT"
PROGRAM = """
import subprocess, sys
code = "import time, faceloom.pipelines.run.server_process; print(1, flush=True); time.sleep(60)"
child = subprocess.Popen([sys.executable, "-c", code])
print(child.pid, flush=True)
child.wait()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux signals the death of a parent")
def test_a_process_that_imports_it_dies_with_its_parent() -> None:
    with subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert parent.stdout.readline() == "1\n"
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        end = time.monotonic() + 5
        while Path(f"/proc/{child}").exists() and time.monotonic() < end:
            time.sleep(0.01)
        assert not Path(f"/proc/{child}").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux signals the death of a parent")
def test_a_process_whose_parent_died_before_ends_at_once() -> None:
    code = "import faceloom.pipelines.run.server_process; print('alive')"
    environment = {**os.environ, PARENT_VARIABLE: "1"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")


@pytest.mark.skipif(sys.platform != "linux", reason="worker processes are forked from a server")
@pytest.mark.parametrize(("preloaded", "gone"), [("raise OSError(12, 'no memory')", False), ("", True)])
def test_the_server_and_worker_processes_print_no_traceback(preloaded: str, gone: bool, tmp_path: Path) -> None:
    (tmp_path / "preloaded.py").write_text(preloaded)
    (tmp_path / "folder").mkdir()
    code = (
        "import os; from faceloom.pipelines.run.worker_pool import *\n"
        "start_server(['preloaded'])\n"
        "try:\n"
        "    pool = WorkerPool(2)\n"
        f"    if {gone}: os.rmdir(os.getcwd())\n"
        "    pool.__enter__()\n"
        "except WorkerError as error: print(error)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=tmp_path / "folder", env=environment)
    assert done.stdout.startswith("worker processes cannot start")
    assert done.stderr == ""
