"""A file of an object store as a stream: it seeks, and reads ahead while it is read in order."""

from __future__ import annotations

import io
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

FIRST = 2**18
"""Bytes of the first read ahead; each one that follows is twice as long."""
MOST = 2**23
"""Bytes of the longest read ahead. Two of them are held at most."""


class RangedStream(io.RawIOBase):
    """Reads byte ranges with a function. The first read after a seek gets only what is requested.

    While it is read in order, the next range is requested in a thread before it is needed.
    """

    def __init__(self, read: Callable[[int, int], bytes], length: int) -> None:
        """Read nothing yet.

        Args:
            read: returns exactly so many bytes from an offset, or raises.
            length: of the file in bytes.
        """
        super().__init__()
        self._read, self.length = read, length
        self._at, self._ahead = 0, FIRST
        self._begin, self._data = 0, b""
        self._next: Future[bytes] | None = None
        self._thread: ThreadPoolExecutor | None = None

    def readable(self) -> bool:
        """Whether it can be read: yes."""
        return True

    def seekable(self) -> bool:
        """Whether it can seek: yes."""
        return True

    def tell(self) -> int:
        """The position in bytes."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a position; reads nothing."""
        place = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.length}[whence] + offset
        if place < 0:
            raise ValueError("a negative position")
        self._at = place
        return place

    def readall(self) -> bytes:
        """All that is left."""
        return self.read(max(0, self.length - self._at)) or b""

    def read(self, size: int | None = -1, /) -> bytes:
        """Read so many bytes, and fewer only at the end of the file."""
        if size is None or size < 0:
            return self.readall()
        wanted = min(size, max(0, self.length - self._at))
        pieces = []
        while wanted:
            if not self._begin <= self._at < self._begin + len(self._data):
                self._load(wanted)
            begin = self._at - self._begin
            piece = self._data[begin : begin + wanted]
            pieces.append(piece)
            self._at += len(piece)
            wanted -= len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill a buffer; returns the number of bytes, which is smaller only at the end of the file."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        """Forget what was read ahead."""
        if self._thread is not None:
            self._thread.shutdown(wait=False, cancel_futures=True)
        self._data, self._next = b"", None
        super().close()

    def _load(self, wanted: int) -> None:
        """Read a range that begins at the present position."""
        end = self._begin + len(self._data)
        in_order = self._at == end and (end > 0 or self._next is not None)
        waiting, self._next = self._next, None
        if in_order and waiting is not None:
            data = waiting.result()
        else:
            length = max(wanted, FIRST) if in_order else wanted
            data = self._read(self._at, min(length, self.length - self._at))
        self._begin, self._data = self._at, data
        end = self._begin + len(data)
        if not in_order:
            self._ahead = FIRST
        elif end < self.length:
            self._ahead = min(MOST, 2 * max(self._ahead, len(data) // 2))
            self._thread = self._thread or ThreadPoolExecutor(1)
            self._next = self._thread.submit(self._read, end, min(self._ahead, self.length - end))
