"""Folders of copies: deleted at the end of a process, or after its death by another one, and never while in use."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from faceloom.pipelines.store import copies

HOLDS_ONE = """
import sys
from faceloom.pipelines.store.copies import copies_folder
(copies_folder() / "copy").write_bytes(b"x")
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def new_folder() -> Path:
    """What a process that had none yet gets."""
    return copies.copies_folder.__wrapped__()


def other_process(temporary: Path) -> subprocess.Popen[str]:
    """A process with a folder of copies."""
    environment = {**os.environ, "TMPDIR": str(temporary)}
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDS_ONE], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    return process


def test_the_folder_of_a_killed_process_is_deleted_and_that_of_a_living_one_stays(temporary: Path) -> None:
    killed, living = other_process(temporary), other_process(temporary)
    assert len([*temporary.glob("faceloom-copies-*/copy")]) == 2
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    own = new_folder()
    (left,) = {*temporary.iterdir()} - {own}
    assert (left / "copy").exists()
    living.communicate("")
    assert living.returncode == 0 and [*temporary.iterdir()] == [own], "it deleted its own"


def test_the_folders_of_this_process_stay(temporary: Path) -> None:
    first, second = new_folder(), new_folder()
    assert first != second and {*temporary.iterdir()} == {first, second}


def test_links_and_what_has_another_name_stay(temporary: Path) -> None:
    (temporary / "faceloom-other").mkdir()
    (temporary / f"{copies.PREFIX}link").symlink_to(temporary / "faceloom-other")
    (temporary / f"{copies.PREFIX}file").touch()
    before = {*temporary.iterdir()}
    assert {*before, new_folder()} == {*temporary.iterdir()}


def test_the_folder_of_another_user_stays(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (temporary / f"{copies.PREFIX}theirs").mkdir()
    other = os.getuid() + 1
    monkeypatch.setattr(os, "getuid", lambda: other)
    new_folder()
    assert (temporary / f"{copies.PREFIX}theirs").exists()
