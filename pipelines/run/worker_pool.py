"""Worker processes on this machine, forked from one preloaded server. They never outlive the process that uses them."""

from __future__ import annotations

import contextlib
import errno
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import connection, forkserver, resource_tracker
from typing import Any

from faceloom.pipelines.run import progress
from faceloom.schemas.errors import WorkerError, error_from_json, error_to_json

# Forking a process that has loaded system libraries is only safe on Linux.
_CONTEXT = multiprocessing.get_context("forkserver" if sys.platform == "linux" else "spawn")


_DIED, _NO_START = "a worker process died", "worker processes cannot start"
_CHECK_SECONDS = 1.0
START_SECONDS = 600.0
"""Time for worker processes to start. A process without memory for that may wait forever."""


def processors() -> int:
    """Number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def start_server(modules: Sequence[str] = ()) -> None:
    """Start the process that worker processes are forked from. It imports `modules` while this process does other work.

    Does nothing if it runs already, and on systems other than Linux.
    """
    if sys.platform == "linux":
        _CONTEXT.set_forkserver_preload(["faceloom.pipelines.run.server_process", *modules])
        # A stopped run leaves its semaphores to the tracker, which need not warn of them.
        with _environment(PYTHONWARNINGS="ignore"):
            resource_tracker.ensure_running()
        # OpenBLAS starts no threads, which would not survive a fork.
        variables = {"OPENBLAS_NUM_THREADS": "1", "FACELOOM_SERVER_PARENT": str(os.getpid())}
        with _hidden_script(), _blocked_interrupt(), _environment(**variables):
            forkserver.ensure_running()


class WorkerPool:
    """A fixed number of worker processes that run functions. Use it as a context manager.

    Raises:
        WorkerError: on entry if they cannot start; later if one dies.
    """

    def __init__(self, workers: int) -> None:
        with _worker_errors(_NO_START):
            self._counts = _CONTEXT.RawArray("q", workers)
            begin = self._counts, _CONTEXT.Value("i", 0), dict(os.environ), os.getcwd()  # noqa: PTH109
            self._executor = ProcessPoolExecutor(workers, _CONTEXT, _begin_worker, begin)
        self._processes: list[Any] = []

    def __enter__(self) -> WorkerPool:
        end = time.monotonic() + START_SECONDS
        try:
            with _worker_errors(_NO_START), _watched_server(START_SECONDS):
                start_server()
                try:
                    with _hidden_script():  # each call starts one process, since all of them wait for the last one
                        calls = [self._executor.submit(int) for _ in self._counts]
                finally:
                    self._processes = list(self._executor._processes.values())
                while wait(calls, _CHECK_SECONDS).not_done:
                    self.check()
                    if time.monotonic() > end:
                        raise TimeoutError(f"no answer for {START_SECONDS:.0f} seconds")
                calls[0].result()
        except BaseException as error:
            self.__exit__(type(error))
            raise
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
        """Queue `function(argument)` for the worker processes, which take calls in order.

        Args:
            function: defined at the top of a module. It, its argument and its result are pickled.
        """
        with _worker_errors(_DIED):
            return self._executor.submit(_call, function, argument)

    def result(self, call: Future[tuple[Any, str]]) -> Any:
        """Wait for a submitted call, and return its result.

        Raises:
            FaceloomError: the function raised it.
            WorkerError: the function raised another exception, or a worker process died.
            CancelledError: the call was cancelled.
        """
        with _worker_errors(_DIED):
            result, error = call.result()
        if error:
            raise error_from_json(error)
        return result

    def check(self) -> None:
        """Check that the thread lives that passes calls to the worker processes. Without memory it ends.

        Raises:
            WorkerError: it ended, so that calls would wait forever.
        """
        thread: Any = self._executor._executor_manager_thread
        if thread is not None and not thread.is_alive() and self._executor._pending_work_items:
            with _worker_errors(_DIED):
                raise RuntimeError("can't start new thread, or no memory for it")

    def cancel(self) -> None:
        """Cancel all calls that are not running yet, and accept no more."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    def kill(self) -> None:
        """Kill all worker processes at once; running calls fail."""
        for process in self._processes:
            process.kill()


@contextlib.contextmanager
def _worker_errors(what: str) -> Iterator[None]:
    try:
        yield
    except (RuntimeError, OSError, EOFError) as error:  # BrokenProcessPool is a RuntimeError
        value = "" if isinstance(error, BrokenProcessPool) else error
        if isinstance(error, EOFError):
            value = "the process that starts them ended"
        cause = "Raise the limit of open files, see `ulimit -n`, or" if _lacks_files(error) else "If memory ran out,"
        remedy = f"{cause} use fewer workers. Run the same command again; finished tasks are kept"
        raise WorkerError(what, value=value, remedy=remedy) from error


def _lacks_files(error: Exception) -> bool:
    return isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE)


def _call(function: Callable[[Any], Any], argument: Any) -> tuple[Any, str]:
    """The result of a call, or its error as JSON."""
    try:
        return function(argument), ""
    except Exception as error:
        return None, error_to_json(error)


def _begin_worker(counts: Any, started: Any, environment: Mapping[str, str], folder: str) -> None:
    """Prepare a worker process: its end, its parent's environment and folder, and its slot for progress."""
    # The parent reports errors; what Python prints of them here would only add tracebacks.
    sys.stderr = open(os.devnull, "w")  # noqa: SIM115, PTH123
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole process group; the parent handles it
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    with started.get_lock():
        slot = started.value
        started.value += 1

    def add(count: int) -> None:
        counts[slot] += count

    progress.count_with(add)
    import cv2

    cv2.setNumThreads(1)  # there is a worker process for each processor
    while started.value < len(counts):
        time.sleep(0.001)


def _end_with_parent() -> None:
    """Kill this process when its parent ends for any reason."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    connection.wait([parent.sentinel])
    os.kill(os.getpid(), signal.SIGKILL)


@contextlib.contextmanager
def _watched_server(seconds: float) -> Iterator[None]:
    """Kill the server of worker processes if the block takes longer: a process that it should start may never come."""

    server: Any = forkserver._forkserver
    timer = threading.Timer(seconds, lambda: os.kill(server._forkserver_pid, signal.SIGKILL))
    timer.daemon = True
    if sys.platform == "linux":
        timer.start()
    try:
        yield
    finally:
        timer.cancel()


@contextlib.contextmanager
def _hidden_script() -> Iterator[None]:
    """Keep new processes from running the user's script again."""
    main = vars(sys.modules["__main__"])
    hidden: dict[str, Any] = {name: main.pop(name) for name in ("__file__", "__spec__") if name in main}
    main["__spec__"] = None
    try:
        yield
    finally:
        main.update(hidden)


@contextlib.contextmanager
def _blocked_interrupt() -> Iterator[None]:
    """Keep Ctrl-C from a new process and from those that it forks, which would end with a traceback."""
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


@contextlib.contextmanager
def _environment(**variables: str) -> Iterator[None]:
    """Set environment variables for new processes."""
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        for name in variables:
            del os.environ[name]
            if name in before:
                os.environ[name] = before[name]
