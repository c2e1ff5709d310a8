"""A build that is killed for real, at moments of chance, ends after a resume with the bytes of one that never was."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from faceloom.pipelines.cli.app import app
from tests.crash.bench import living

PHOTOS = 120


def landmarks(x: float, y: float) -> list[list[float]]:
    """A plain frontal face in iBUG order around (x, y), some 120 pixels wide."""
    jaw = [(-60 * np.cos(np.pi * i / 16), 10 + 70 * np.sin(np.pi * i / 16)) for i in range(17)]
    brows = [(-48 + 9 * i, -30) for i in range(5)] + [(12 + 9 * i, -30) for i in range(5)]
    nose = [(0, -15 + 11 * i) for i in range(4)] + [(-12 + 6 * i, 26) for i in range(5)]
    eyes = [
        (side + dx, -14 + dy)
        for side in (-27, 27)
        for dx, dy in [(-11, 0), (-4, -4), (4, -4), (11, 0), (4, 4), (-4, 4)]
    ]
    mouth = [(22 * np.cos(t), 48 + 8 * np.sin(t)) for t in np.linspace(np.pi, 3 * np.pi, 12, endpoint=False)]
    inner = [(14 * np.cos(t), 48 + 3 * np.sin(t)) for t in np.linspace(np.pi, 3 * np.pi, 8, endpoint=False)]
    return [[x + dx, y + dy] for dx, dy in [*jaw, *brows, *nose, *eyes, *mouth, *inner]]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos with landmarks given, so that the build spends its time on writing, not on detecting."""
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(3)
    with (folder / "photos.csv").open("w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["uri", "identity", "landmarks"])
        for number in range(PHOTOS):
            photo = rng.integers(90, 200, (30, 30, 3), np.uint8)
            photo = cv2.resize(photo, (240, 240), interpolation=cv2.INTER_CUBIC)
            cv2.imwrite(str(folder / f"{number:03d}.jpg"), photo)
            points = landmarks(120 + float(rng.uniform(-9, 9)), 110)
            rows.writerow([f"{number:03d}.jpg", f"person{number % 12}", json.dumps(points)])
    return folder / "photos.csv"


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Many small samples in several shards."""
    path = tmp_path_factory.mktemp("recipe") / "recipe.yaml"
    path.write_text(
        "name: crash\nper_face: 4\nmasks:\n- {kind: template, template: surgical}\n- {kind: polygon, shape: B}\n"
        "output: {shards: {samples: 150}}\n"
    )
    return path


def command(recipe: Path, table: Path, out: Path, workers: int) -> list[str]:
    build = "from faceloom.pipelines.cli.app import main; main()"
    options = ["--source", str(table), "--out", str(out), "--workers", str(workers), "--json"]
    return [sys.executable, "-c", build, "build", str(recipe), *options]


def run(of: list[str]) -> dict[str, int]:
    """What a build that must succeed says that it did."""
    done = subprocess.run(of, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    did: dict[str, int] = json.loads(done.stdout)["run"]
    return did


def tree(out: Path) -> dict[str, str]:
    """Digest of every file of a build but logs, the lock and the face table, which knows when files were changed."""
    ours = (path for path in sorted(out.rglob("*")) if path.is_file())
    return {
        str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in ours
        if path.relative_to(out).parts[0] not in ("logs", ".lock", "faces")
    }


@pytest.fixture(scope="module")
def straight(recipe: Path, table: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The files of a build in this process that nothing disturbs."""
    out = tmp_path_factory.mktemp("straight") / "out"
    done = CliRunner().invoke(app, command(recipe, table, out, 1)[3:])
    assert done.exit_code == 0, done.output
    return tree(out)


@pytest.fixture(scope="module")
def seconds(recipe: Path, table: Path, tmp_path_factory: pytest.TempPathFactory) -> float:
    """How long a build takes in a process of its own."""
    begin = time.monotonic()
    run(command(recipe, table, tmp_path_factory.mktemp("timed") / "out", 1))
    return time.monotonic() - begin


def started(of: list[str]) -> subprocess.Popen[bytes]:
    """A build in a process group of its own."""
    return subprocess.Popen(of, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)


ANALYSED, RENDERED = "faces/**/*.parquet", "work/*.tar"
"""What workers write first in each stage."""


def until_there_is(pattern: str, out: Path, process: subprocess.Popen[bytes]) -> None:
    """Wait until a build at work has written such a file."""
    end = time.monotonic() + 120
    while not any(out.glob(pattern)):
        assert process.poll() is None, "the build ended before"
        assert time.monotonic() < end
        time.sleep(0.002)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_killed_and_resumed(
    workers: int, recipe: Path, table: Path, tmp_path: Path, straight: dict[str, str], seconds: float
) -> None:
    out = tmp_path / "out"
    seed = int.from_bytes(os.urandom(4))
    chance = random.Random(seed)
    # The first two kills hit for certain; the last at a moment of chance, which may be too late.
    for pattern in (ANALYSED, RENDERED, None):
        process = started(command(recipe, table, out, workers))
        if pattern:
            until_there_is(pattern, out, process)
            time.sleep(chance.uniform(0, 0.02))
        else:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=chance.uniform(0.2, 1.0) * seconds)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert not pattern or not (out / "build.json").exists()
    finished = subprocess.run(command(recipe, table, out, workers), capture_output=True, text=True)
    assert finished.returncode == 0, f"seed {seed}: {finished.stderr}"
    assert tree(out) == straight, f"seed {seed}"
    assert not [path for path in out.rglob("*") if ".partial-" in path.name]
    again = run(command(recipe, table, out, workers))
    assert again["photos_analysed"] == 0 and again["samples_rendered"] == 0


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="only Linux kills workers with their master")
@pytest.mark.slow  # the campaign of tests/crash kills builds in `make test`
@pytest.mark.parametrize("pattern", [ANALYSED, RENDERED])
def test_workers_of_a_master_that_was_killed_do_no_harm(
    pattern: str, recipe: Path, table: Path, tmp_path: Path, straight: dict[str, str]
) -> None:
    out = tmp_path / "out"
    process = started(command(recipe, table, out, 2))
    until_there_is(pattern, out, process)
    assert len(living(process.pid)) == 5, (
        "the master, the server of worker processes, its resource tracker, two workers"
    )
    process.kill()
    process.wait()
    assert not (out / "build.json").exists()
    done = subprocess.run(command(recipe, table, out, 2), capture_output=True, text=True)  # at once
    assert done.returncode == 0, done.stderr
    assert living(process.pid) == []
    assert tree(out) == straight
    assert not [path for path in out.rglob("*") if ".partial-" in path.name]


