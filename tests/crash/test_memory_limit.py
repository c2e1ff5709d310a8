"""Builds under a limit of memory end with a message or with a build: never with a traceback, and never not at all."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import pytest

from tests.crash.bench import Bench, digests
from tests.crash.disturbances import faults_of

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="limits of memory")]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    made = Bench(tmp_path_factory.mktemp("memory"))
    made.prepare()
    return made


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("kib", [200_000, 400_000, 500_000, 600_000, 650_000, 750_000, 1_000_000, 1_500_000])
def test_a_build_ends_whatever_memory_it_gets(kib: int, workers: int, bench: Bench, tmp_path: Path) -> None:
    out, size = tmp_path / "out", kib * 1024
    ended = bench.run(out, workers=workers, limit=lambda: resource.setrlimit(resource.RLIMIT_AS, (size, size)))
    assert not faults_of(ended, 0, 1, 2)
    assert ended.code == 0 or "memory" in ended.err.splitlines()[-1]
    assert bench.run(out).code == 0
    assert digests(out) == bench.expected
