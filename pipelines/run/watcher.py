"""The interface through which a build reports its progress."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, int, int | None], None]
"""Called with the name of a stage, the number of items done, and the total or None if it is unknown."""


class Watcher:
    """Receives progress and shows nothing. The command line has a subclass that shows it."""

    def stage(self, name: str, total: int | None, unit: str) -> None:
        """A stage begins. `total` is its number of items, None if unknown; `unit` is their name in the plural."""

    def done(self, count: int) -> None:
        """`count` items of the stage are done in all."""

    def note(self, text: str) -> None:
        """Show the user a message."""


class _Calls(Watcher):
    """Calls a function of the user."""

    def __init__(self, progress: Progress) -> None:
        self._progress, self._name = progress, ""
        self._total: int | None = None

    def stage(self, name: str, total: int | None, unit: str) -> None:
        self._name, self._total = name, total
        self.done(0)

    def done(self, count: int) -> None:
        self._progress(self._name, count, self._total)


def watcher_of(progress: Progress | None) -> Watcher:
    """The watcher that calls a function of the user, if there is one."""
    return Watcher() if progress is None else _Calls(progress)
