"""Read photos before they are asked for, where each read has to wait for a network."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

AHEAD = 8
"""Photos that are read at the same time, and held at most."""


class ReadAhead:
    """Reads items with a function in threads, in the order that was announced.

    It starts no thread before items are announced, and pickles as its function.
    """

    def __init__(self, read: Callable[[str], bytes]) -> None:
        self._read = read
        self._lock = threading.Lock()
        self._waiting: Iterator[str] = iter(())
        self._reads: dict[str, Future[bytes]] = {}
        self._threads: ThreadPoolExecutor | None = None

    def __reduce__(self) -> tuple[type[ReadAhead], tuple[Callable[[str], bytes]]]:
        return ReadAhead, (self._read,)

    def expect(self, names: Iterable[str]) -> None:
        """Announce what `read` will be asked for next, in this order. Forgets what was announced before."""
        with self._lock:
            for started in self._reads.values():
                started.cancel()
            self._reads, self._waiting = {}, iter(dict.fromkeys(names))
            self._threads = self._threads or ThreadPoolExecutor(AHEAD)
            self._start_more()

    def read(self, name: str) -> bytes:
        """Read an item, or wait for it if its read has begun. Errors are those of the function."""
        with self._lock:
            started = self._reads.pop(name, None)
            self._start_more()
        return self._read(name) if started is None else started.result()

    def _start_more(self) -> None:
        while len(self._reads) < AHEAD and (name := next(self._waiting, None)) is not None:
            assert self._threads is not None, "nothing waits before it is announced"
            self._reads[name] = self._threads.submit(self._read, name)
