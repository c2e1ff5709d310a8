"""The benchmark of networks prints every figure that the results explain; tiny networks do not show real speed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("safetensors")

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "autoencoder.py"
TINY = ("--presets", "tiny-compact", "tiny-paper", "--devices", "cpu", "--threads", "1", "--rounds", "1")


def run(*words: str) -> str:
    command = [sys.executable, str(SCRIPT), *TINY, *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def tables(printed: str) -> list[list[list[str]]]:
    """Cells of every table without its two head lines."""
    blocks = re.findall(r"(?:^\|.*\n)+", printed, re.MULTILINE)
    return [[[cell.strip() for cell in line.split("|")[1:-1]] for line in block.splitlines()] for block in blocks]


@pytest.mark.slow
def test_masking_loading_and_training_are_measured_for_every_network() -> None:
    printed = run("--pairs", "8", "--epochs", "1")
    assert "1 threads" in printed and "torch " in printed and "load " in printed.splitlines()[0]
    masking, loading, training = tables(printed)
    for table in (masking, loading, training):
        assert [row[:2] for row in table[2:]] == [["`tiny-compact`", "cpu"], ["`tiny-paper`", "cpu"]]
        assert len({len(row) for row in table}) == 1
    assert masking[0][2] == "50 faces, s" and masking[0][3:] == [f"faces/s, batch {batch}" for batch in (1, 50, 256)]
    assert all(float(cell.replace(",", "")) > 0 for row in masking[2:] for cell in row[3:])
    assert all(int(row[2].replace(",", "")) > 100 for row in loading[2:])
    assert training[0][2] == "epoch of 8 pairs, s"
    for row in training[2:]:
        assert float(row[3].replace(",", "")) == pytest.approx(160 * float(row[2]), abs=1)


@pytest.mark.slow
def test_training_can_be_left_out() -> None:
    printed = run("--presets", "tiny-paper", "--epochs", "0")
    assert len(tables(printed)) == 2 and "epoch of" not in printed
