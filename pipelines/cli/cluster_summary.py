"""What `faceloom plan --machine` shows."""

from __future__ import annotations

from rich.console import RenderableType

from faceloom.pipelines.cli.console import size_text
from faceloom.pipelines.cli.summary import facts_table
from faceloom.pipelines.estimate.cluster import Cluster, ClusterEstimate


def cluster_summary(found: ClusterEstimate, cluster: Cluster) -> list[RenderableType]:
    """An estimate as a table."""
    costs, machine = found.costs, cluster.machine
    needs = f"{size_text(found.memory)} of {size_text(machine.memory)} per machine"
    facts = {
        "photos": f"{found.photos:,}; {costs.photos:,} of them were built as a trial",
        "samples": f"about {found.samples:,}, {costs.samples:.2f} per photo",
        "cost": f"{1000 * costs.analyse:.1f} ms to analyse a photo, {1000 * costs.render:.1f} ms to render a sample",
        "tasks": f"{found.analyse_tasks:,} to analyse, about {found.parts:,} to render, "
        f"into about {found.shards:,} shards",
        "workers": f"{cluster.workers:,} processes on {cluster.machines:,} {machine.name}",
        "time": f"about {hours_text(found.seconds)} ({hours_text(found.low)} to {hours_text(found.high)}), "
        f"with {hours_text(found.start)} until the workers run",
        "work": f"{found.core_hours:,.1f} core-hours, in {found.machine_hours:,.1f} machine-hours",
        "waiting": f"{found.render.idle:.0%} of the workers' time while rendering, {found.analyse.idle:.0%} before",
        "lost work": f"{max(found.render.wasted, found.analyse.wasted):.1%} is done again, because workers fail",
        "memory": needs + ("" if found.memory <= machine.memory else "; use machines with more memory per core"),
        "storage": f"{size_text(found.shard_bytes)} of shards, up to as much again while the build runs, "
        f"and {size_text(found.table_bytes)} of faces",
    }
    if cluster.workers > max(found.analyse_tasks, found.parts):
        facts["advice"] = "fewer machines take the same time: there are more workers than tasks"
    if found.money is not None:
        facts["price"] = f"{found.money:,.2f}"
    return [facts_table("Estimate for a cluster", facts)]


def hours_text(seconds: float) -> str:
    """Format a duration for people.

    >>> hours_text(40), hours_text(200), hours_text(7000), hours_text(400_000)
    ('40 s', '3 min', '1 h 57 min', '111 h')
    """
    minutes = round(seconds / 60)
    if seconds < 100:
        return f"{seconds:.0f} s"
    if minutes < 100:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min" if minutes < 24 * 60 else f"{minutes / 60:,.0f} h"
