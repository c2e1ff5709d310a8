"""Progress of running tasks. It is only displayed; no result depends on it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

_add: Callable[[int], None] | None = None


def tick(count: int = 1) -> None:
    """Report that `count` more items of the running task are done."""
    if _add is not None:
        _add(count)


def count_with(add: Callable[[int], None] | None) -> None:
    """Set the function that `tick` calls in this process; None to stop counting."""
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
