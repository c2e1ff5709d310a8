"""The benchmark of diffs finds the changes that it made, and prints time and memory."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "diff.py"


def test_time_and_memory_are_printed() -> None:
    command = [sys.executable, str(SCRIPT), "--samples", "300", "--shard", "100"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    first, second, third = done.stdout.splitlines()
    assert first.startswith("two releases of 300 samples in 3 shards, load ")
    assert second.startswith("added 5, removed 5, moved 0, rerendered 25, relabelled 0, lineage 0, unchanged 270")
    assert re.fullmatch(
        r"diff \d+\.\d s wall, \d+\.\d s processor, limit 20 s; peak [\d,]+ MB, [\d,]+ MB before, limit 2,000 MB", third
    )
