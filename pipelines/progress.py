"""Ticks from tasks to whoever watches. For display only: a tick may be lost, and nothing depends on it."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from types import TracebackType

_STOP = b"stop"

INTERVAL = 0.2
"""Seconds between two words of one task."""


class Ticker:
    """Tells the listener at `host:port` how many things are done, a few times a second; no address, no ticks.

    Use as a context manager: what is left to tell is told at its end.
    """

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._to = (host, int(port)) if address else None
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM) if address else None
        self._count, self._told = 0, 0.0

    def __enter__(self) -> Ticker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._tell()
        if self._socket is not None:
            self._socket.close()

    def tick(self) -> None:
        """One more thing is done."""
        self._count += 1
        if self._to and time.monotonic() - self._told > INTERVAL:
            self._tell()

    def _tell(self) -> None:
        if self._socket is not None and self._count:
            with contextlib.suppress(OSError):
                self._socket.sendto(str(self._count).encode(), self._to)  # type: ignore[arg-type]
        self._count, self._told = 0, time.monotonic()


class Listener:
    """Counts ticks on a loopback port and calls back from a thread of its own.

    Attributes:
        address: `host:port` for a `Ticker`.
    """

    def __init__(self, on_count: Callable[[int], None]) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**20)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(0.1)
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self._on_count, self._stop = on_count, threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def __enter__(self) -> Listener:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        with contextlib.suppress(OSError):
            self._socket.sendto(_STOP, self._socket.getsockname())
        self._thread.join()
        self._socket.close()

    def _listen(self) -> None:
        count = 0
        while True:
            try:
                word = self._socket.recv(32)
            except TimeoutError:
                if self._stop.is_set():
                    return
                continue
            if word == _STOP:  # came last, so all words before it have been heard
                return
            count += int(word)
            self._on_count(count)
