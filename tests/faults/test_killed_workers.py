"""Workers are killed in every stage: on a cluster their tasks run again, on one machine the next run goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from faceloom.schemas.errors import WorkerError
from tests.dask_cluster import cluster_of
from tests.faults.bench import Plain, build, build_until_done, lay_crops
from tests.faults.causes import Killed, disturbed
from tests.pipelines.building import Notes

MOMENTS = {
    "analyse, half a table": ("half", r"faces/.*"),
    "analyse, after its table": ("written", r"faces/.*"),
    "textures, half a block": ("half", r"work/\w+\.textures"),
    "textures, before their marker": ("written", r"work/\w+\.textures"),
    "compare, half a table": ("half", r"work/[\w-]+\.rows\.parquet"),
    "render, half a tar": ("half", r"work/\w+\.tar"),
    "render, before its marker": ("written", r"work/\w+\.tar"),
    "render, half a marker": ("half", r"work/\w+\.parquet"),
    "render, after its marker": ("written", r"work/\w+\.parquet"),
    "join, half a tar": ("half", r"shards/.*"),
    "join, before its marker": ("written", r"shards/.*"),
    "join, half a marker": ("half", r"index/.*"),
    "join, after its marker": ("written", r"index/.*"),
    "join, parts half removed": ("removed", r"work/\w+\.tar"),
}
STAGES = ("analyse, half a table", "render, before its marker", "join, before its marker")
QUICK = STAGES[::2]
EACH = [pytest.param((name,), marks=pytest.mark.slow, id=name) for name in MOMENTS]


def killed(names: tuple[str, ...], folder: Path) -> Killed:
    return Killed(tuple(MOMENTS[name] for name in names), folder)


@pytest.mark.parametrize("place", ["s3", *(pytest.param(one, marks=pytest.mark.slow) for one in ("folder", "gs"))],
                         indirect=True)  # fmt: skip
@pytest.mark.parametrize(
    "names",
    [
        pytest.param(QUICK, id="first and last stage"),
        pytest.param(STAGES, marks=pytest.mark.slow, id="every stage"),
        *EACH,
    ],
)
def test_on_a_cluster_their_tasks_run_again(names: tuple[str, ...], place: str, plain: Plain, tmp_path: Path) -> None:
    """Photos and output lie in the same place."""
    cause = killed(names, tmp_path)
    source = plain.source if place.startswith("/") else lay_crops(f"{place}/{tmp_path.name}/photos")
    out = f"{place}/{tmp_path.name}/out"
    notes = Notes()
    with cluster_of(tmp_path / "cluster", workers=len(names) + 1) as cluster, disturbed(cause):
        build(source, out, cluster.dask, notes)
        assert [worker.poll() is None for worker in cluster.workers].count(True) == 1
    assert cause.count() == len(names)
    assert len([note for note in notes.notes if " is lost. Its " in note]) == len(names)
    plain.check(out)


@pytest.mark.parametrize("place", ["folder", *(pytest.param(one, marks=pytest.mark.slow) for one in ("s3", "gs"))],
                         indirect=True)  # fmt: skip
@pytest.mark.parametrize("names", EACH)
def test_on_this_machine_the_next_run_goes_on(names: tuple[str, ...], place: str, plain: Plain, tmp_path: Path) -> None:
    cause, out = killed(names, tmp_path), f"{place}/{tmp_path.name}/out"
    with disturbed(cause):
        failed = build_until_done(lambda: build(plain.source, out, 2), WorkerError, most=len(names))
    assert cause.count() == len(names) and failed
    plain.check(out)
