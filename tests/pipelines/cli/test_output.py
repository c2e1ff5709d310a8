"""Endings of commands: the right code and stream, errors in words, and Ctrl-C as a way to stop."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading

import pytest
import typer

from faceloom.pipelines.cli.output import FAILED, REFUSED, ending, error_console, say, show_blocks, write_json
from faceloom.schemas.errors import RecipeError, StorageError, WorkerError

SIGNALLED = """
import os, signal, threading, time
from faceloom.pipelines.cli import output as cli_output
from faceloom.pipelines.cli.output import FAILED, ending
from faceloom.schemas.errors import FaceloomError
cli_output.PATIENCE_SECONDS = {patience}
threading.Thread(target=threading.Event().wait).start()
with ending(FAILED, False, {debug}):
    try:
        os.kill(os.getpid(), signal.{signal})
    except KeyboardInterrupt as error:
        {then}
"""
AS_BEAM = "raise RuntimeError('as Beam wraps it') from error"
LEFT = """
import threading
from faceloom.pipelines.cli.output import leave
print("said", end="")
threading.Thread(target=threading.Event().wait).start()
leave(7)
"""


def code_of(error: BaseException, *, code: int = FAILED, as_json: bool = False) -> int:
    with pytest.raises(typer.Exit) as caught, ending(code, as_json, debug=False):
        raise error
    return caught.value.exit_code


@pytest.mark.parametrize("code", [FAILED, REFUSED])
def test_an_error_of_ours_is_its_message_and_the_code(code: int, capsys: pytest.CaptureFixture[str]) -> None:
    error = RecipeError("no such thing", where="$.masks[1]", value=3, remedy="Take another")
    assert code_of(error, code=code) == code
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", f"Error: {error}\n")


def test_as_json_its_fields_are_the_only_thing_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    error = StorageError("disk full", where="shards/x.tar", remedy="Free some space")
    assert code_of(error, as_json=True) == FAILED
    said = capsys.readouterr()
    fields = {"what": "disk full", "where": "shards/x.tar", "value": error.value, "remedy": "Free some space"}
    assert json.loads(said.out) == {"error": "StorageError", **fields}
    assert said.err == f"Error: {error}\n"


def test_an_unexpected_error_is_a_failure_whatever_was_expected(capsys: pytest.CaptureFixture[str]) -> None:
    assert code_of(ZeroDivisionError("a bug"), code=REFUSED, as_json=True) == FAILED
    said = capsys.readouterr()
    assert json.loads(said.out) == {"error": "ZeroDivisionError", "what": "a bug"}
    assert "ZeroDivisionError: a bug" in said.err and "--debug" in said.err and "Traceback" not in said.err


def test_debug_lets_unexpected_errors_pass_and_no_others() -> None:
    with pytest.raises(ZeroDivisionError), ending(FAILED, False, debug=True):
        raise ZeroDivisionError
    with pytest.raises(typer.Exit), ending(FAILED, False, debug=True):
        raise StorageError("disk full")


def test_a_code_that_a_command_ends_with_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    assert code_of(typer.Exit(5)) == 5
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("fails", [True, False])
def test_handlers_are_put_back(fails: bool) -> None:
    def handlers() -> list[object]:
        return [signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM), threading.excepthook]

    before = handlers()
    try:
        with ending(FAILED, False, debug=False):
            assert not set(handlers()) & set(before)
            if fails:
                raise StorageError("disk full")
    except typer.Exit:
        assert fails
    assert handlers() == before


def signalled(number: str, then: str, *, debug: bool = False, patience: float = 60) -> tuple[int, str, str]:
    """How a command ends that gets a signal, and then does something else than end."""
    code = SIGNALLED.format(signal=number, then=then, debug=debug, patience=patience)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


SAID = "Interrupted. Rerun the same command to resume.\n"


@pytest.mark.parametrize("debug", [True, False])
@pytest.mark.parametrize("then", [AS_BEAM, "raise FaceloomError('what came of it')", "raise"])
def test_ctrl_c_stops_with_130_whatever_it_is_wrapped_in(debug: bool, then: str) -> None:
    assert signalled("SIGINT", then, debug=debug) == (130, "", SAID)


def test_a_job_schedulers_signal_stops_with_143() -> None:
    assert signalled("SIGTERM", AS_BEAM) == (143, "", SAID)


@pytest.mark.parametrize(("then", "patience"), [("time.sleep(50)", 0.2), ("os.kill(os.getpid(), 2)", 60)])
def test_one_that_swallows_it_is_left_after_a_while_or_when_asked_twice(then: str, patience: float) -> None:
    assert signalled("SIGINT", then, patience=patience) == (130, "", SAID)


@pytest.mark.parametrize("then", ["time.sleep(50)", AS_BEAM])
def test_it_ends_in_time_with_its_code_where_nobody_reads_what_it_says(then: str) -> None:
    code = SIGNALLED.format(signal="SIGTERM", then=then, debug=False, patience=0.2)
    reader, writer = os.pipe()
    os.close(reader)
    assert subprocess.run([sys.executable, "-c", code], stderr=writer, timeout=20).returncode == 143
    os.close(writer)


def test_the_cursor_that_a_bar_hid_is_shown_again() -> None:
    code = SIGNALLED.format(signal="SIGINT", then="time.sleep(50)", debug=False, patience=0.2)
    terminal, other = os.openpty()
    with subprocess.Popen([sys.executable, "-c", code], stderr=other) as process:
        assert process.wait(timeout=20) == 130
    os.close(other)
    assert b"\x1b[?25hInterrupted. Rerun" in os.read(terminal, 1000)
    os.close(terminal)


def test_what_is_ignored_stays_so() -> None:
    """As in the background jobs of a script, whose Ctrl-C is not meant for them."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with ending(FAILED, False, debug=False):
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_leaving_waits_for_no_thread_and_loses_no_output() -> None:
    done = subprocess.run([sys.executable, "-c", LEFT], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (7, "said", "")


def test_results_go_to_stdout_and_all_else_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    say("a word")
    error_console().print("progress")
    assert capsys.readouterr() == ("", "a word\nprogress\n")
    show_blocks(["a block"])
    said = capsys.readouterr()
    assert "a block" in said.out and not said.err
    write_json({"name": "ä\udce4"})
    assert json.loads(capsys.readouterr().out) == {"name": "ä\udce4"}


def test_nothing_slow_is_imported_for_it() -> None:
    code = "import sys, faceloom.pipelines.cli.output; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    tops = {name.split(".")[0] for name in done.stdout.split()}
    assert not tops & {"apache_beam", "torch", "cv2", "numpy", "pydantic", "rich", "yaml"}


@pytest.mark.parametrize("debug", [True, False])
def test_a_traceback_from_a_worker_process_is_shown_when_asked(debug: bool, capsys: pytest.CaptureFixture[str]) -> None:
    error = WorkerError("ValueError: a bug")
    error.trace = 'Traceback (most recent call last):\n  File "x.py", line 1, in do\nValueError: a bug\n'
    with pytest.raises(typer.Exit) as caught, ending(REFUSED, False, debug):
        raise error
    printed = capsys.readouterr().err
    assert caught.value.exit_code == FAILED
    assert printed.startswith("Error: unexpected ValueError: a bug\n")
    assert ("in do" in printed) == debug and ("--debug" in printed) == (not debug)


def test_a_worker_process_that_died_is_no_bug(capsys: pytest.CaptureFixture[str]) -> None:
    assert code_of(WorkerError("a worker process died", remedy="Use fewer workers")) == FAILED
    assert capsys.readouterr().err == "Error: a worker process died. Use fewer workers\n"
