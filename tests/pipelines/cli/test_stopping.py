"""Signals: Ctrl-C is a way to stop, and a command that does not stop is left."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import pytest

from faceloom.pipelines.cli.output import FAILED, ending
from faceloom.pipelines.cli.stopping import Stop

SIGNALLED = """
import os, signal, threading, time
from faceloom.pipelines.cli import stopping
from faceloom.pipelines.cli.output import FAILED, ending
from faceloom.schemas.errors import FaceloomError
stopping.PATIENCE_SECONDS = {patience}
threading.Thread(target=threading.Event().wait).start()
with ending(FAILED, False, {debug}):
    try:
        os.kill(os.getpid(), signal.{signal})
    except KeyboardInterrupt as error:
        {then}
"""
AS_BEAM = "raise RuntimeError('as Beam wraps it') from error"


def signalled(number: str, then: str, *, debug: bool = False, patience: float = 60) -> tuple[int, str, str]:
    """How a command ends that gets a signal, and then does something else than end."""
    code = SIGNALLED.format(signal=number, then=then, debug=debug, patience=patience)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


SAID = "Interrupted. Run the same command again.\n"


@pytest.mark.parametrize("debug", [True, False])
@pytest.mark.parametrize("then", [AS_BEAM, "raise FaceloomError('what came of it')", "raise"])
def test_ctrl_c_stops_with_130_whatever_it_is_wrapped_in(debug: bool, then: str) -> None:
    assert signalled("SIGINT", then, debug=debug) == (130, "", SAID)


def test_a_command_that_resumes_states_so() -> None:
    code = SIGNALLED.format(signal="SIGINT", then="raise", debug=False, patience=60)
    code = code.replace("ending(FAILED, False, False)", "ending(FAILED, False, False, resumes=True)")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (130, "Interrupted. Rerun the same command to resume.\n")


def test_a_job_schedulers_signal_stops_with_143() -> None:
    assert signalled("SIGTERM", AS_BEAM) == (143, "", SAID)


@pytest.mark.parametrize(("then", "patience"), [("time.sleep(50)", 0.2), ("os.kill(os.getpid(), 2)", 60)])
def test_one_that_swallows_it_is_left_after_a_while_or_when_asked_twice(then: str, patience: float) -> None:
    assert signalled("SIGINT", then, patience=patience) == (130, "", SAID)


@pytest.mark.parametrize("then", ["time.sleep(50)", AS_BEAM])
def test_it_ends_in_time_with_its_code_with_a_reader_that_went_away(then: str) -> None:
    code = SIGNALLED.format(signal="SIGTERM", then=then, debug=False, patience=0.2)
    reader, writer = os.pipe()
    os.close(reader)
    assert subprocess.run([sys.executable, "-c", code], stderr=writer, timeout=20).returncode == 143
    os.close(writer)


LOST = """
import os, time, weakref
from faceloom.pipelines.cli.output import FAILED, ending
class Thing: pass
thing = Thing()
reference = weakref.ref(thing, lambda gone: os.kill(os.getpid(), 2))
with ending(FAILED, False, {debug}):
    del thing
    print("went on")
"""


@pytest.mark.parametrize("debug", [True, False])
def test_an_interrupt_in_a_callback_that_cannot_raise_ends_the_command(debug: bool) -> None:
    code = LOST.format(debug=debug)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", SAID)


def test_other_errors_that_cannot_be_raised_are_shown_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", seen.append)
    with Stop().listening():
        lost = SimpleNamespace(exc_type=ValueError)
        sys.unraisablehook(lost)
    assert seen == [lost]


def test_the_cursor_that_a_bar_hid_is_shown_again() -> None:
    code = SIGNALLED.format(signal="SIGINT", then="time.sleep(50)", debug=False, patience=0.2)
    terminal, other = os.openpty()
    with subprocess.Popen([sys.executable, "-c", code], stderr=other) as process:
        assert process.wait(timeout=20) == 130
    os.close(other)
    assert b"\x1b[?25hInterrupted. Run" in os.read(terminal, 1000)
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


BLOCKED = """
import os, signal, sys, threading
from faceloom.pipelines.cli import stopping
from faceloom.pipelines.cli.output import FAILED, ending
stopping.PATIENCE_SECONDS = {patience}
lock = threading.Lock()
reader, writer = os.pipe()
stuck = open(writer, "w")
def fill():
    stuck.write("x" * 1_000_000)
    stuck.flush()
with ending(FAILED, False, False):
    threading.Thread(target=fill, daemon=True).start()
    import time; time.sleep(0.3)
    print("ready", flush=True)
    stuck.buffer.flush()  # waits for the other thread, inside the interpreter, where no handler of Python runs
"""


@pytest.mark.parametrize(("signals", "patience"), [(2, 60), (1, 0.3)])
def test_a_main_thread_that_cannot_handle_signals_is_left_too(signals: int, patience: float) -> None:
    command = [sys.executable, "-c", BLOCKED.format(patience=patience)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout and process.stderr
        process.stdout.readline()
        time.sleep(0.3)
        for _ in range(signals):
            process.send_signal(signal.SIGTERM)
            time.sleep(0.1)
        try:
            assert process.wait(timeout=20) == 143
        finally:
            process.kill()
        assert process.stderr.read() == SAID


def test_a_reader_that_is_stuck_does_not_keep_a_stopped_command() -> None:
    code = SIGNALLED.format(signal="SIGTERM", then="time.sleep(50)", debug=False, patience=0.2)
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with contextlib.suppress(BlockingIOError):
        while os.write(writer, bytes(4096)):
            pass
    os.set_blocking(writer, True)
    assert subprocess.run([sys.executable, "-c", code], stderr=writer, timeout=20).returncode == 143
    os.close(reader)
    os.close(writer)


def test_a_forked_process_keeps_its_signals_to_itself() -> None:
    stop = Stop()
    with stop.listening():
        child = os.fork()
        if not child:
            descriptor = signal.set_wakeup_fd(-1)
            os._exit(0 if descriptor == -1 else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert stop.code == 0


def test_listening_leaves_nothing_behind() -> None:
    threads, descriptor = threading.active_count(), signal.set_wakeup_fd(-1)
    with Stop().listening():
        assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
    assert signal.set_wakeup_fd(descriptor) == -1
    end = time.monotonic() + 5
    while threading.active_count() > threads and time.monotonic() < end:
        time.sleep(0.01)
    assert threading.active_count() == threads
