"""Output and end of every command: results on stdout, all else on stderr, an exit code, and no traceback."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import sys
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from faceloom.pipelines.cli.stopping import Stop

if TYPE_CHECKING:
    from rich.console import Console

DONE, FAILED, REFUSED = 0, 1, 2
"""Exit codes: success; nothing written, or an error during work; a wrong recipe or argument, found before any work."""

MEMORY_REMEDY = (
    "Use fewer workers or smaller batches, or allow this command more memory, see `ulimit -v`. "
    "Run the same command again; finished tasks are kept"
)

LEAST_MEMORY = 400_000 * 1024
"""Bytes of address space below which no command works. Real work needs more."""

PIPE_WIDTH = 10_000
"""Characters of a line where no terminal limits it: a program that reads a table needs its values whole."""

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout, and all else on stderr.")]
Debug = Annotated[bool, typer.Option("--debug", help="Print the traceback of an unexpected error.")]
"""Options of every command, which are passed to `ending`."""


@contextlib.contextmanager
def ending(code: int, as_json: bool, debug: bool, *, resumes: bool = False) -> Iterator[None]:
    """End the process with a message without traceback, and an exit code.

    Args:
        code: exit code of a FaceloomError that fits both; see `exit_code`.
        as_json: also write the error as a JSON document.
        debug: show the traceback of unexpected errors.
        resumes: whether the same command goes on from what an interrupted one left.

    Raises:
        typer.Exit: with the code.
    """
    from faceloom.schemas.errors import FaceloomError

    stop, hook = Stop(resumes=resumes), threading.excepthook
    if not debug:
        # What matters reaches the main thread; Beam's own threads would only add tracebacks when a worker ends early.
        threading.excepthook = lambda _: None
    try:
        with stop.listening():
            check_memory_limit()
            yield
    except typer.Exit:
        raise
    except (Exception, KeyboardInterrupt) as error:
        if stop.code:  # whatever the interruption was wrapped in, or became
            stop.depart()
        trace = getattr(error, "trace", "")
        fault = {"error": type(error).__name__, "what": str(error)}
        if isinstance(error, FaceloomError):
            fault |= {key: getattr(error, key) for key in ("what", "where", "value", "remedy")}
            if not trace:
                _refuse(str(error), fault, exit_code(error, code), as_json)
        if debug and not trace:
            raise
        what = str(error) if trace else f"{type(error).__name__}: {error}"
        unexpected = "" if getattr(error, "where", "") else "unexpected "  # one with a place has a whole message
        text = f"{unexpected}{what}\nRerun the command with --debug to see the traceback."
        if unexpected and memory_ran_out(error):
            text = f"memory ran out (got {what.partition(chr(10))[0].rstrip(': ')}). {MEMORY_REMEDY}"
        elif isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
            text = f"too many open files (got {error}). Raise the limit of open files, see `ulimit -n`"
        if debug:
            text = f"{unexpected}{what}\n{trace.rstrip()}"
        _refuse(text, fault, FAILED, as_json)
    finally:
        threading.excepthook = hook


def exit_code(error: BaseException, code: int) -> int:
    """The exit code of an error of ours, which is the same in every command and at any time.

    A run that cannot be used, a damaged table, a release that does not exist and a URL of no bucket are wrong
    arguments. A disk or store that cannot be used otherwise is a failure.

    Args:
        error: a FaceloomError.
        code: of all other errors.
    """
    from faceloom.schemas.errors import CheckpointError, ReleaseError, StorageError, TableError, UrlError

    chain: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None:
        chain.append(cause)
        cause = cause.__cause__
    if isinstance(error, (ReleaseError, TableError)) or any(isinstance(one, UrlError) for one in chain):
        return REFUSED
    places = StorageError, CheckpointError
    if any(isinstance(one, places) and isinstance(one.__cause__, OSError) for one in chain):
        return FAILED
    return REFUSED if isinstance(error, CheckpointError) else code


def check_memory_limit() -> None:
    """Refuse a limit of memory in which libraries do not even load; some of them then abort the process.

    Raises:
        FaceloomError: the limit is too low.
    """
    from faceloom.schemas.errors import FaceloomError

    try:
        import resource
    except ImportError:  # not on this system
        return
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if resource.RLIM_INFINITY != limit < LEAST_MEMORY:
        remedy = f"Set it to {LEAST_MEMORY // 1024} or more"
        raise FaceloomError("the limit of memory is too low", where="ulimit -v", value=limit // 1024, remedy=remedy)


def memory_ran_out(error: BaseException | None) -> bool:
    """Whether an error, or one that it was raised from, means that there is no more memory."""
    from faceloom.transforms.memory import is_memory_fault  # here, so that the command line starts fast

    while error is not None:
        if is_memory_fault(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def _refuse(text: str, fault: dict[str, str], code: int, as_json: bool) -> NoReturn:
    say(f"Error: {text}")
    if as_json:
        write_json(fault)
    raise typer.Exit(code)


def leave(code: int) -> NoReturn:
    """Exit at once, because Beam's threads may wait long for their workers."""
    try:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                stream.flush()
    finally:
        os._exit(code)


def error_console() -> Console:
    """The console for progress and messages, so that stdout holds results only."""
    from rich.console import Console

    return Console(stderr=True)


def say(text: str) -> None:
    """Write a line of text beside the results, on stderr."""
    typer.echo(text, err=True)


def show_blocks(blocks: list[Any]) -> None:
    """Write tables and lines of `faceloom.pipelines.cli.summary` on stdout. Only a terminal wraps long values."""
    from rich.console import Console

    from faceloom.pipelines.cli.summary import print_blocks

    wraps = sys.stdout.isatty() or "COLUMNS" in os.environ
    print_blocks(Console(highlight=False, width=None if wraps else PIPE_WIDTH), blocks)


def write_json(value: dict[str, Any]) -> None:
    """Write one JSON document on stdout."""
    typer.echo(json.dumps(value, indent=1))
