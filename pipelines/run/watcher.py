"""Who is told how a build goes on."""

from __future__ import annotations


class Watcher:
    """Is told how a build goes on, and shows nothing. The command line's own kind shows it."""

    def stage(self, name: str, total: int | None, unit: str) -> None:
        """A stage begins, with so many things to do if that is known."""

    def done(self, count: int) -> None:
        """So many things of the stage are done in all."""

    def note(self, text: str) -> None:
        """Something that the user should know."""
