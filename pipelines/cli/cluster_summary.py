"""What `faceloom plan --machine` shows."""

from __future__ import annotations

from rich.console import RenderableType

from faceloom.pipelines.cli.console import size_text
from faceloom.pipelines.cli.summary import facts_table
from faceloom.pipelines.estimate.cluster import Cluster, ClusterEstimate
from faceloom.schemas.counted import counted


def cluster_summary(found: ClusterEstimate, cluster: Cluster) -> list[RenderableType]:
    """An estimate as a table."""
    costs, machine = found.costs, cluster.machine
    needs = f"{size_text(found.memory)} of {size_text(machine.memory)} per machine"
    tried = "all of them" if costs.photos == found.photos else f"{costs.photos:,} of them"
    low, high = hours_text(found.low), hours_text(found.high)
    spread = "" if low == high else f" ({low} to {high})"
    facts = {
        "photos": f"{found.photos:,}; a trial built {tried}",
        "samples": f"about {found.samples:,}, {costs.samples:.2f} per photo",
        "speed": f"{1000 * costs.analyse:.1f} ms to analyse a photo, {1000 * costs.render:.1f} ms to render a sample",
        "tasks": f"{found.analyse_tasks:,} to analyse, about {found.parts:,} to render, "
        f"into about {counted(found.shards, 'shard')}",
        "workers": f"{counted(cluster.workers, 'process', 'processes')} on {cluster.machines:,} {machine.name}",
        "time": f"about {hours_text(found.seconds)}{spread}, with {hours_text(found.start)} until the workers run",
        "work": f"{work_text(found.core_hours, 'core')}, in {work_text(found.machine_hours, 'machine')}",
        "waiting": f"{found.analyse.idle:.0%} of the workers' time while analysing, {found.render.idle:.0%} while "
        "rendering: no task is left for them",
        "memory": needs + ("" if found.memory <= machine.memory else "; use machines with more memory per core"),
        "storage": f"{size_text(found.shard_bytes)} of shards, up to as much again while the build runs, "
        f"and {size_text(found.table_bytes)} of faces",
    }
    if (lost := max(found.render.wasted, found.analyse.wasted)) >= 0.0005:
        facts["lost work"] = f"{lost:.1%} is done again, because workers fail"
    if cluster.workers > (most := max(found.analyse_tasks, found.parts)):
        few = f"{counted(cluster.workers, 'worker')} for {counted(most, 'task')}"
        facts["advice"] = f"fewer cores take the same time: there would be {few}"
    if found.money is not None:
        facts["price"] = f"{money_text(found.money)} for the machines, at {cluster.price:g} for each hour"
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


def work_text(hours: float, of: str) -> str:
    """Format the time of several cores or machines for people.

    >>> work_text(0.001, "core"), work_text(0.5, "machine"), work_text(2.04, "core"), work_text(111.1, "core")
    ('3.6 core-seconds', '30 machine-minutes', '2.0 core-hours', '111 core-hours')
    """
    units = {"hours": hours, "minutes": 60 * hours, "seconds": 3600 * hours}
    unit, count = next(((unit, count) for unit, count in units.items() if count >= 1.5), ("seconds", 3600 * hours))
    return f"{count:,.{1 if count < 10 else 0}f} {of}-{unit}"


def money_text(money: float) -> str:
    """Format an amount of any currency for people.

    >>> money_text(1234.5), money_text(0.0123), money_text(0.00004), money_text(0)
    ('1,234.50', '0.012', 'less than 0.001', '0.00')
    """
    if 0 < money < 0.001:
        return "less than 0.001"
    return f"{money:.2g}" if 0 < money < 0.1 else f"{money:,.2f}"
