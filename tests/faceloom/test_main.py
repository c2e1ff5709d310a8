"""`python -m faceloom` is the command line."""

from __future__ import annotations

import subprocess
import sys

import faceloom


def test_it_is_the_command_line() -> None:
    command = [sys.executable, "-m", "faceloom", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == f"faceloom {faceloom.__version__}\n"
