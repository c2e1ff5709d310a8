"""Notices of native libraries are dropped; what else is printed meanwhile is not."""

from __future__ import annotations

import os
import threading

import pytest

from faceloom.pipelines.analyse.native_notices import without_notices


def test_notices_are_dropped_and_other_lines_arrive(capfd: pytest.CaptureFixture[str]) -> None:
    with without_notices():
        os.write(2, b"INFO: Created a delegate.\nERROR: no memory\n")
        os.write(2, b"half a line")
    os.write(2, b", INFO: later\n")
    assert capfd.readouterr().err == "ERROR: no memory\nhalf a line, INFO: later\n"


def test_an_error_leaves_the_descriptor_as_it_was(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError), without_notices():
        os.write(2, b"why\n")
        raise ValueError
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "why\nafter\n"


def test_threads_take_turns(capfd: pytest.CaptureFixture[str]) -> None:
    inside = threading.Event()

    def other() -> None:
        inside.wait()
        with without_notices():
            os.write(2, b"INFO: two\ntwo\n")

    thread = threading.Thread(target=other)
    thread.start()
    with without_notices():
        inside.set()
        thread.join(0.2)
        os.write(2, b"one\n")
    thread.join()
    os.write(2, b"end\n")
    assert capfd.readouterr().err == "one\ntwo\nend\n"


def test_without_a_temporary_file_everything_is_printed(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise OSError

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    with without_notices():
        os.write(2, b"INFO: Created a delegate.\n")
    assert capfd.readouterr().err == "INFO: Created a delegate.\n"
