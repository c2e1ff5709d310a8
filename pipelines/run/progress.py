"""Progress of running tasks, for display only: nothing depends on it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

_add: Callable[[int], None] | None = None
"""Where `tick` counts: a slot of the pool in a worker process, the watcher in the main process, or nowhere."""


def tick(count: int = 1) -> None:
    """Report that so many more items of the running task are done."""
    if _add is not None:
        _add(count)


def count_with(add: Callable[[int], None] | None) -> None:
    """Set what `tick` calls in this process; None to stop counting."""
    global _add
    _add = add


@contextlib.contextmanager
def counting(on_count: Callable[[int], None]) -> Iterator[None]:
    """Count the ticks of this process, and pass the total to `on_count` after each."""
    total = 0

    def add(count: int) -> None:
        nonlocal total
        total += count
        on_count(total)

    before = _add
    count_with(add)
    try:
        yield
    finally:
        count_with(before)
