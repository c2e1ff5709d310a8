"""Output and end of every command: results on stdout, all else on stderr, an exit code, and no traceback."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    from rich.console import Console

DONE, FAILED, REFUSED = 0, 1, 2
"""Exit codes: success; nothing written, or an error during work; a wrong recipe or argument, found before any work."""

STOPPED = {signal.SIGINT: 130, signal.SIGTERM: 143}
"""Exit codes of signals, as in shells: Ctrl-C, and the signal of `kill` and job schedulers."""

PATIENCE_SECONDS = 5.0
"""Time for an interrupted command to clean up, before the process exits anyway."""

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout, and all else on stderr.")]
Debug = Annotated[bool, typer.Option("--debug", help="Print the traceback of an unexpected error.")]
"""Options of every command, which are passed to `ending`."""


@contextlib.contextmanager
def ending(code: int, as_json: bool, debug: bool) -> Iterator[None]:
    """End the process with a message without traceback, and an exit code.

    Args:
        code: exit code of a FaceloomError.
        as_json: also write the error as a JSON document.
        debug: show the traceback of unexpected errors.

    Raises:
        typer.Exit: with the code.
    """
    from faceloom.schemas.errors import FaceloomError

    stopped = 0
    hook = threading.excepthook
    if not debug:
        # What matters reaches the main thread; Beam's own threads would only add tracebacks when a worker ends early.
        threading.excepthook = lambda _: None

    def stop(number: int, frame: FrameType | None) -> NoReturn:
        nonlocal stopped
        if stopped:
            depart()  # asked twice
        stopped = STOPPED[signal.Signals(number)]
        patience = threading.Timer(PATIENCE_SECONDS, depart)
        patience.daemon = True
        patience.start()
        _kill_workers()
        raise KeyboardInterrupt

    def depart() -> NoReturn:
        try:
            # A bar that does not end in order leaves the terminal without a cursor.
            cursor = "\x1b[?25h" if sys.stderr.isatty() else ""
            say(f"{cursor}Interrupted. Rerun the same command to resume.")
        finally:
            leave(stopped)

    # What is ignored stays so: a script's background jobs ignore Ctrl-C, which is meant for others.
    heard = [number for number in STOPPED if signal.getsignal(number) is not signal.SIG_IGN]
    before = [signal.signal(number, stop) for number in heard]
    try:
        yield
    except typer.Exit:
        raise
    except (Exception, KeyboardInterrupt) as error:
        if stopped:  # whatever the interruption was wrapped in, or became
            depart()
        trace = getattr(error, "trace", "")
        if isinstance(error, FaceloomError) and not trace:
            fault = {key: getattr(error, key) for key in ("what", "where", "value", "remedy")}
            _refuse(str(error), {"error": type(error).__name__, **fault}, code, as_json)
        if debug and not trace:
            raise
        what = str(error) if trace else f"{type(error).__name__}: {error}"
        hint = trace.rstrip() if debug else "Rerun the command with --debug to see the traceback."
        named = "" if getattr(error, "where", "") else "unexpected "
        _refuse(f"{named}{what}\n{hint}", {"error": type(error).__name__, "what": str(error)}, FAILED, as_json)
    finally:
        for number, handler in zip(heard, before):
            signal.signal(number, handler)
        threading.excepthook = hook


def _kill_workers() -> None:
    """Kill all worker processes. Imports nothing: without the module there are none."""
    if multiprocessing := sys.modules.get("multiprocessing"):
        for process in multiprocessing.active_children():
            process.kill()


def _refuse(text: str, fault: dict[str, str], code: int, as_json: bool) -> NoReturn:
    say(f"Error: {text}")
    if as_json:
        write_json(fault)
    raise typer.Exit(code)


def leave(code: int) -> NoReturn:
    """Exit at once, because Beam's threads may wait long for their workers."""
    for stream in (sys.stdout, sys.stderr):
        # Nobody may be reading any more, or a signal may have come in the midst of another flush.
        with contextlib.suppress(OSError, ValueError, RuntimeError):
            stream.flush()
    os._exit(code)


def error_console() -> Console:
    """The console for progress and messages, so that stdout holds results only."""
    from rich.console import Console

    return Console(stderr=True)


def say(text: str) -> None:
    """Write a line of text beside the results, on stderr."""
    typer.echo(text, err=True)


def show_blocks(blocks: list[Any]) -> None:
    """Write tables and lines of `faceloom.pipelines.cli.summary` on stdout."""
    from rich.console import Console

    from faceloom.pipelines.cli.summary import print_blocks

    print_blocks(Console(highlight=False), blocks)


def write_json(value: dict[str, Any]) -> None:
    """Write one JSON document on stdout."""
    typer.echo(json.dumps(value, indent=1))
