"""A small build to disturb: its photos, its recipe, and what it looks like when nothing disturbs it."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from typer.testing import CliRunner

from faceloom.pipelines.cli.app import app
from tests.crash import sabotage
from tests.pipelines.conftest import lay_photos

PHOTOS = 48
LIMIT_SECONDS = 120
"""A build that takes longer hangs."""
RECIPE = {
    "name": "crash",
    "per_face": 2,
    "faces": {"min_size": 10},
    "masks": [{"kind": "template", "template": "surgical"}, {"kind": "polygon", "shape": "B"}],
    "align": {"mode": "eye_level", "size": 64},
    "output": {"shards": {"samples": 20}},
}


@dataclass(frozen=True)
class Ended:
    """How a build ended: its exit code, what it printed on stderr, and processes that it left."""

    code: int
    err: str
    left: list[int]


@dataclass
class Bench:
    """A folder with photos and builds.

    Attributes:
        expected: digests of all files of an undisturbed build.
        seconds: that it took with two workers.
        calls: of each function that can fail.
    """

    folder: Path
    expected: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    calls: Mapping[str, int] = field(default_factory=dict)

    def prepare(self) -> None:
        """Lay photos, build once in this process, and once in one of its own with two workers, counting calls."""
        lay_photos(self.folder / "photos", range(PHOTOS), people=6)
        (self.folder / "recipe.yaml").write_text(json.dumps(RECIPE))
        one, two, counts = self.folder / "one", self.folder / "two", self.folder / "counts"
        done = CliRunner().invoke(app, [*map(str, self.words(one, workers=1))])
        assert done.exit_code == 0, done.output
        self.expected = digests(one)
        counts.mkdir()
        begin = time.monotonic()
        ended = self.run(two, fault={"folder": str(counts)})
        self.seconds = time.monotonic() - begin
        assert ended.code == 0, ended.err
        assert digests(two) == self.expected
        self.calls = {path.name: path.stat().st_size for path in counts.iterdir()}

    def words(self, out: Path, workers: int) -> list[object]:
        """The command line of a build."""
        photos = self.folder / "photos" / "photos.csv"
        return ["build", self.folder / "recipe.yaml", "--source", photos, "--out", out, "--workers", workers]

    def run(
        self,
        out: Path,
        *,
        workers: int = 2,
        fault: Mapping[str, object] | None = None,
        limit: Callable[[], None] | None = None,
        disturb: Callable[[subprocess.Popen[str]], None] | None = None,
    ) -> Ended:
        """Build in a process group of its own.

        Args:
            fault: for `sabotage`.
            limit: called in the new process before it starts the command line.
            disturb: called while the build runs.
        """
        script = Path(sabotage.__file__)
        environment = {**os.environ, "PYTHONPATH": str(script.parent)}
        environment[sabotage.VARIABLE] = json.dumps(fault or {})
        command = [sys.executable, str(script) if fault else "-mfaceloom", *map(str, self.words(out, workers))]
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment,
            start_new_session=True, preexec_fn=limit,
        )  # fmt: skip
        try:
            if disturb:
                disturb(process)
            _, err = process.communicate(timeout=LIMIT_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return Ended(-signal.SIGALRM, f"hangs: {process.communicate()[1]}", [])
        end = time.monotonic() + 10
        while (left := living(process.pid)) and time.monotonic() < end:
            time.sleep(0.02)
        return Ended(process.returncode, err, left)


def digests(out: Path) -> dict[str, str]:
    """Digest of every file of a build but logs, the lock and the face table, which knows when files were changed."""
    return {
        str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(out.rglob("*"))
        if path.is_file() and path.relative_to(out).parts[0] not in ("logs", ".lock", "faces")
    }


def living(group: int) -> list[int]:
    """Processes of a group that run."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, of_group = stat.read_text().rpartition(")")[2].split()[:3]
        except OSError:  # ended meanwhile
            continue
        if int(of_group) == group and state not in "ZX":
            found.append(int(stat.parent.name))
    return found


def photo_files(bench: Bench, chance: random.Random) -> list[Path]:
    """Half of the photos."""
    files = sorted((bench.folder / "photos").glob("*.png"))
    return chance.sample(files, len(files) // 2)
