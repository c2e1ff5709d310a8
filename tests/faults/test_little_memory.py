"""A worker with too little memory fails its tasks; other workers or the next run do them, and no photo is rejected."""

from __future__ import annotations

from pathlib import Path

import pytest

from faceloom.schemas.errors import WorkerError
from tests.dask_cluster import cluster_of
from tests.faults.bench import Plain, build, build_until_done
from tests.faults.causes import LittleMemory, disturbed

SPARE = [2**20, *(pytest.param(mib * 2**20, marks=pytest.mark.slow) for mib in (0, 4, 16, 64, 256))]


@pytest.mark.parametrize("place", ["folder", *(pytest.param(one, marks=pytest.mark.slow) for one in ("s3", "gs"))],
                         indirect=True)  # fmt: skip
@pytest.mark.parametrize("spare", SPARE)
def test_on_a_cluster_another_worker_does_its_tasks(spare: int, place: str, plain: Plain, tmp_path: Path) -> None:
    out = f"{place}/{tmp_path.name}/out"
    with cluster_of(tmp_path / "cluster", workers=2) as cluster, disturbed(LittleMemory(tmp_path, spare)):
        build(plain.source, out, cluster.dask)
    assert (tmp_path / "tried").exists()
    plain.check(out)


@pytest.mark.slow
@pytest.mark.parametrize("place", ["folder", "s3"], indirect=True)
@pytest.mark.parametrize("spare", [0, 2**20, 2**22, 2**24, 2**26])
def test_on_this_machine_the_build_ends_and_the_next_run_does_them(
    spare: int, place: str, plain: Plain, tmp_path: Path
) -> None:
    out = f"{place}/{tmp_path.name}/out"
    with disturbed(LittleMemory(tmp_path, spare)):
        build_until_done(lambda: build(plain.source, out, 2), WorkerError, most=1)
    assert (tmp_path / "tried").exists()
    plain.check(out)
