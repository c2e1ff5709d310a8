"""Ticks from tasks to whoever watches. For display only: a tick may be lost, and nothing depends on it."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from functools import lru_cache
from types import TracebackType


@lru_cache(maxsize=1)
def _socket() -> socket.socket:
    return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)


def tick(address: str) -> None:
    """Tell the listener at `host:port` that one more thing is done; no address, no tick."""
    if address:
        host, port = address.rsplit(":", 1)
        with contextlib.suppress(OSError):
            _socket().sendto(b".", (host, int(port)))


class Listener:
    """Counts ticks on a loopback port and calls back, from a thread of its own, at most ten times a second.

    Attributes:
        address: `host:port` for `tick`.
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
        self._thread.join()
        self._socket.close()

    def _listen(self) -> None:
        count = 0
        for received in self._ticks():
            count += received
            self._on_count(count)

    def _ticks(self) -> Iterator[int]:
        while not self._stop.is_set():
            received = 0
            try:
                self._socket.recv(16)
                received = 1
                self._socket.setblocking(False)
                while True:
                    self._socket.recv(16)
                    received += 1
            except (TimeoutError, BlockingIOError):
                self._socket.settimeout(0.1)
            if received:
                yield received