@pytest.mark.slow
def test_four_workers_write_the_same_bytes(recipe: Path, table: Path, tmp_path: Path, straight: dict[str, str]) -> None:
    done = subprocess.run(command(recipe, table, tmp_path / "out", 4), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert tree(tmp_path / "out") == straight


@pytest.mark.slow
def test_only_the_parts_of_a_changed_photo_are_rendered(recipe: Path, table: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = run(command(recipe, table, out, 1))
    photo = table.parent / "007.jpg"
    before = photo.read_bytes()
    photo.write_bytes(before + b"changed")
    try:
        second = run(command(recipe, table, out, 1))
    finally:
        photo.write_bytes(before)
    assert first["samples_rendered"] == 4 * PHOTOS
    assert second["photos_analysed"] == 1
    assert 4 <= second["samples_rendered"] <= first["samples_rendered"] / 2


@pytest.mark.slow
def test_a_disk_that_is_full_leaves_no_half_shard_and_a_resume_finishes(
    recipe: Path, table: Path, tmp_path: Path, straight: dict[str, str]
) -> None:
    out = tmp_path / "out"
    # The largest file that a process may write: the kernel's own "no room", without a disk of our own to fill.
    limited = ["bash", "-c", 'trap "" XFSZ; ulimit -f 1000; exec "$@"', "bash", *command(recipe, table, out, 1)]
    failed = subprocess.run(limited, capture_output=True, text=True)
    assert failed.returncode == 1, failed.stderr
    assert "disk full" in failed.stderr and "run the same command again" in failed.stderr
    assert "Traceback" not in failed.stderr
    assert not list(out.glob("shards/*")) and not (out / "build.json").exists()
    done = subprocess.run(command(recipe, table, out, 1), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert tree(out) == straight
