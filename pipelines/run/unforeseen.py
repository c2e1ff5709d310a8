"""Unforeseen errors: they get the name of the photo or sample on which they happened, and fail the task."""

from __future__ import annotations

import errno
import traceback

from faceloom.schemas.errors import FaceloomError, PhotoError, WorkerError
from faceloom.transforms.memory import is_memory_fault

_OF_THE_MACHINE = frozenset(
    {errno.EIO, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.EAGAIN, errno.EINTR}
    | {errno.ESTALE, errno.ETIMEDOUT, errno.ENOTCONN, errno.ECONNRESET, errno.EHOSTDOWN, errno.EHOSTUNREACH}
)
_MEMORY_REMEDY = "Use fewer workers or free memory, and run the same command again; what is finished is kept"
_FILES_REMEDY = (
    "Raise the limit of open files, see `ulimit -n`, and run the same command again; what is finished is kept"
)
_REMEDY = (
    "Run the same command again; what is finished is kept. If it fails again here, report the error with its traceback,"
    " and leave the photo out with `exclude` of its source in the recipe"
)


class naming:
    """Raise unforeseen errors of the body as a WorkerError that names a photo, sample or part. Errors of ours pass;
    those without a place get this one.

    A class, since every photo enters several of these, and a generator takes three times as long.

    Args:
        where: what the body works on.
    """

    __slots__ = ("_where",)

    def __init__(self, where: str) -> None:
        self._where = where

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None or isinstance(error, (PhotoError, ImportError)):
            return  # these errors have a place already, or concern no photo
        if isinstance(error, FaceloomError):
            error.where = error.where or self._where
        elif isinstance(error, Exception):
            raise unforeseen(self._where, error) from error


def unforeseen(where: str, error: Exception) -> WorkerError:
    """The error of a task that failed on a photo, sample or part for a reason that is no fault of the photo."""
    text = " ".join(str(error).split())
    kind = type(error).__name__
    if is_memory_fault(error):
        named = WorkerError("memory ran out", where=where, value=text, remedy=_MEMORY_REMEDY)
    elif isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
        named = WorkerError("too many open files", where=where, value=text, remedy=_FILES_REMEDY)
    else:
        named = WorkerError(f"unexpected {kind}", where=where, value=text, remedy=_REMEDY)
    named.trace = "".join(traceback.format_exception(error))
    return named


def refuse_machine_fault(where: str, error: PhotoError) -> None:
    """Raise the error of a photo that could not be read, if the machine is to blame: disk, network, memory, open files.

    Raises:
        WorkerError: the photo may well be readable in the next run.
    """
    cause = error.__cause__
    if isinstance(cause, OSError) and cause.errno in _OF_THE_MACHINE:
        raise unforeseen(where, cause) from error
