"""Commands that change releases are killed with SIGKILL, and run again: no release is ever half there."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from faceloom.pipelines.release.channel_log import read_log
from faceloom.pipelines.release.resolve import listed_versions
from faceloom.pipelines.release.verify import verify_release
from faceloom.pipelines.store.storage import Storage
from tests.crash import release_driver
from tests.pipelines.conftest import lay_photos
from tests.pipelines.release.conftest import build_set
from tests.pipelines.release.searching import naming
from tests.pipelines.release.sets import One, release_in

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="signals and processes of Linux")
ADA = "Ada Lovelace"
ONES = [One(1, ADA), One(3, "Grace"), One(4, "Rosa", shard=1), One(6, "Emmy", "test")]
EVERYTHING = [*ONES, replace(ONES[1], other=ONES[0])]
WORDS = [ADA, ONES[0].sha256, ONES[0].sha256[:16], ONES[0].uri]
ERASE = ("release", "erase", "faces@1.0.0", "--identity", ADA, "--as", "1.0.1")
PURGE = ("release", "purge", "faces@1.0.0", "--reason", "a person withdrew", "--yes")
QUICK_KILLS, SLOW_KILLS = 2, 30


class Driver:
    """A process that runs commands and kills them."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, release_driver.__file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def run(self, root: Path, words: tuple[str, ...], at: int = 0) -> list[int]:
        """Run a command; it dies before the call number `at`. Returns the number of calls and the exit code."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps([str(root), at, [*words, "--root", str(root)]]) + "\n")
        self._process.stdin.flush()
        return list(map(int, self._process.stdout.readline().split()))

    def end(self) -> None:
        self._process.communicate(timeout=60)


@pytest.fixture(scope="module")
def driver() -> Iterator[Driver]:
    made = Driver()
    yield made
    made.end()


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("before") / "root"
    release_in(root, EVERYTHING)
    return root


def content(root: Path) -> dict[str, Any]:
    """Every file but the lock, without what the clock decides."""
    found: dict[str, Any] = {
        path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()
    }
    for path in (".lock", "faceloom.json", "channels/faces.jsonl"):
        found.pop(path, None)
    for path, data in found.items():
        if path.endswith("tombstone.json"):
            found[path] = {**json.loads(data), "when": ""}
    found["log"] = [(entry.action, entry.release, entry.why) for entry in read_log(Storage(str(root)), "faces")]
    return found


def kill_and_repeat(driver: Driver, before: Path, words: tuple[str, ...], count: int, folder: Path) -> Path:
    """Kill a command at random calls, of the first ones to the last; returns a folder in which it ran to its end."""
    whole = folder / "whole"
    shutil.copytree(before, whole)
    calls, code = driver.run(whole, words)
    assert code == 0 and calls > 20
    expected = content(whole)
    drawn, count = random.Random(int.from_bytes(os.urandom(4))), min(count, calls)
    for at in [drawn.randint(calls * one // count + 1, calls * (one + 1) // count) for one in range(count)]:
        root = folder / f"killed-{at}"
        shutil.copytree(before, root)
        assert driver.run(root, words, at) == [-signal.SIGKILL], "the faults would be none of ours"
        storage = Storage(str(root))
        for version in (published := listed_versions(storage, "faces")):
            assert not verify_release(storage, f"faces@{version}", deep=True).faults, f"{version}, kill at {at}"
        # What is published once is refused again.
        assert driver.run(root, words)[-1] == (2 if words[1] == "create" and published else 0), f"kill at {at}"
        assert content(root) == expected, f"kill at {at}"
        shutil.rmtree(root)
    return whole


@pytest.mark.parametrize("count", [QUICK_KILLS, pytest.param(SLOW_KILLS, marks=pytest.mark.slow)])
def test_a_killed_erasure_and_a_killed_purge_end_as_if_they_had_not_been(
    count: int, driver: Driver, before: Path, tmp_path: Path
) -> None:
    erased = kill_and_repeat(driver, before, ERASE, count, tmp_path / "erase")
    assert naming(erased, WORDS)
    purged = kill_and_repeat(driver, erased, PURGE, count, tmp_path / "purge")
    assert naming(purged, WORDS) == {} and listed_versions(Storage(str(purged)), "faces") == ("1.0.1",)


@pytest.mark.parametrize("count", [QUICK_KILLS, pytest.param(SLOW_KILLS, marks=pytest.mark.slow)])
def test_a_killed_create_leaves_no_release_or_a_whole_one(count: int, driver: Driver, tmp_path: Path) -> None:
    lay_photos(tmp_path / "photos", range(8))
    out = build_set(tmp_path / "out", tmp_path / "photos")
    (nothing := tmp_path / "nothing").mkdir()
    words = ("release", "create", "faces", "1.0.0", "--from", str(out))
    made = kill_and_repeat(driver, nothing, words, count, tmp_path / "create")
    assert listed_versions(Storage(str(made)), "faces") == ("1.0.0",)
