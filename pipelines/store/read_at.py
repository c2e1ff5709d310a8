"""Read files at any place in them: files of this machine by descriptor, and objects by ranges."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import IO, Protocol, TypeAlias, TypeVar

from faceloom.pipelines.store.store_path import Place, StorePath
from faceloom.schemas.errors import StorageError
from faceloom.schemas.regular_files import open_regular_file

_BLOCK = 2**20
"""Bytes that are asked for at once while an object is read in order; `RangedStream` reads further ahead."""
_SKIP = 2**22
"""Bytes up to which reading on is cheaper than another request."""
_KNOWN_FOR = 60.0
"""Seconds for which length and ETag of an object are not asked for again."""

T = TypeVar("T")


class Reader(Protocol):
    """A file that is no file of this machine."""

    @property
    def length(self) -> int:
        """In bytes."""

    def read_at(self, length: int, offset: int) -> bytes:
        """Bytes from an offset; fewer at the end."""


File: TypeAlias = int | Reader
"""Descriptor of an open file, or what reads another one."""


def read_at(file: File, length: int, offset: int) -> bytes:
    """Bytes of a file from an offset; fewer at the end. Raises OSError or StorageError."""
    return os.pread(file, length, offset) if isinstance(file, int) else file.read_at(length, offset)


def length_of(file: File) -> int:
    """Length of a file in bytes."""
    return os.fstat(file).st_size if isinstance(file, int) else file.length


@contextlib.contextmanager
def opened(place: Place) -> Iterator[File]:
    """Open a file. An object is read ahead while it is read more or less in order.

    Raises:
        OSError, UnfitFileError: of a file of this machine.
        StorageError: the object cannot be read, or is replaced meanwhile.
    """
    if isinstance(place, StorePath):
        with place.storage.open(place.path) as stream:
            length = stream.seek(0, os.SEEK_END)
            stream.seek(0)
            yield StreamReader(stream, length)
    else:
        with open_regular_file(place) as stream:
            yield stream.fileno()


class StreamReader:
    """Reads an object at places that mostly follow each other: short gaps are read over, long ones are skipped."""

    def __init__(self, stream: IO[bytes], length: int) -> None:
        self._stream, self.length = stream, length
        self._begin, self._data = 0, b""

    def read_at(self, length: int, offset: int) -> bytes:
        """See `Reader`."""
        end = self._begin + len(self._data)
        if not self._begin <= offset <= end + _SKIP:
            self._stream.seek(offset)
            self._begin, self._data, end = offset, b"", offset
        stop = min(offset + length, self.length)
        pieces = []
        while end < stop and (piece := self._stream.read(max(_BLOCK, min(stop - end, 2 * _SKIP)))):
            pieces.append(piece)
            end += len(piece)
        if pieces:
            kept = self._data[max(0, offset - self._begin) :]
            self._begin += len(self._data) - len(kept)
            self._data = b"".join((kept, *pieces))
        begin = offset - self._begin
        return self._data[begin : begin + length]


class Window:
    """A range of an object that was read with one request.

    Attributes:
        length: of the whole object.
    """

    def __init__(self, data: bytes, begin: int, length: int) -> None:
        self._data, self._begin, self.length = data, begin, length

    def read_at(self, length: int, offset: int) -> bytes:
        """See `Reader`.

        Raises:
            EOFError: the bytes lie outside the range.
        """
        begin, length = offset - self._begin, min(length, max(0, self.length - offset))
        if not 0 <= begin <= begin + length <= len(self._data):
            raise EOFError
        return self._data[begin : begin + length]


_known: dict[StorePath, tuple[float, tuple[int, str]]] = {}
_locks: dict[Place, threading.RLock] = {}


def version_of(place: Place) -> tuple[int, int | str]:
    """Length, and modification time in nanoseconds or ETag. Those of an object may be a minute old: see `up_to_date`.

    Raises:
        OSError: of a file of this machine.
        StorageError: the object does not exist, or the store cannot be asked.
    """
    if not isinstance(place, StorePath):
        status = place.stat()
        return status.st_size, status.st_mtime_ns
    when, known = _known.get(place, (-_KNOWN_FOR, (0, "")))
    if time.monotonic() - when > _KNOWN_FOR:
        size, e_tag = place.storage.stamp(place.path)
        known = int(str(size)), str(e_tag or "")
        _known[place] = time.monotonic(), known
    return known


def up_to_date(place: Place, read: Callable[[], T]) -> T:
    """Call a function that reads an object of the version that `version_of` states, and again if that is an old one.

    It may run in several threads: one that finds the version renewed by another one reads again too. The function must
    ask for the version before it looks where the bytes lie, so that bytes of a new version never come from old places.
    """
    old = _known.get(place, (0.0, None))[1] if isinstance(place, StorePath) else None
    try:
        return read()
    except StorageError:
        if not isinstance(place, StorePath):
            raise
        _known.pop(place, None)
        if version_of(place) == old:
            raise
        return read()


def one_at_a_time(place: Place) -> contextlib.AbstractContextManager[object]:
    """A lock for what should be done once for an object, such as listing a tar file, although threads read ahead."""
    return _locks.setdefault(place, threading.RLock()) if isinstance(place, StorePath) else contextlib.nullcontext()
