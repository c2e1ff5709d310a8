"""Estimate how long a build takes on a cluster, and what it needs there."""

from __future__ import annotations

import math
from dataclasses import dataclass

from faceloom.pipelines.analyse.photo_task import task_count
from faceloom.pipelines.analyse.survey import scan_photos
from faceloom.pipelines.context import Context
from faceloom.pipelines.estimate.machine import Machine
from faceloom.pipelines.estimate.schedule import Conditions, Forecast, simulate
from faceloom.pipelines.estimate.trial import Costs, Trial, draw_photos, measure_costs, trial_folder
from faceloom.pipelines.plan.shard_layout import PART_PHOTOS, PART_SAMPLES
from faceloom.pipelines.run.watcher import Watcher
from faceloom.pipelines.run.worker_pool import WorkerPool
from faceloom.schemas.errors import SourceError
from faceloom.schemas.recipe import Recipe

FACE_BYTES = 800
"""Bytes of a photo in the face table, most of them landmarks."""
_FILL = 0.72
"""Mean filling of parts and shards: each is a half of one that was too large, so it is between half full and full."""
_HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class Cluster:
    """Machines of one type.

    Attributes:
        machine: the type.
        machines: their number.
        price: of a machine for an hour, in any currency; None if unknown.
    """

    machine: Machine
    machines: int
    price: float | None = None

    @property
    def workers(self) -> int:
        """Number of worker processes, one per core."""
        return self.machine.cores * self.machines


@dataclass(frozen=True, slots=True)
class ClusterEstimate:
    """What a build from the beginning would need on a cluster. The search for neighbours of morphs is not included.

    Attributes:
        photos: that the sources list.
        samples: estimated from the trial.
        costs: what the trial measured.
        analyse_tasks, parts, shards: numbers of tasks and files.
        start: seconds until workers run, which is assumed and not measured.
        analyse, render: forecasts of the two stages.
        core_hours: of useful work.
        machine_hours: of the whole cluster, from start to end.
        money: for them; None without a price.
        memory: bytes that the worker processes of a machine take together.
        shard_bytes: of all shards; parts take as much again while the build runs.
        table_bytes: of the face table.
    """

    photos: int
    samples: int
    costs: Costs
    analyse_tasks: int
    parts: int
    shards: int
    start: float
    analyse: Forecast
    render: Forecast
    core_hours: float
    machine_hours: float
    money: float | None
    memory: int
    shard_bytes: int
    table_bytes: int

    @property
    def low(self) -> float:
        """10th percentile of the seconds from start to end."""
        return self.start + self.analyse.low + self.render.low

    @property
    def seconds(self) -> float:
        """Median of the seconds from start to end."""
        return self.start + self.analyse.seconds + self.render.seconds

    @property
    def high(self) -> float:
        """90th percentile of the seconds from start to end."""
        return self.start + self.analyse.high + self.render.high


def estimate_cluster(context: Context, cluster: Cluster, watcher: Watcher) -> ClusterEstimate:
    """List the sources, build a few of their photos in a worker process, and simulate the whole build on a cluster.

    Raises:
        SourceError: a source cannot be listed, or holds no photos.
        FaceloomError: the trial fails.
    """
    watcher.stage("scan", None, "files")
    photos, count = draw_photos(scan_photos(context, [], [], watcher), context.recipe.seed)
    if not photos:
        where, remedy = ", ".join(spec.path for spec in context.recipe.sources), "Check the path, or the table's rows"
        raise SourceError("the source holds no photos", where=where, remedy=remedy)
    watcher.stage("trial", len(photos), "photos")
    with trial_folder() as folder, WorkerPool(1) as pool:
        costs: Costs = pool.result(pool.submit(measure_costs, Trial(context, photos, folder)))
    watcher.done(len(photos))
    return estimate(context.recipe, count, costs, cluster)


def estimate(
    recipe: Recipe, photos: int, costs: Costs, cluster: Cluster, conditions: Conditions | None = None
) -> ClusterEstimate:
    """Estimate a build from the number of its photos and the costs of a few of them. Reads no files."""
    samples = round(photos * costs.samples)
    analyse_tasks = task_count(photos)
    parts = math.ceil(max(photos / PART_PHOTOS, samples / PART_SAMPLES) / _FILL) if samples else 0
    most = max(1, min(recipe.output.shards.samples, recipe.output.shards.bytes // max(1, round(costs.sample_bytes))))
    shards = math.ceil(samples / most / _FILL)

    def forecast(tasks: int, seconds: float, photos_of_task: float) -> Forecast:
        spread = costs.spread / math.sqrt(max(1.0, photos_of_task))
        return simulate(tasks, seconds / max(1, tasks), spread, cluster.workers, conditions, seed=recipe.seed)

    analyse = forecast(analyse_tasks, photos * costs.analyse, photos / max(1, analyse_tasks))
    render = forecast(parts, samples * costs.render, photos / max(1, parts))
    start = (conditions or Conditions()).restart
    machine_hours = cluster.machines * (start + analyse.seconds + render.seconds) / _HOUR
    return ClusterEstimate(
        photos=photos,
        samples=samples,
        costs=costs,
        analyse_tasks=analyse_tasks,
        parts=parts,
        shards=shards,
        start=start,
        analyse=analyse,
        render=render,
        core_hours=(photos * costs.analyse + samples * costs.render) / _HOUR,
        machine_hours=machine_hours,
        money=None if cluster.price is None else cluster.price * machine_hours,
        memory=cluster.machine.cores * costs.memory,
        shard_bytes=round(samples * costs.sample_bytes),
        table_bytes=photos * FACE_BYTES,
    )
