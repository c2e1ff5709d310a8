"""Endings of commands: the right code and stream, errors in words, and Ctrl-C as a way to stop."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import threading

import pyarrow as pa
import pytest
import typer

from faceloom.pipelines.cli.output import (
    FAILED,
    REFUSED,
    ending,
    error_console,
    exit_code,
    memory_ran_out,
    say,
    show_blocks,
    write_json,
)
from faceloom.pipelines.store.object_client import check_url, raise_object_error
from faceloom.schemas.errors import (
    CheckpointError,
    RecipeError,
    SourceError,
    StorageError,
    TableError,
    UrlError,
    WorkerError,
)

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


def test_a_damaged_table_is_a_wrong_argument_whenever_it_is_found() -> None:
    assert code_of(TableError("the table cannot be read"), code=FAILED) == REFUSED


def stored(number: int) -> StorageError:
    """An error of a store or disk, as `Storage` raises it."""
    try:
        raise_object_error(OSError(number, "x"), "cannot be listed", "s3://bucket/out")
    except StorageError as error:
        return error


def listed(cause: StorageError) -> SourceError:
    """The error of a source that lies there."""
    error = SourceError("cannot be listed")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize("expected", [FAILED, REFUSED])
def test_an_error_of_a_store_has_one_code_whenever_and_wherever_it_is_found(expected: int) -> None:
    """`build` checks its folders before any work, `verify` only begins to."""
    for number in (errno.EIO, errno.ETIMEDOUT, errno.EACCES, errno.ENOSPC):
        assert exit_code(stored(number), expected) == exit_code(listed(stored(number)), expected) == FAILED
    assert exit_code(stored(errno.ENODEV), expected) == exit_code(listed(stored(errno.ENODEV)), expected) == REFUSED
    for wrong in ("s4://bucket/out", "s3:///out", "s3://bucket//out"):
        with pytest.raises(UrlError) as caught:
            check_url(wrong)
        assert exit_code(caught.value, expected) == REFUSED and caught.value.where == wrong
    assert exit_code(StorageError("a damaged file"), expected) == expected


@pytest.mark.parametrize("expected", [FAILED, REFUSED])
def test_a_run_that_cannot_be_used_is_a_wrong_argument_and_one_that_cannot_be_written_a_failure(expected: int) -> None:
    assert exit_code(CheckpointError("its sha256 differs"), expected) == REFUSED
    full = CheckpointError("cannot be written")
    full.__cause__ = OSError(errno.ENOSPC, "No space left on device")
    assert exit_code(full, expected) == FAILED


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


def test_a_lack_of_open_files_has_its_remedy(capsys: pytest.CaptureFixture[str]) -> None:
    assert code_of(OSError(errno.EMFILE, "Too many open files", "a")) == FAILED
    said = capsys.readouterr().err
    assert said.startswith("Error: too many open files (got [Errno 24]") and said.endswith("see `ulimit -n`\n")


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


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OSError(errno.ENOMEM, os.strerror(errno.ENOMEM), "x"),
        ImportError("x.so: failed to map segment from shared object"),
        RuntimeError("can't start new thread"),
        pa.ArrowMemoryError("malloc of size 64 failed"),
        RuntimeError("std::bad_alloc"),
        RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"),
    ],
)
@pytest.mark.parametrize("wrapped", [True, False])
def test_no_memory_is_one_line_whatever_a_library_calls_it(
    error: Exception, wrapped: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    if wrapped:
        outer = ImportError("IMPORTANT: please read this for advice\nand this")
        outer.__cause__ = error
        error = outer
    assert code_of(error, code=REFUSED) == FAILED
    said = capsys.readouterr()
    assert said.err.startswith("Error: memory ran out (got ") and "ulimit -v" in said.err and said.err.count("\n") == 1
    assert not said.out


def test_no_memory_in_a_worker_process_is_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    error = WorkerError("numpy._core._exceptions._ArrayMemoryError: Unable to allocate 9 GiB")
    error.trace = "Traceback"
    assert code_of(error) == FAILED
    assert "memory ran out (got numpy._core" in capsys.readouterr().err


def test_other_errors_are_not_about_memory() -> None:
    one, other = ValueError("no caption 'out of memory'"), KeyError("out of memory")
    one.__context__ = other
    assert not memory_ran_out(one) and not memory_ran_out(None)


@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory")
def test_a_limit_in_which_libraries_cannot_load_is_refused() -> None:
    code = "from faceloom.pipelines.cli.app import main; main()"
    command = ["bash", "-c", 'ulimit -v 300000; exec "$@"', "bash", sys.executable, "-c", code, "recipes"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    message = "Error: ulimit -v: the limit of memory is too low (got 300000). Set it to 400000 or more\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", message)


def test_only_a_terminal_wraps_what_a_table_holds(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from faceloom.pipelines.cli.summary import facts_table

    path = "/a long/path with words" * 20
    monkeypatch.delenv("COLUMNS", raising=False)
    show_blocks([facts_table("Built", {"output": path}), path])
    assert path in capsys.readouterr().out.splitlines()[1]
    monkeypatch.setenv("COLUMNS", "60")
    show_blocks([facts_table("Built", {"output": path})])
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 60
