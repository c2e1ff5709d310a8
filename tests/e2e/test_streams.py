"""Builds with a reader that went away, and commands whose output cannot be written."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest


def shell(line: str, *words: object) -> subprocess.CompletedProcess[str]:
    """Run a line of shell: `"$@"` stands for the command line with these words. Its exit code counts in a pipe."""
    command = [str(Path(sys.executable).with_name("faceloom")), *map(str, words)]
    line = f"set -o pipefail; {line}"
    return subprocess.run(["bash", "-c", line, "bash", *command], capture_output=True, text=True, timeout=120)


def shards(out: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in out.glob("shards/*")}


@pytest.mark.parametrize(
    ("workers", "streams"),
    [
        (1, "2>&1 | true"),
        *(pytest.param(2, streams, marks=pytest.mark.slow) for streams in ("<&- >&-", "<&- >&- 2>&-", ">/dev/full")),
    ],
)
@pytest.mark.slow
def test_a_build_ends_as_well_with_a_reader_that_went_away(
    workers: int, streams: str, built: Any, photos: Path, recipe: Path, tmp_path: Path
) -> None:
    words = ("build", recipe, "--source", photos, "--out", tmp_path / "out", "--workers", workers)
    done = shell(f'"$@" {streams}', *words)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert (tmp_path / "out" / "build.json").read_bytes() == (built.out / "build.json").read_bytes()
    assert shards(tmp_path / "out") == shards(built.out)


@pytest.mark.slow
def test_a_bar_on_a_terminal_that_hangs_up_does_not_stop_a_build(
    built: Any, photos: Path, recipe: Path, tmp_path: Path
) -> None:
    """Without the signal of a hang-up, as under nohup. With it, a build stops."""
    terminal, other = os.openpty()
    command = [Path(sys.executable).with_name("faceloom"), "build", recipe, "--source", photos]
    command += ["--out", tmp_path / "out", "--workers", "1"]
    streams: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": other, "stderr": other}
    with subprocess.Popen([str(word) for word in command], **streams) as process:
        os.close(other)
        os.read(terminal, 1)  # it has begun to print
        os.close(terminal)
        assert process.wait(timeout=100) == 0
    assert shards(tmp_path / "out") == shards(built.out)


def test_what_show_cannot_write_is_a_failure_but_a_reader_that_went_away_is_none(built: Any) -> None:
    full = shell('"$@" >/dev/full', "show", built.out, "--json")
    assert full.returncode == 1 and "Error: stdout: the output cannot be written" in full.stderr
    assert full.stderr.count("\n") == 1
    for streams in (">&-", "| true"):
        left = shell(f'"$@" {streams}', "show", built.out, "--json")
        assert left.returncode == 0 and not left.stderr, streams


def test_a_piped_table_keeps_its_values_whole(built: Any, run: Any) -> None:
    done = shell('env -u COLUMNS "$@" | cat', "show", built.out, "--rejects")
    lines = done.stdout.splitlines()
    rejects = run("show", built.out, "--rejects", "--json").json["rejected"]
    assert rejects
    for reject in rejects:
        assert any(reject["uri"] in line and reject["message"] in line for line in lines), reject
