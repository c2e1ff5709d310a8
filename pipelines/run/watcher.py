"""The interface through which a build reports its progress."""

from __future__ import annotations


class Watcher:
    """Receives progress and shows nothing. The command line has a subclass that shows it."""

    def stage(self, name: str, total: int | None, unit: str) -> None:
        """A stage begins. `total` is its number of items, None if unknown; `unit` is their name in the plural."""

    def done(self, count: int) -> None:
        """`count` items of the stage are done in all."""

    def note(self, text: str) -> None:
        """Show the user a message."""
