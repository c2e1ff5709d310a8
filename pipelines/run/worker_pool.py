"""Worker processes on this machine, forked from one preloaded server. They never outlive the process that uses them."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import connection, forkserver, resource_tracker
from typing import Any

from faceloom.pipelines.run import progress
from faceloom.schemas.errors import WorkerError, error_from_json, error_to_json

# A fork of a process that has loaded system libraries is only safe on Linux.
_CONTEXT = multiprocessing.get_context("forkserver" if sys.platform == "linux" else "spawn")


def processors() -> int:
    """Number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def start_server(modules: Sequence[str] = ()) -> None:
    """Start the process that worker processes are forked from, so that it imports `modules` while other work goes on.

    Does nothing where it runs already, and on systems other than Linux.
    """
    if sys.platform != "linux":
        return
    _CONTEXT.set_forkserver_preload(list(modules))
    resource_tracker.ensure_running()  # it unblocks signals
    with _inherited({"OPENBLAS_NUM_THREADS": "1"}), _hidden_script():  # threads do not survive a fork
        forkserver.ensure_running()


class WorkerPool:
    """A number of worker processes that run functions. Use as a context manager."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._counts = _CONTEXT.RawArray("q", workers)
        started = _CONTEXT.Value("i", 0)
        begin = self._counts, started, dict(os.environ), os.getcwd()  # noqa: PTH109
        self._executor = ProcessPoolExecutor(workers, _CONTEXT, _begin_worker, begin)
        self._processes: list[Any] = []

    def __enter__(self) -> WorkerPool:
        start_server()
        others = multiprocessing.active_children()
        with _hidden_script(), _inherited({}):
            # The executor starts a process for a call only if none is idle; these calls wait until all are there.
            for call in [self.submit(_wait_for_others, self._workers) for _ in range(self._workers)]:
                self.result(call)
        self._processes = [process for process in multiprocessing.active_children() if process not in others]
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self.kill()
        self._executor.shutdown(wait=kind is None, cancel_futures=True)

    @property
    def done(self) -> int:
        """Items that tasks have reported with `progress.tick` so far."""
        return sum(self._counts)

    def submit(self, function: Callable[[Any], Any], argument: Any) -> Future[tuple[Any, str]]:
        """Queue `function(argument)` for the worker processes; they take calls in order.

        Args:
            function: defined at the top of a module; with its argument and its result it crosses by pickle.
        """
        return self._executor.submit(_call, function, argument)

    def result(self, call: Future[tuple[Any, str]]) -> Any:
        """Wait for a submitted call, and return its result. Once a call failed, those that wait are dropped.

        Raises:
            FaceloomError: as the function raised it; WorkerError for any other exception, and where a worker died.
        """
        try:
            result, error = call.result()
        except CancelledError:
            raise WorkerError("not run, because another task failed") from None
        except BrokenProcessPool:
            remedy = "If memory ran out, use fewer workers. Run the same command again; finished tasks are kept"
            raise WorkerError("a worker process died", remedy=remedy) from None
        if error:
            self._executor.shutdown(wait=False, cancel_futures=True)
            raise error_from_json(error)
        return result

    def kill(self) -> None:
        """Kill all worker processes at once; running calls fail."""
        for process in self._processes:
            process.kill()


def kill_workers() -> None:
    """Kill all child processes that this process started through multiprocessing."""
    for process in multiprocessing.active_children():
        process.kill()


def _call(function: Callable[[Any], Any], argument: Any) -> tuple[Any, str]:
    """The result of a call, or its error as JSON."""
    try:
        return function(argument), ""
    except Exception as error:
        return None, error_to_json(error)


_started: Any = None
"""In a worker process: how many of them have started."""


def _wait_for_others(workers: int) -> None:
    while _started.value < workers:
        time.sleep(0.001)


def _begin_worker(counts: Any, started: Any, environment: Mapping[str, str], folder: str) -> None:
    """Prepare a worker process: the environment of its parent as it is now, its progress slot, and its end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole process group; the parent handles it
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    global _started
    _started = started
    with started.get_lock():
        slot = started.value
        started.value += 1

    def add(count: int) -> None:
        counts[slot] += count

    progress.count_with(add)
    import cv2

    cv2.setNumThreads(1)  # there is a worker process for each processor


def _end_with_parent() -> None:
    """Kill this process when its parent ends, however that happens."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGKILL)


@contextlib.contextmanager
def _inherited(environment: Mapping[str, str]) -> Iterator[None]:
    """Start processes with these variables, and with Ctrl-C blocked: until they ignore it, it would end them loudly."""
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for name, value in before.items():
            if value is None:
                os.environ.pop(name)
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _hidden_script() -> Iterator[None]:
    """Keep new processes from running the user's script again, which they do to unpickle what it defines."""
    main = sys.modules["__main__"]
    hidden: dict[str, Any] = {name: vars(main)[name] for name in ("__file__", "__spec__") if name in vars(main)}
    main.__spec__ = None
    vars(main).pop("__file__", None)
    try:
        yield
    finally:
        vars(main).update(hidden)
