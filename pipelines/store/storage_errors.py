"""Errors of files and disks, as messages for people."""

from __future__ import annotations

import contextlib
import errno
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from faceloom.schemas.errors import StorageError
from faceloom.schemas.regular_files import UnfitFileError

_FULL = {errno.ENOSPC, errno.EDQUOT}
_FILES = dict.fromkeys((errno.EMFILE, errno.ENFILE), "Raise the limit of open files, see `ulimit -n`")
_IN_THE_WAY = "A file exists where a folder is needed; move it away or choose another output folder"
_REMEDIES = {
    **_FILES,
    errno.EACCES: "Make it writable for this user, or choose another output folder",
    errno.EPERM: "Make it writable for this user, or choose another output folder",
    errno.EROFS: "The disk is mounted read-only; choose another output folder",
    errno.ENOTDIR: _IN_THE_WAY,
    errno.EEXIST: _IN_THE_WAY,
    errno.EISDIR: "A folder exists where a file is needed; move it away or choose another output folder",
    errno.ENOENT: "Check that the output folder is still there and mounted, then run the same command again",
    errno.EFBIG: "The file would be larger than the system allows, see `ulimit -f`; raise that limit, or choose a "
    "folder on another file system",
}
_RETRY = "Check the disk, then run the same command again; finished tasks are kept"
_INCOMPLETE = "Check that the output folder is still there, complete and mounted, then run the same command again"
_READ_REMEDIES = {
    **_FILES,
    errno.EACCES: "Ask its owner for permission to read it",
    errno.EPERM: "Ask its owner for permission to read it",
    errno.ENOENT: _INCOMPLETE,
    errno.ENOTDIR: _INCOMPLETE,
}
_READ_AGAIN = "Check the disk, then run the same command again"


@contextlib.contextmanager
def storage_errors(what: str, path: str, folder: Path | None = None, *, reading: bool = False) -> Iterator[None]:
    """Raise each OSError, and each file that must not be read, as a StorageError.

    Args:
        what: what failed, for the message.
        path: of the file, relative to its root.
        folder: whose disk the message of a full one describes.
        reading: whether a file is read, which needs other remedies than writing.
    """
    try:
        yield
    except UnfitFileError as error:
        remedy = "Move it away; if the build needs it, the same `faceloom build` makes it anew"
        raise StorageError(f"{what}: {error}", where=path, remedy=remedy) from None
    except OSError as error:
        raise_storage_error(error, what, path, folder, reading=reading)


def raise_storage_error(
    error: OSError, what: str, path: str, folder: Path | None, *, reading: bool = False
) -> NoReturn:
    """Raise an OSError as a StorageError. Arguments as `storage_errors`."""
    if error.errno in _FULL and not reading:
        left = "unknown"
        with contextlib.suppress(OSError):
            left = f"{shutil.disk_usage(folder or '.').free / 1e6:.0f} MB"
        raise StorageError(
            f"disk full while writing ({error.strerror}; free now: {left})",
            where=path,
            remedy="Free some space and run the same command again; finished tasks are kept",
        ) from error
    remedy = (_READ_REMEDIES if reading else _REMEDIES).get(error.errno or 0, _READ_AGAIN if reading else _RETRY)
    raise StorageError(
        f"{what} ({error.strerror or error})", where=path, value=error.filename or "", remedy=remedy
    ) from error
