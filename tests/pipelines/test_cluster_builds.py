"""Builds on tiny synthetic photos by every runner: the same bytes, whatever goes wrong on a worker."""

from __future__ import annotations

import ast
import hashlib
import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from faceloom.pipelines import build as building
from faceloom.pipelines.analyse import photo_task
from faceloom.pipelines.build import BuildResult, plan_build, prepare, render_tasks, run_build
from faceloom.pipelines.plan import shard_layout, textures
from faceloom.pipelines.run import local_run
from faceloom.pipelines.run.beam_chain import add_chain
from faceloom.pipelines.run.run_tasks import run_tasks, shared_folder
from faceloom.pipelines.run.runners import Workers
from faceloom.pipelines.run.watcher import Watcher
from faceloom.schemas.errors import SourceError
from faceloom.schemas.recipe import Recipe, parse_recipe
from tests.dask_cluster import ROOT, Cluster
from tests.faults.causes import instead_of_run_tasks
from tests.pipelines.run.chain_check import steps_of_chain

RECIPE: dict[str, Any] = {
    "name": "x",
    "per_face": 2,
    "faces": {"min_size": 0},
    "align": {"mode": "face_box", "size": 32},
    "masks": [{"kind": "polygon", "shape": "A"}],
    "morph": {"neighbours": 2, "texture_size": 32},
    "split": {"shares": {"train": 0.5, "test": 0.5}},
    "output": {"image": "png", "shards": {"samples": 12}},
}
UNLIKE = ("last_run.json", ".lock")
"""Files that hold times, or nothing."""


@pytest.fixture(autouse=True, scope="module")
def small() -> Iterator[None]:
    """Several tasks for few photos."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(photo_task, "TASK_PHOTOS", 3)
        patch.setattr(shard_layout, "PART_PHOTOS", 3)
        patch.setattr(textures, "BLOCK", 4)
        yield


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory, synthetic: SimpleNamespace) -> Path:
    """Photos that no test changes."""
    found: Path = synthetic.lay_photos(tmp_path_factory.mktemp("photos"), range(10), people=4)
    return found


def recipe_of(path: Path | str) -> Recipe:
    return parse_recipe({**RECIPE, "sources": [{"path": str(path), "name": "s"}]})


def through_index(path: Path) -> Recipe:
    pytest.importorskip("faiss", reason="needs the extra `ivf`")
    morph = {**RECIPE["morph"], "candidates": "ivf"}
    return parse_recipe({**RECIPE, "morph": morph, "sources": [{"path": str(path), "name": "s"}]})


def build(recipe: Recipe, out: Path, workers: Workers, watcher: Watcher | None = None) -> BuildResult:
    folder, workers = shared_folder(str(out), workers)
    return run_build(prepare(recipe, folder), workers=workers, resume=True, watcher=watcher or Watcher())


def digests(out: Path) -> dict[str, str]:
    return {
        path.relative_to(out).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in out.rglob("*")
        if path.is_file() and path.name not in UNLIKE
    }


@dataclass(frozen=True)
class Plain:
    """A build in this process, and the digests of one that searches neighbours through an index."""

    result: BuildResult
    digests: dict[str, str]
    through_index: dict[str, str]


@pytest.fixture(scope="module")
def plain(table: Path, tmp_path_factory: pytest.TempPathFactory) -> Plain:
    out, index = tmp_path_factory.mktemp("plain") / "out", tmp_path_factory.mktemp("plain") / "index"
    build(through_index(table), index, 1)
    return Plain(build(recipe_of(table), out, 1), digests(out), digests(index))


@pytest.mark.parametrize("runner", ["in this process", "worker processes", "Dask"])
def test_every_kind_of_task_makes_the_same_bytes_on_every_runner(
    runner: str, table: Path, tmp_path: Path, plain: Plain, request: pytest.FixtureRequest
) -> None:
    """Photos, textures, neighbours, parts and shards."""
    workers: Workers = 1 + (runner == "worker processes")
    if runner == "Dask":
        workers = request.getfixturevalue("dask_cluster").dask
    else:
        request.getfixturevalue("beam")
    with noted_runs() as noted:
        done = build(recipe_of(table), tmp_path / "out", workers)
        build(through_index(table), tmp_path / "index", workers)
    assert noted.places == places_that_run_tasks(), "no pipeline is left out"
    joins = noted.chains.count(True)
    assert (len(noted.chains) >= 10 and joins == 2) or (runner == "Dask" and not noted.chains)
    assert digests(tmp_path / "out") == plain.digests
    assert digests(tmp_path / "index") == plain.through_index
    assert [*(tmp_path / "out").glob("neighbours/*")]
    assert done.rendered == plain.result.rendered > 10
    assert {*done.work} == {*plain.result.work}


@dataclass
class Noted:
    """Lines that called `run_tasks`, and for each pipeline of Beam whether it has a second step."""

    places: set[tuple[str, int]]
    chains: list[bool]


@contextmanager
def noted_runs() -> Iterator[Noted]:
    """Note who runs tasks, and refuse each pipeline that is no linear chain."""
    noted = Noted(set(), [])

    def run(*arguments: Any, **options: Any) -> dict[str, float]:
        caller = inspect.stack()[1]
        noted.places.add((Path(caller.filename).relative_to(ROOT).as_posix(), caller.lineno))
        return run_tasks(*arguments, **options)

    def add(pipeline: Any, *arguments: Any, **options: Any) -> None:
        add_chain(pipeline, *arguments, **options)
        noted.chains.append("Then" in steps_of_chain(pipeline))

    with pytest.MonkeyPatch.context() as patch, instead_of_run_tasks(run):
        patch.setattr(local_run, "add_chain", add)
        yield noted


def places_that_run_tasks() -> set[tuple[str, int]]:
    """File and line of each call of `run_tasks` in the source."""
    return {
        (path.relative_to(ROOT).as_posix(), node.lineno)
        for path in (ROOT / "pipelines").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == "run_tasks"
    }


def test_tasks_that_two_workers_do_at_once_make_the_same_bytes(
    table: Path, tmp_path: Path, plain: Plain, dask_cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A scheduler that loses sight of a worker gives its task to another one, while the first one goes on."""

    def twice(tasks: Any, do: Any, **options: Any) -> dict[str, float]:
        return run_tasks([task for task in tasks for _ in range(2)], do, **options)

    monkeypatch.setattr(building, "run_tasks", twice)
    monkeypatch.setattr("faceloom.pipelines.analyse.survey.run_tasks", twice)
    build(recipe_of(table), tmp_path / "twice", dask_cluster.dask)
    assert digests(tmp_path / "twice") == plain.digests


