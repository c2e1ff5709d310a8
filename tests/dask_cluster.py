"""A real Dask cluster of processes on loopback."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from faceloom.pipelines.run.runners import Dask

ROOT = Path(__file__).resolve().parents[1]


class Cluster:
    """A scheduler and its workers, each a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.workers = folder, list[subprocess.Popen[bytes]]()
        self._log = (folder / "log").open("ab")
        file = folder / "scheduler.json"
        words = ("--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--no-show", "--scheduler-file", str(file))
        self.scheduler = self._start("dask_scheduler", *words)
        wait_for(lambda: file.exists() and file.read_text().rstrip().endswith("}"))  # it is written while we look
        self.address = str(json.loads(file.read_text())["address"])

    def _start(self, program: str, *words: str, **variables: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", f"distributed.cli.{program}", *words]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore", **variables}
        log = self._log
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C is for the tests
            preexec_fn=_die_with_parent,
        )

    def add_worker(
        self, *words: str, nanny: bool = False, threads: int = 1, memory: int = 0, **variables: str
    ) -> subprocess.Popen[bytes]:
        """Start a worker, without waiting for it. `memory` limits the bytes of address space of its process."""
        options = ("--no-dashboard", "--host", "127.0.0.1", "--death-timeout", "60", "--nthreads", str(threads))
        kind = "--nanny" if nanny else "--no-nanny"
        worker = self._start("dask_worker", self.address, *options, kind, *words, **variables)
        if memory:
            resource.prlimit(worker.pid, resource.RLIMIT_AS, (memory, memory))
        self.workers.append(worker)
        return worker

    @property
    def dask(self) -> Dask:
        """The runner, with little patience."""
        return Dask(self.address, patience=30)

    def close(self) -> None:
        """Kill everything."""
        for process in (*self.workers, self.scheduler):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self._log.close()


@contextmanager
def cluster_of(folder: Path, workers: int, **options: Any) -> Iterator[Cluster]:
    """A cluster for a block."""
    folder.mkdir(exist_ok=True)
    cluster = Cluster(folder)
    try:
        for _ in range(workers):
            cluster.add_worker(**options)
        yield cluster
    finally:
        cluster.close()


def _die_with_parent() -> None:
    """Let the kernel kill this process when the one that started it ends for any reason."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def wait_for(condition: Callable[[], object], seconds: float = 60) -> None:
    """Wait until a condition holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.02)
