"""The benchmark of near-duplicates finds the copies that it made, and prints time and memory."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "near_duplicates.py"


def test_time_and_memory_are_printed() -> None:
    command = [sys.executable, str(SCRIPT), "--hashes", "2000", "--faces", "2"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    lines = done.stdout.splitlines()
    assert lines[0].startswith("2,000 hashes of 256 bits, distance 16, load ")
    for name, line in zip(("even bits", "uneven bits"), lines[1:3], strict=True):
        pattern = rf"{name} +\d+\.\d s processor, +\d+\.\d s wall, limit 300 s; [\d,]+ near"
        assert re.fullmatch(pattern, line), line
    assert lines[3].startswith("peak ") and "ms processor" in lines[4]
