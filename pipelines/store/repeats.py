"""Repeat requests to object stores while a store is away, busy or silent."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable
from typing import TypeVar

from faceloom.pipelines.store import object_client
from faceloom.pipelines.store.object_client import as_os_error, is_of_library

T = TypeVar("T")
_STATUS = re.compile(r"status code: (\d{3})\b")
_BUSY = ("408", "429")
"""The store asks for patience by a client's error, which the library does not repeat."""
_BROKEN = re.compile(r"(response|message) body")


def repeated(call: Callable[[], T]) -> T:
    """Call a function again while the store is away, busy or silent, or its answer breaks off; see `PATIENCE`.

    Use it with a store that was opened without `repeats`: the library counts a request that is refused because there
    are too many as an error of the caller, does not repeat deletes and conditional writes, and cannot be interrupted by
    Ctrl-C while it waits. The call must be harmless if repeated.
    """
    tries = Tries()
    while True:
        try:
            return call()
        except Exception as error:
            tries.wait(error)


class Tries:
    """Tries of one request.

    Attributes:
        failed: how many failed so far.
    """

    def __init__(self) -> None:
        self.failed = 0
        self._first_failure: float | None = None

    def pause(self) -> bool:
        """Wait before the next try, the longer the more failed; returns whether there may be one."""
        patience, now = object_client.PATIENCE, time.monotonic()
        if self._first_failure is None:
            self._first_failure = now
        if now - self._first_failure >= patience.seconds:
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


def is_passing(error: Exception) -> bool:
    """Whether an error is a fault of the store or of the network that may pass."""
    if not is_of_library(error):
        return False
    text = str(error)
    if status := _STATUS.search(text):
        return status[1].startswith("5") or status[1] in _BUSY
    return bool(_BROKEN.search(text)) or isinstance(as_os_error(error), TimeoutError | ConnectionError)
