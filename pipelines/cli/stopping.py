"""How signals stop a command: in order at first; at once if asked twice, or if that takes too long."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from types import FrameType
from typing import Any, NoReturn

STOPPED = {signal.SIGINT: 130, signal.SIGTERM: 143}
"""Exit codes of signals, as in shells: Ctrl-C, and the signal of `kill` and job schedulers."""

PATIENCE_SECONDS = 5.0
"""Time for an interrupted command to clean up, before the process exits anyway."""


class Stop:
    """What signals have asked for so far.

    Args:
        resumes: whether the same command goes on from what an interrupted one left.

    Attributes:
        code: exit code of the signal; 0 while there was none.
    """

    def __init__(self, *, resumes: bool = False) -> None:
        self.code = 0
        self._remedy = "Rerun the same command to resume." if resumes else "Run the same command again."
        self._raised = False
        self._departing = threading.Lock()

    def depart(self) -> NoReturn:
        """End the process at once, with a message.

        It waits for nothing: other threads may hold the streams, and the reader of stderr may be stuck.
        """
        if not self._departing.acquire(blocking=False):
            time.sleep(PATIENCE_SECONDS)  # another thread ends the process
        try:
            # A bar that does not end in order leaves the terminal without a cursor.
            cursor = "\x1b[?25h" if os.isatty(2) else ""
            if select.select([], [2], [], 0)[1]:
                os.write(2, f"{cursor}Interrupted. {self._remedy}\n".encode())
        finally:
            os._exit(self.code)

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Raise KeyboardInterrupt in the block on a signal, after killing all worker processes.

        A second signal, or a block that does not end within PATIENCE_SECONDS, ends the process.
        """
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        threading.Thread(target=self._watch, args=(reader,), daemon=True).start()
        # What is ignored stays so: a script's background jobs ignore Ctrl-C, which is meant for others.
        heard = [number for number in STOPPED if signal.getsignal(number) is not signal.SIG_IGN]
        descriptor = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        before = [signal.signal(number, self._handle) for number in heard]
        hook = sys.unraisablehook
        sys.unraisablehook = partial(self._lost, hook)
        try:
            yield
        finally:
            sys.unraisablehook = hook
            for number, handler in zip(heard, before):
                signal.signal(number, handler)
            signal.set_wakeup_fd(descriptor)
            os.close(writer)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if not self._raised:
            self._raised, self.code = True, STOPPED[signal.Signals(number)]
            _kill_workers()
            raise KeyboardInterrupt

    def _lost(self, hook: Callable[[Any], object], lost: Any) -> None:
        """End the process if the interrupt came in a callback that cannot raise, such as that of a weak reference."""
        if self._raised and issubclass(lost.exc_type, KeyboardInterrupt):
            self.depart()
        hook(lost)

    def _watch(self, reader: int) -> None:
        """See signals that the main thread is too busy to handle, such as inside a library."""
        asked, patience = 0, None
        with open(reader, "rb", buffering=0) as numbers:
            while select.select([numbers], [], [], patience)[0]:
                got = numbers.read(64)
                if not got:
                    return  # the command has ended
                for number in got:
                    if number in STOPPED:
                        asked, patience = asked + 1, PATIENCE_SECONDS
                        self.code = self.code or STOPPED[signal.Signals(number)]
                if asked > 1:
                    break
            self.depart()


# A process forked from this one, such as a DataLoader's worker, must not write its signals into our pipe.
os.register_at_fork(after_in_child=lambda: signal.set_wakeup_fd(-1))


def _kill_workers() -> None:
    """Kill all worker processes. Imports nothing: without the module there are none."""
    if multiprocessing := sys.modules.get("multiprocessing"):
        for process in multiprocessing.active_children():
            process.kill()
