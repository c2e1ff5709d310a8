"""What the package logs, such as that a store is away, as lines of a command."""

from __future__ import annotations

import logging

from faceloom.pipelines.cli.output import say

_LOGGER = logging.getLogger("faceloom")


class _Lines(logging.Handler):
    """Prints each record on stderr."""

    def emit(self, record: logging.LogRecord) -> None:
        say(f"{record.levelname.capitalize()}: {record.getMessage()}")


def show_log() -> None:
    """Print warnings and errors that the package logs on stderr, once each."""
    if not any(isinstance(one, _Lines) for one in _LOGGER.handlers):
        _LOGGER.addHandler(_Lines(logging.WARNING))
