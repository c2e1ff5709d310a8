"""The table of an estimate."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO

from rich.console import Console

from faceloom.pipelines.cli.cluster_summary import cluster_summary
from faceloom.pipelines.estimate.cluster import Cluster, ClusterEstimate, estimate
from faceloom.pipelines.estimate.machine import parse_machine
from faceloom.pipelines.estimate.trial import Costs
from faceloom.schemas.recipe import parse_recipe

RECIPE = parse_recipe({"name": "x", "sources": [{"path": "p"}], "masks": [{"kind": "polygon", "shape": "A"}]})
COSTS = Costs(64, samples=2.0, analyse=0.02, render=0.01, spread=0.5, sample_bytes=20_000, memory=300 * 2**20)


def shown(found: ClusterEstimate, cluster: Cluster) -> str:
    stream = StringIO()
    Console(file=stream, width=160).print(*cluster_summary(found, cluster))
    return " ".join(stream.getvalue().split())


def test_an_estimate_names_tasks_time_memory_storage_and_price() -> None:
    cluster = Cluster(parse_machine("n2-standard-8"), 200, 0.39)
    found = estimate(RECIPE, 100_000, COSTS, cluster)
    text = shown(found, cluster)
    assert "photos 100,000; a trial built 64 of them" in text
    assert "samples about 200,000, 2.00 per photo" in text
    assert "20.0 ms to analyse a photo, 10.0 ms to render a sample" in text
    assert f"1,000 to analyse, about {found.parts:,} to render, into about {found.shards:,} shards" in text
    assert "1,600 processes on 200 n2-standard-8" in text and "67 core-minutes" in text
    assert "memory 2.3 GiB of 32.0 GiB per machine" in text and "3.7 GiB of shards" in text
    assert f"price {found.money:,.2f} for the machines, at 0.39 for each hour" in text


def test_too_little_memory_is_pointed_out_and_no_price_is_made_up() -> None:
    cluster = Cluster(parse_machine("8x2"), 2)
    text = shown(estimate(RECIPE, 1000, replace(COSTS, memory=2**30), cluster), cluster)
    assert "8.0 GiB of 2.0 GiB per machine; use machines with more memory per core" in text
    assert "price" not in text and "advice fewer cores take the same time: there would be 16 workers for" in text


def test_a_small_build_is_shown_in_minutes_and_in_the_singular() -> None:
    cluster = Cluster(parse_machine("1x4"), 1, 0.39)
    text = shown(estimate(RECIPE, 20, replace(COSTS, photos=20), cluster), cluster)
    assert "photos 20; a trial built all of them" in text
    assert "tasks 4 to analyse, about 1 to render, into about 1 shard " in text
    assert "workers 1 process on 1 1x4" in text and "time about 3 min, with 3 min until" in text
    assert "work 0.8 core-seconds, in 3.0 machine-minutes" in text and "price 0.02 for the machines" in text
