"""Machines whose clocks differ by hours, from each other and from the store, build the same."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import StorageError
from tests.dask_cluster import ROOT, cluster_of
from tests.faults.bench import Plain, build, lay_crops
from tests.faults.causes import OtherClock, disturbed
from tests.faults.conftest import PLACES

HOURS = 3600
SITE = """
import os, time
real = time.time
time.time = lambda: real() + {seconds}
"""
"""What a worker runs first."""


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES, indirect=True)
def test_processes_of_this_machine(place: str, plain: Plain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, out = time.time, f"{place}/{tmp_path.name}/out"
    monkeypatch.setattr(time, "time", lambda: real() + 24 * HOURS)
    with disturbed(OtherClock(tmp_path)):
        build(plain.source, out, 2)
        assert len([*tmp_path.glob("clock *")]) == 2, "one worker is ahead, the other one behind"
        again = build(plain.source, out, 2)
    assert again.analysed == again.rendered == 0
    plain.check(out)


@pytest.mark.parametrize("place", [pytest.param(one, marks=pytest.mark.slow) for one in ("s3", "folder", "gs")],
                         indirect=True)  # fmt: skip
def test_workers_of_a_cluster(place: str, plain: Plain, tmp_path: Path) -> None:
    root = f"{place}/{tmp_path.name}"
    source = lay_crops(f"{root}/photos")
    with cluster_of(tmp_path / "cluster", workers=0) as cluster:
        for seconds in (-6 * HOURS, 6 * HOURS):
            site = tmp_path / f"site{seconds}"
            site.mkdir()
            (site / "sitecustomize.py").write_text(SITE.format(seconds=seconds))
            cluster.add_worker(PYTHONPATH=f"{site}{os.pathsep}{ROOT}")
        build(source, f"{root}/out", cluster.dask)
    plain.check(f"{root}/out")
    again = build(source, f"{root}/out")
    assert again.analysed == again.rendered == 0


@pytest.mark.parametrize("place", PLACES, indirect=True)
@pytest.mark.parametrize("seconds", [-240 * HOURS, 240 * HOURS])
def test_a_second_build_waits_for_the_first_whatever_its_clock_shows(
    seconds: float, place: str, plain: Plain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, out = time.time, f"{place}/{tmp_path.name}/out"
    with Storage(out).exclusive():
        monkeypatch.setattr(time, "time", lambda: real() + seconds)
        with pytest.raises(StorageError, match="another process is writing to this folder"):
            build(plain.source, out)