def test_progress_reaches_the_total_of_every_stage(table: Path, tmp_path: Path, dask_cluster: Cluster) -> None:
    class Stages(Watcher):
        def __init__(self) -> None:
            self.totals: dict[str, int | None] = {}
            self.counts: dict[str, list[int]] = {}

        def stage(self, name: str, total: int | None, unit: str) -> None:
            self.totals[name], self.counts[name], self._counts = total, [], []
            self._counts = self.counts[name]

        def done(self, count: int) -> None:
            self._counts.append(count)

    seen = Stages()
    build(recipe_of(table), tmp_path / "out", dask_cluster.dask, seen)
    for name in ("analyse", "render"):
        assert seen.counts[name][-1] == seen.totals[name]
        assert seen.counts[name] == sorted(seen.counts[name])


def test_photos_that_no_worker_sees_are_no_rejects(
    table: Path, tmp_path: Path, dask_cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(table.parent.parent)
    (dask_cluster.folder / table.parent.name).mkdir()
    (dask_cluster.folder / table.parent.name / "photos.csv").write_bytes(
        table.read_bytes()
    )  # as a stale copy of a folder
    recipe = recipe_of(f"/proc/self/cwd/{table.parent.name}/photos.csv")  # of each process
    with pytest.raises(SourceError, match=r"^s/.*: a worker could not read this photo.*Mount the source"):
        build(recipe, tmp_path / "out", dask_cluster.dask)
    assert not [*(tmp_path / "out").glob("shards/*")]
    done = build(recipe, tmp_path / "out", 1)
    assert done.analysed == 10 and not done.record.rejects, "the rows of the workers do not count"


def test_a_photo_that_changes_before_it_is_rendered_is_found_by_its_hash(
    tmp_path: Path, dask_cluster: Cluster, synthetic: SimpleNamespace
) -> None:
    table = synthetic.lay_photos(tmp_path / "photos", range(6))
    folder = str(tmp_path / "out")
    workers = replace(dask_cluster.dask, folder=folder)
    context = prepare(recipe_of(table), folder)
    _, plan = plan_build(context, workers=workers, watcher=Watcher())
    tasks = render_tasks(plan, context).tasks
    (table.parent / "003.png").write_bytes(synthetic.encoded(synthetic.picture(96, 112, 99)))
    run_tasks(tasks, partial(building._render_part, context=context), workers=workers)
    with pytest.raises(SourceError, match=r"003\.png"):
        building._refuse_if_incomplete(context.storage, list(plan.shards))
