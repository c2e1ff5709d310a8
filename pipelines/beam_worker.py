"""The process that Beam starts for each worker. Unlike Beam's own it prints nothing and never outlives its master."""

from __future__ import annotations

import _thread
import contextlib
import ctypes
import logging
import os
import shlex
import signal
import sys
import threading
from collections.abc import Iterator

from faceloom.schemas.errors import FaceloomError

_SET_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl(2)


def worker_command() -> str:
    """The shell command that starts one worker."""
    return f"exec {shlex.quote(sys.executable)} -m faceloom.pipelines.beam_worker"


def quiet_beam() -> None:
    """Keep Beam from printing; to be called before Beam is imported.

    Beam warns through the root logger while it is imported, and that gives a root logger without handlers one that
    prints from then on. With a handler in place, errors still reach us: as exceptions.
    """
    root = logging.getLogger()
    if not root.handlers:
        root.addHandler(logging.NullHandler())
    logging.getLogger("apache_beam").setLevel(logging.CRITICAL)


@contextlib.contextmanager
def deaths_as_errors() -> Iterator[None]:
    """Make the death of a worker an error of the main thread; Beam would wait for the dead for ever.

    Raises:
        FaceloomError: a worker died.
    """
    died = ""
    before = threading.excepthook

    def hook(fault: threading.ExceptHookArgs) -> None:
        nonlocal died
        if fault.thread is not None and fault.thread.name == "run_worker":
            died = str(fault.exc_value)
            _thread.interrupt_main()
        else:
            before(fault)

    threading.excepthook = hook
    try:
        yield
    except KeyboardInterrupt:
        if not died:
            raise
        remedy = "If memory ran out, use fewer workers. Run the same command again; finished tasks are kept"
        raise FaceloomError("a worker process died", value=died, remedy=remedy) from None
    finally:
        threading.excepthook = before


def main() -> None:
    """Serve the process that started this one until it hangs up or dies."""
    # Ctrl-C reaches every worker too; this one is not to end with a traceback, nor as if it had failed.
    signal.signal(signal.SIGINT, lambda number, frame: os._exit(0))
    if sys.platform == "linux":
        # Without this, a worker whose master is killed works on for seconds, beside those of the next run.
        ctypes.CDLL(None).prctl(_SET_DEATH_SIGNAL, signal.SIGKILL)
    quiet_beam()
    from apache_beam.runners.worker import sdk_worker_main

    sdk_worker_main.main(sys.argv)
    os._exit(0)  # threads of gRPC may still be at work, and abort an orderly exit with a message


if __name__ == "__main__":
    main()
