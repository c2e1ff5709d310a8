"""Standard streams of the command line. One that is closed or full ends the printing, not the work."""

from __future__ import annotations

import errno
import io
import os
import select
import stat
import sys
from typing import Any, TextIO

_READER_GONE = frozenset({errno.EPIPE, errno.ECONNRESET, errno.ESHUTDOWN, errno.ENOTCONN})
"""Errors of writing that mean that the reader wants no more."""


class _Output(io.FileIO):
    """A file descriptor that goes on as /dev/null after an error of writing.

    Attributes:
        fault: the error, None if the reader went away.
    """

    fault: OSError | None = None

    def __init__(self, number: int) -> None:
        super().__init__(number, "w", closefd=False)
        device = stat.S_ISCHR(os.fstat(number).st_mode)
        self._gone = _READER_GONE | {errno.EIO} if device else _READER_GONE  # a terminal that hung up

    def write(self, data: Any) -> int:
        try:
            while (count := super().write(data)) is None:  # a slow reader of a pipe that does not block
                select.select([], [self], [])
            return count
        except OSError as error:
            if error.errno not in self._gone:
                self.fault = error
            _open_null(self.fileno())
            return memoryview(data).nbytes


def guard_streams() -> None:
    """Replace sys.stdout and sys.stderr, so that printing never raises an OSError. See `output_fault`.

    File descriptors 0 to 2 that are closed become /dev/null. Otherwise the next files that are opened would get their
    numbers, and what a library or a worker process prints would end in a shard.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            _open_null(number)
    sys.stdin = sys.stdin or open(0, closefd=False)  # noqa: SIM115
    sys.stdout = _guarded(sys.stdout, 1)
    sys.stderr = _guarded(sys.stderr, 2)


def output_fault() -> OSError | None:
    """Why results could not be written to stdout; None if they were, or if their reader went away."""
    sys.stdout.flush()
    return getattr(getattr(getattr(sys.stdout, "buffer", None), "raw", None), "fault", None)


def _guarded(stream: TextIO | None, number: int) -> TextIO:
    """The text stream of a file descriptor. Characters that its encoding does not have are written as escapes."""
    errors = stream.errors if stream and stream.errors == "surrogateescape" else "backslashreplace"
    return io.TextIOWrapper(
        io.BufferedWriter(_Output(number)),
        encoding=stream.encoding if stream else "utf-8",
        errors=errors,
        line_buffering=number == 2 or os.isatty(number),
    )


def _open_null(number: int) -> None:
    """Make a file descriptor one of /dev/null, which workers inherit."""
    null = os.open(os.devnull, os.O_RDWR)
    if null != number:
        os.dup2(null, number)
        os.close(null)
    os.set_inheritable(number, True)
