"""The process that Beam starts for each worker. Unlike Beam's own it prints nothing and never outlives its master."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import shlex
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

from faceloom.schemas.errors import FaceloomError

_SET_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl(2)
_CLIENT = Path(__file__).with_name("fork_client.py")
_address = ""
_server = 0
_abandoned = False


def worker_command() -> str:
    """The shell command that starts one worker."""
    plain = [sys.executable, "-m", "faceloom.pipelines.beam_worker", str(os.getpid())]
    # Isolated and without site packages, Python starts soonest.
    forked = [sys.executable, "-I", "-S", str(_CLIENT), _address, *plain]
    return "exit 1" if _abandoned else f"exec {shlex.join(forked if _address else plain)}"


@contextlib.contextmanager
def forked_by(address: str, server: int) -> Iterator[None]:
    """Let workers be forked by the server at this address, a child of this process."""
    global _address, _server
    before, (_address, _server) = (_address, _server), (address, server)
    try:
        yield
    finally:
        _address, _server = before


def abandon_workers() -> None:
    """Kill all processes that this one has started, as it is about to end: their deaths are no errors any more.

    They die first: workers whose master hangs up have much to say about it, and Beam waits for them. Only on Linux;
    elsewhere workers end when their master does.
    """
    global _abandoned
    _abandoned = True
    for child in _children():
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
    if _server:
        # The system kills a server's workers when it is gone. It is left for its Popen to collect.
        with contextlib.suppress(ChildProcessError):
            os.waitid(os.P_PID, _server, os.WEXITED | os.WNOWAIT)


def _children() -> list[int]:
    """Of this process; none where the system does not list them."""
    with contextlib.suppress(OSError):
        lists = [task.joinpath("children").read_text() for task in Path("/proc/self/task").iterdir()]
        return [int(child) for child in " ".join(lists).split()]
    return []


def quiet_beam() -> None:
    """Keep Beam from printing; to be called before Beam is imported.

    Beam warns through the root logger while it is imported, and that gives a root logger without handlers one that
    prints from then on. With a handler in place, errors still reach us: as exceptions.
    """
    root = logging.getLogger()
    if not root.handlers:
        root.addHandler(logging.NullHandler())
    logging.getLogger("apache_beam").setLevel(logging.CRITICAL)


INSIST_SECONDS = 3.0
"""After so long the main thread is told again that a worker died."""


class _WorkerDied(BaseException):
    """Raised by a signal, in the midst of whatever the main thread does; none of Beam's `except Exception` stops it."""


@contextlib.contextmanager
def deaths_as_errors() -> Iterator[None]:
    """Make the death of a worker an error of the main thread; Beam would wait for the dead for ever.

    Another thread cannot be told, and waits.

    Raises:
        FaceloomError: a worker died.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    died = ""
    main_thread = threading.get_ident()
    left = threading.Event()

    def insist() -> None:
        # Again and again: Beam starts its pools in code that may swallow what is raised in it, and would then wait for
        # ever all the same.
        while not left.is_set():
            signal.pthread_kill(main_thread, signal.SIGURG)
            left.wait(INSIST_SECONDS)

    def hear(*_: object) -> None:
        if not (left.is_set() or _abandoned):
            raise _WorkerDied

    def hook(fault: threading.ExceptHookArgs) -> None:
        nonlocal died
        if fault.thread is not None and fault.thread.name == "run_worker":
            first, died = not died, str(fault.exc_value)
            if first and not _abandoned:
                threading.Thread(target=insist, daemon=True).start()
        else:
            hook_before(fault)

    # A real signal: the main thread waits for a lock, which no other thread's exception ends. Not SIGINT, which is
    # ignored in what a script starts in the background. SIGURG does nothing where it comes too late.
    handler_before = signal.signal(signal.SIGURG, hear)
    hook_before, threading.excepthook = threading.excepthook, hook
    try:
        yield
    except _WorkerDied:
        left.set()
        remedy = "If memory ran out, use fewer workers. Run the same command again; finished tasks are kept"
        raise FaceloomError("a worker process died", value=died, remedy=remedy) from None
    finally:
        left.set()
        threading.excepthook = hook_before
        signal.signal(signal.SIGURG, handler_before)


def die_with(parent: int) -> None:
    """End this process when its parent does, however that ends. Only on Linux.

    Without this, a worker whose master is killed works on for seconds, beside those of the next run.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_DEATH_SIGNAL, signal.SIGKILL)
        if os.getppid() != parent:  # it was quicker
            os._exit(1)


def work(parent: int, told: Callable[[], None] = lambda: None) -> NoReturn:
    """Be a worker, as the environment says for whom, until that hangs up or dies.

    Args:
        parent: process that started this one.
        told: called at the end if all went well.
    """

    die_with(parent)
    quiet_beam()
    import cv2
    from apache_beam.runners.worker import sdk_worker_main

    cv2.setNumThreads(1)  # there is a worker for each processor
    # Nobody reads a worker's log: errors come as exceptions. Without a stream for it none can break as the master ends,
    # of which Beam would print.
    os.environ.pop("LOGGING_API_SERVICE_DESCRIPTOR", None)
    sdk_worker_main.main(sys.argv)
    told()
    os._exit(0)  # threads of gRPC may still be at work, and abort an orderly exit with a message


if __name__ == "__main__":
    # Ctrl-C reaches every worker too; this one is not to end with a traceback, nor as if it had failed.
    signal.signal(signal.SIGINT, lambda *_: os._exit(0))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
    work(int(sys.argv[1]))
