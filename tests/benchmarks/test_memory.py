"""Peak memory counts processes below the watched one, also after they freed it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.memory import descendants, peak_of, watched

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")

CHILD = "import time; x = bytearray(200_000_000); del x; print('freed', flush=True); time.sleep(60)"
PARENT = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {CHILD!r}])"


def test_the_peak_of_a_grandchild_is_counted() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            with watched(process.pid) as peaks:
                process.stdout.readline()
            below = descendants(process.pid) - {process.pid}
            (child,) = below
            assert peaks[child] > 180  # 191 MB; the kernel counts pages in batches
            assert 0 < peaks[process.pid] < 150
        finally:
            for pid in below:
                subprocess.run(["kill", str(pid)], check=True)
    assert peak_of(child) == 0
