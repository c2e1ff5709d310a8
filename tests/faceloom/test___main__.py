from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version


def test_the_module_is_the_command_line() -> None:
    done = subprocess.run([sys.executable, "-m", "faceloom", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"faceloom {version('faceloom')}\n"
    assert subprocess.run([sys.executable, "-m", "faceloom", "biuld"], capture_output=True).returncode == 2
