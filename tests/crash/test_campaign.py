"""A few disturbed builds of each kind. `make crash` makes more than a hundred."""

from __future__ import annotations

import errno
import os
import random
import sys
from pathlib import Path

import pytest

from tests.crash.bench import Bench, Ended
from tests.crash.campaign import check
from tests.crash.disturbances import KINDS, fail, faults_of

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="signals, limits and processes of Linux")
QUICK = ("EIO",)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    made = Bench(tmp_path_factory.mktemp("crash"))
    made.prepare()
    return made


@pytest.mark.parametrize(
    "kind", [kind if kind in QUICK else pytest.param(kind, marks=pytest.mark.slow) for kind in KINDS]
)
def test_after_any_disturbance_the_next_run_gives_the_same_bytes(kind: str, bench: Bench) -> None:
    seed = f"{int.from_bytes(os.urandom(4))}-0"
    what, faults = check(bench, kind, seed)
    assert not faults, f"{what}, seed {seed}"


@pytest.mark.slow
def test_a_fault_hits_its_call_and_is_noticed(bench: Bench, tmp_path: Path) -> None:
    """A campaign whose faults never happen would find nothing."""
    fault = {"call": "replace", "at": 3, "error": errno.EIO, "folder": str(tmp_path)}
    ended = bench.run(tmp_path / "out", fault=fault)
    assert ended.code == 1 and os.strerror(errno.EIO) in ended.err
    assert (tmp_path / "replace").stat().st_size >= 3
    assert all(bench.calls[call] for call in ("fsync", "replace", "write", "decode_rgb", "join_shard"))
    what, faults = fail(bench, tmp_path / "other", random.Random(1), calls=("replace",), errors=(errno.EIO,))
    assert not faults, what


def test_what_a_user_must_not_see_is_a_fault() -> None:
    assert not faults_of(Ended(1, "Error: disk full", []), 1)
    assert faults_of(Ended(1, "", []), 0) and faults_of(Ended(0, "", [5]), 0)
    assert faults_of(Ended(1, "Traceback (most recent call last)", []), 1)
    assert faults_of(Ended(1, "Error: unexpected KeyError: 'a'", []), 1)
