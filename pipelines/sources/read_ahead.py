"""Read photos before they are asked for, where each read has to wait for a network."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

AHEAD = 8
"""Photos that are read at the same time, and held at most."""

T = TypeVar("T")


class ReadAhead(Generic[T]):
    """Reads items with a function in threads, in the order that was announced.

    An item that is announced twice is read twice, so that it need not be held between. It starts no thread before items
    are announced, and pickles as its function.
    """

    def __init__(self, read: Callable[[str], T]) -> None:
        self._read = read
        self._lock = threading.Lock()
        self._waiting: Iterator[str] = iter(())
        self._reads: dict[str, deque[Future[T]]] = {}
        self._started = 0
        self._threads: ThreadPoolExecutor | None = None

    def __reduce__(self) -> tuple[type[ReadAhead[T]], tuple[Callable[[str], T]]]:
        return ReadAhead, (self._read,)

    def expect(self, names: Iterable[str]) -> None:
        """Announce what `read` will be asked for next, in this order. Forgets what was announced before."""
        with self._lock:
            for reads in self._reads.values():
                for started in reads:
                    started.cancel()
            self._reads, self._started, self._waiting = {}, 0, iter(tuple(names))
            self._threads = self._threads or ThreadPoolExecutor(AHEAD)
            self._start_more()

    def read(self, name: str) -> T:
        """Read an item, or wait for it if its read has begun. Errors are those of the function."""
        with self._lock:
            started = None
            if reads := self._reads.get(name):
                started = reads.popleft()
                self._started -= 1
            self._start_more()
        return self._read(name) if started is None else started.result()

    def _start_more(self) -> None:
        while self._started < AHEAD and (name := next(self._waiting, None)) is not None:
            assert self._threads is not None, "nothing waits before it is announced"
            self._reads.setdefault(name, deque()).append(self._threads.submit(self._read, name))
            self._started += 1
