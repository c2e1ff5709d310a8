"""Builds of pairs with real masks: a build or a worker is killed, and the next run ends as if nothing had happened."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from faceloom.pipelines.build import prepare, run_build
from faceloom.pipelines.run.runners import Workers
from faceloom.pipelines.run.watcher import Watcher
from faceloom.pipelines.store.build_record import read_record
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import WorkerError
from faceloom.schemas.recipe import Recipe, parse_recipe
from tests.faults.bench import PEOPLE, RECIPE, put
from tests.faults.causes import Killed, disturbed
from tests.patience import on_busy_machine
from tests.pipelines.conftest import SURE, encoded, picture
from tests.tree_digest import digests

MOMENTS = {
    "analyse": ("half", r"faces/.*"),
    "render": ("half", r"work/\w+\.tar"),
    "join": ("written", r"shards/.*"),
}


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    """A recipe for aligned crops, the same with a grey mask, and its maps."""
    folder = tmp_path_factory.mktemp("pairs")
    where = np.zeros((112, 112, 1), bool)
    where[60:100, 30:82] = True
    for number in range(PEOPLE):
        bare = picture(112, 112, SURE[number])
        masked, drawn = np.where(where, np.uint8(150), bare), np.repeat(where, 3, axis=2).astype(np.uint8) * 255
        for top, pixels in (("bare", bare), ("masked", masked), ("maps", drawn)):
            put(Storage(str(folder / top)), f"person {number}/1.png", encoded(pixels))
    source = {"kind": "pairs", "name": "s", **{top: str(folder / top) for top in ("bare", "masked", "maps")}}
    changes: dict[str, Any] = {"sources": [source], "masks": [{"kind": "real"}], "per_face": 1}
    return parse_recipe({**{name: value for name, value in RECIPE.items() if name != "morph"}, **changes})


def build(recipe: Recipe, out: Path, workers: Workers) -> None:
    run_build(prepare(recipe, str(out)), workers=workers, resume=True, watcher=Watcher())


@pytest.fixture(scope="module")
def plain(pairs: Recipe, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    out = tmp_path_factory.mktemp("plain") / "out"
    build(pairs, out, 1)
    assert read_record(Storage(str(out))).by_mask == {"real": PEOPLE}
    return digests(str(out))


def kill_worker(make: Callable[[Workers], None]) -> None:
    with pytest.raises(WorkerError):
        make(2)


def kill_build(make: Callable[[Workers], None]) -> None:
    process = multiprocessing.get_context("fork").Process(target=make, args=(1,))
    process.start()
    process.join(on_busy_machine(60))
    assert process.exitcode == -signal.SIGKILL


@pytest.mark.parametrize(
    "kill", [kill_build, pytest.param(kill_worker, marks=pytest.mark.slow)], ids=["build", "worker"]
)
@pytest.mark.parametrize("moment", MOMENTS)
def test_the_next_run_ends_it(
    kill: Callable[[Callable[[Workers], None]], None],
    moment: str, pairs: Recipe, plain: dict[str, str], tmp_path: Path
) -> None:  # fmt: skip
    cause, out = Killed((MOMENTS[moment],), tmp_path), tmp_path / "out"

    def make(workers: Workers) -> None:
        with disturbed(cause):
            build(pairs, out, workers)

    kill(make)
    assert cause.count() == 1 and not (out / "build.json").exists()
    build(pairs, out, 1)
    assert digests(str(out)) == plain
