"""Estimates for clusters."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from faceloom.pipelines.build import prepare
from faceloom.pipelines.estimate.cluster import Cluster, estimate, estimate_cluster
from faceloom.pipelines.estimate.machine import parse_machine
from faceloom.pipelines.estimate.schedule import Conditions
from faceloom.pipelines.estimate.trial import Costs
from faceloom.pipelines.run.watcher import Watcher
from faceloom.schemas.errors import SourceError
from faceloom.schemas.recipe import parse_recipe
from tests.pipelines.planning import many, plan, recipe

COSTS = Costs(64, samples=2.0, analyse=0.02, render=0.01, spread=0.5, sample_bytes=20_000, memory=300 * 2**20)
CALM = Conditions(machine_spread=0, slow_share=0, losses=0)
RECIPE = parse_recipe({"name": "x", "sources": [{"path": "p"}], "masks": [{"kind": "polygon", "shape": "A"}]})


def cluster(machines: int, price: float | None = None) -> Cluster:
    return Cluster(parse_machine("8x32"), machines, price)


def test_work_and_sizes_grow_with_the_photos() -> None:
    one, ten = (estimate(RECIPE, photos, COSTS, cluster(2)) for photos in (100_000, 1_000_000))
    assert one.samples == 200_000 and one.core_hours == pytest.approx((100_000 * 0.02 + 200_000 * 0.01) / 3600)
    assert ten.core_hours == pytest.approx(10 * one.core_hours)
    assert ten.shard_bytes == 10 * one.shard_bytes == 10 * 200_000 * 20_000
    assert one.memory == 8 * COSTS.memory and one.money is None
    assert 8 < ten.render.seconds / one.render.seconds < 11


def test_time_falls_with_machines_until_there_are_more_of_them_than_tasks() -> None:
    few, many, most = (estimate(RECIPE, 100_000, COSTS, cluster(number), CALM) for number in (1, 10, 1000))
    assert few.render.seconds > 8 * many.render.seconds > 8 * most.render.seconds
    assert most.render.seconds >= 200_000 * 0.01 / most.parts and most.render.idle > 0.7


def test_money_is_for_the_machines_from_start_to_end() -> None:
    found = estimate(RECIPE, 100_000, COSTS, cluster(4, 0.5))
    assert found.money == pytest.approx(0.5 * found.machine_hours)
    assert found.machine_hours == pytest.approx(4 * found.seconds / 3600)
    assert (
        found.seconds == 180 + found.analyse.seconds + found.render.seconds and found.low < found.seconds < found.high
    )
    assert found.machine_hours * 8 > found.core_hours


def test_photos_without_faces_need_no_rendering() -> None:
    found = estimate(RECIPE, 1000, replace(COSTS, samples=0, render=0, sample_bytes=0), cluster(1))
    assert (found.samples, found.parts, found.shards, found.render.seconds) == (
        0,
        0,
        0,
        0,
    ) and found.analyse.seconds > 0


def test_parts_and_shards_are_about_as_many_as_in_a_plan() -> None:
    how = recipe(output={"shards": {"samples": 700}})
    made = plan(many(6000, people=900), how)
    found = estimate(how, 6000, replace(COSTS, samples=1.0, sample_bytes=made.sample_bytes), cluster(1))
    parts = sum(len(shard.parts) for shard in made.shards)
    assert 0.6 < found.parts / parts < 1.6
    assert 0.4 < found.shards / len(made.shards) < 2.5


def test_a_folder_is_estimated_from_a_trial(tmp_path: Path, synthetic: SimpleNamespace) -> None:
    synthetic.lay_photos(tmp_path, range(6))
    plain = {"path": str(tmp_path / "photos.csv"), "name": "s"}
    how = parse_recipe({"name": "x", "sources": [plain], "faces": {"min_size": 0}, "align": {"size": 32}})
    found = estimate_cluster(prepare(how, str(tmp_path / "out")), cluster(1), Watcher())
    assert (found.photos, found.samples, found.costs.photos) == (6, 6, 6)
    assert not (tmp_path / "out").exists()


def test_a_source_without_photos_is_refused(tmp_path: Path, synthetic: SimpleNamespace) -> None:
    synthetic.write_table(tmp_path, [])
    how = parse_recipe({"name": "x", "sources": [{"path": str(tmp_path / "photos.csv"), "name": "s"}]})
    with pytest.raises(SourceError, match="the source holds no photos"):
        estimate_cluster(prepare(how, str(tmp_path / "out")), cluster(1), Watcher())
