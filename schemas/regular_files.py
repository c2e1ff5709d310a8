"""Read files whose author is a stranger: regular files alone, and never more bytes than a file of its kind has."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import IO


class UnfitFileError(ValueError):
    """A file that must not be read: a folder, pipe, socket or device, or one that is too long."""


def read_regular_file(path: str | Path, most_bytes: int, *, follow_links: bool = True) -> bytes:
    """All bytes of a regular file. Opening a pipe or device does not wait, and reads nothing from it.

    Args:
        path: the file.
        most_bytes: a longer file is refused before it is read, and while it is read if it grows.
        follow_links: whether the path itself may be a link.

    Raises:
        UnfitFileError: it is no regular file, a link that must not be followed, or too long. The message has no path.
        OSError: it does not exist or cannot be read.
    """
    with open_regular_file(path, most_bytes, follow_links=follow_links) as stream:
        # Python takes memory for all that is requested; a byte more shows a file that grows.
        data = stream.read(min(most_bytes, os.fstat(stream.fileno()).st_size) + 1)
    if len(data) > most_bytes:
        raise UnfitFileError(_too_long(len(data), most_bytes))
    return data


def open_regular_file(path: str | Path, most_bytes: int | None = None, *, follow_links: bool = True) -> IO[bytes]:
    """Open a regular file for reading. Arguments and errors as `read_regular_file`; None sets no limit."""
    flags = os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_NONBLOCK", 0)
    if not follow_links:
        flags |= getattr(os, "O_NOFOLLOW", 0)
        if os.path.islink(path):  # noqa: PTH114
            raise UnfitFileError("it is a link, which is not followed")
    file = os.open(path, flags)
    try:
        check_regular(os.fstat(file), most_bytes)
        return os.fdopen(file, "rb")
    except BaseException:
        os.close(file)
        raise


def check_regular(status: os.stat_result, most_bytes: int | None = None) -> None:
    """Check what `os.stat` found.

    Raises:
        UnfitFileError: it is no regular file, or too long.
    """
    if not stat.S_ISREG(status.st_mode):
        kind = "a folder" if stat.S_ISDIR(status.st_mode) else "a pipe, socket or device"
        raise UnfitFileError(f"it is {kind}, not a file")
    check_length(status.st_size, most_bytes)


def check_length(length: int, most_bytes: int | None) -> None:
    """Check the length of a file in bytes; None sets no limit.

    Raises:
        UnfitFileError: it is too long.
    """
    if most_bytes is not None and length > most_bytes:
        raise UnfitFileError(_too_long(length, most_bytes))


def _too_long(length: int, most_bytes: int) -> str:
    return f"it has {length:,} bytes; at most {most_bytes:,} are read"
