"""Simulate builds of many photos on a cluster: `python benchmarks/cluster.py`. Prints the tables of docs/scale.md.

The costs of a photo and of a sample are arguments; `faceloom plan RECIPE --machine TYPE` measures them.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

from faceloom.pipelines.cli.cluster_summary import hours_text
from faceloom.pipelines.estimate.cluster import Cluster, estimate
from faceloom.pipelines.estimate.machine import parse_machine
from faceloom.pipelines.estimate.schedule import Conditions, simulate
from faceloom.pipelines.estimate.trial import Costs
from faceloom.pipelines.recipe.load import load_recipe

START = 0.02
"""Processor seconds that a part costs beside its photos, measured with parts of 1 and of 40 photos on a local disk."""


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--analyse", type=float, default=0.020, help="seconds per photo")
    parser.add_argument("--render", type=float, default=0.012, help="seconds per sample")
    parser.add_argument("--samples", type=float, default=3.0, help="samples per photo")
    parser.add_argument("--bytes", type=float, default=45_000, help="bytes per sample")
    parser.add_argument("--machine", default="n2-standard-8")
    parser.add_argument("--price", type=float, default=0.39, help="of a machine for an hour")
    asked = parser.parse_args()
    costs = Costs(64, asked.samples, asked.analyse, asked.render, 0.5, asked.bytes, 300 * 2**20)
    print_sizes(costs, asked.machine, asked.price)
    print()
    print_part_sizes(costs)


def print_sizes(costs: Costs, machine: str, price: float) -> None:
    """Print what 1, 10 and 100 million photos need, on few and on many machines."""
    recipe = load_recipe("masked-pairs")
    print("| photos | machines | tasks | time, 10 to 90 % | core-hours | waiting | price | shards |")
    print("|---|---|---|---|---|---|---|---|")
    for photos in (10**6, 10**7, 10**8):
        for machines in (10, 100, 1000):
            found = estimate(recipe, photos, costs, Cluster(parse_machine(machine), machines, price))
            print(
                f"| {photos:,} | {machines:,} | {found.analyse_tasks + found.parts:,} "
                f"| {hours_text(found.low)} to {hours_text(found.high)} | {found.core_hours:,.0f} "
                f"| {found.render.idle:.0%} | {found.money:,.0f} | {found.shard_bytes / 2**40:.1f} TiB |"
            )


def print_part_sizes(costs: Costs) -> None:
    """Print how the size of a part decides on overhead, on lost work and on waiting for the last task."""
    photos, workers = 1_000_000, 1600
    print("| photos of a part | parts | overhead | lost at 0.05 per hour | lost at 1 per hour | waiting | time |")
    print("|---|---|---|---|---|---|---|")
    calm = Conditions()
    for size in (10, 30, 100, 300, 1000, 3000):
        seconds = START + size * costs.samples * costs.render
        parts, spread = photos // size, costs.spread / size**0.5
        often, rarely, usual = (
            simulate(parts, seconds, spread, workers, replace(calm, losses=losses)) for losses in (1.0, 0.05, 0.01)
        )
        print(
            f"| {size:,} | {parts:,} | {START / seconds:.1%} | {rarely.wasted:.2%} | {often.wasted:.2%} "
            f"| {usual.idle:.0%} | {hours_text(usual.seconds)} |"
        )


if __name__ == "__main__":
    main()
