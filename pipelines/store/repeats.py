"""Repeat requests to object stores while a store is away, busy or silent."""

from __future__ import annotations

import contextlib
import logging
import math
import random
import re
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import TypeVar

from faceloom.pipelines.store import object_client
from faceloom.pipelines.store.object_client import as_os_error, is_of_library

T = TypeVar("T")
_LOG = logging.getLogger(__name__)
_STATUS = re.compile(r"status code: (\d{3})\b")
_BUSY = ("408", "429")
"""The store asks for patience by a client's error, which the library does not repeat."""
_CONFLICT = "<Code>ConditionalRequestConflict</Code>"
"""S3 answers it, with status 409, to conditional writes of one object at the same time; the library takes it for an
existing object."""
_NOTE_AFTER, _NOTE_EVERY = 5.0, 30.0
"""Seconds without success after which a line is logged, and between two lines of a process."""
_last_note = [-math.inf]
_patient = ContextVar("patient", default=True)
_BROKEN = re.compile(r"(response|message) body")


def repeated(call: Callable[[], T], *, in_library: bool = False) -> T:
    """Call a function again while the store is away, busy or silent, or its answer breaks off; see `PATIENCE`.

    Use it with a store that was opened without `repeats`: the library counts a request that is refused because there
    are too many as an error of the caller, does not repeat deletes and conditional writes, and cannot be interrupted by
    Ctrl-C while it waits.

    Args:
        call: must be harmless if repeated.
        in_library: whether the library repeats requests of the call too. The time then counts from now and not from the
            first failure, which comes only when the library has given up.
    """
    tries = Tries(begun=in_library)
    while True:
        try:
            return call()
        except Exception as error:
            tries.wait(error)


@contextlib.contextmanager
def without_patience() -> Iterator[None]:
    """Give up at the first failure, in the block and in this thread: for what is not worth a wait."""
    before = _patient.set(False)
    try:
        yield
    finally:
        _patient.reset(before)


class Tries:
    """Tries of one request.

    Attributes:
        failed: how many failed so far.

    Args:
        begun: whether the time counts from now; otherwise it counts from the first failure.
    """

    def __init__(self, *, begun: bool = False) -> None:
        self.failed = 0
        self._begin = time.monotonic() if begun else None

    def pause(self) -> bool:
        """Wait before the next try, the longer the more failed; returns whether there may be one."""
        if not _patient.get():
            return False
        patience, now = object_client.PATIENCE, time.monotonic()
        if self._begin is None:
            self._begin = now
        if now - self._begin >= patience.seconds:
            return False
        longest = min(patience.longest, patience.first * 2**self.failed)
        self.failed += 1
        time.sleep(random.uniform(longest / 2, longest))  # workers must not ask all at once
        return True

    def wait(self, error: Exception) -> None:
        """Wait before the next try, or raise the error if it will not pass or there is no next try.

        The error gets a note with the number of retries, if there were any.
        """
        if not is_passing(error) or not self.pause():
            if self.failed:
                error.add_note(f"after {self.failed} retries")
            raise error
        if self._begin is not None and time.monotonic() - self._begin > _NOTE_AFTER:
            log_waiting(error)


def log_waiting(error: Exception) -> None:
    """Log that requests are repeated because of an error of the library, unless that was logged just now."""
    now = time.monotonic()
    if now - _last_note[0] > _NOTE_EVERY:
        _last_note[0] = now
        why, seconds = as_os_error(error).strerror, object_client.PATIENCE.seconds
        _LOG.warning("Waiting: %s. Requests are repeated for %.0f seconds", why, seconds)


def is_passing(error: Exception) -> bool:
    """Whether an error is a fault of the store or of the network that may pass."""
    if not is_of_library(error):
        return False
    text = str(error)
    if _CONFLICT in text:
        return True
    if status := _STATUS.search(text):
        return (status[1].startswith("5") and status[1] != "501") or status[1] in _BUSY
    return bool(_BROKEN.search(text)) or isinstance(as_os_error(error), TimeoutError | ConnectionError)
