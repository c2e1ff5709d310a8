"""Simulate tasks on a cluster whose machines differ, and where workers are lost. Reads and writes nothing."""

from __future__ import annotations

import heapq
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

_HOUR = 3600.0
_SLOWEST = 0.25
_MOST_STEPS = 2_000_000
"""Tasks that are simulated in all runs together."""
_RUNS = 20


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a cluster does to tasks. The defaults are assumptions, and no measurements of a real service.

    Attributes:
        machine_spread: standard deviation of the speed of worker processes, as a share of the mean.
        slow_share: share of tasks that are stragglers.
        slow_factor: how many times as long a straggler takes.
        losses: workers lost per worker and hour. Preemptible machines lose some 0.05.
        restart: seconds until a lost worker is replaced.
    """

    machine_spread: float = 0.1
    slow_share: float = 0.01
    slow_factor: float = 4.0
    losses: float = 0.01
    restart: float = 180.0


@dataclass(frozen=True, slots=True)
class Forecast:
    """How long tasks take, over several simulated runs.

    Attributes:
        seconds: median.
        low, high: 10th and 90th percentile.
        wasted: work of lost workers that was done again, as a share of all work.
        idle: time in which workers wait for the last tasks, as a share of their time.
    """

    seconds: float
    low: float
    high: float
    wasted: float
    idle: float


NOTHING = Forecast(0.0, 0.0, 0.0, 0.0, 0.0)


def simulate(
    tasks: int, seconds: float, spread: float, workers: int, conditions: Conditions | None = None, *, seed: int = 0
) -> Forecast:
    """Simulate tasks that workers take one after another, as soon as they are free.

    A worker that is lost leaves its task undone. Another one starts it again from the beginning, after all tasks that
    wait.

    Args:
        tasks: their number.
        seconds: mean duration of a task on a worker of mean speed.
        spread: standard deviation of the duration, as a share of the mean.
        workers: number of worker processes.
        conditions: of the cluster.
        seed: of the simulation; the same seed gives the same forecast.

    Raises:
        ValueError: most workers are lost before they finish a task, so that the work would not end.
    """
    if not tasks or not seconds:
        return NOTHING
    conditions = conditions or Conditions()
    if seconds * conditions.slow_factor * conditions.losses > 5 * _HOUR:
        raise ValueError(f"tasks of {seconds:.0f} s do not end if {conditions.losses} workers are lost per hour")
    runs = max(1, min(_RUNS, _MOST_STEPS // tasks))
    found = []
    for run in range(runs):
        rng = np.random.default_rng([seed, run])
        durations = _durations(rng, tasks, seconds, spread, conditions)
        found.append(_run(durations, workers, conditions, rng))
    ends, wasted, idle = (np.array(values) for values in zip(*found, strict=True))
    low, middle, high = (float(np.quantile(ends, share)) for share in (0.1, 0.5, 0.9))
    return Forecast(middle, low, high, float(np.median(wasted)), float(np.median(idle)))


def _durations(
    rng: np.random.Generator, tasks: int, seconds: float, spread: float, conditions: Conditions
) -> npt.NDArray[np.float64]:
    sigma = np.sqrt(np.log1p(spread**2))  # of a log-normal distribution with this spread and mean 1
    durations = seconds * rng.lognormal(-(sigma**2) / 2, sigma, tasks)
    return np.where(rng.random(tasks) < conditions.slow_share, durations * conditions.slow_factor, durations)


def _run(
    durations: npt.NDArray[np.float64], workers: int, conditions: Conditions, rng: np.random.Generator
) -> tuple[float, float, float]:
    """One simulated run: its end, the wasted share of work, and the idle share of the workers' time."""
    used = min(workers, len(durations))
    speeds = np.maximum(_SLOWEST, rng.normal(1.0, conditions.machine_spread, used)).tolist()
    free = [(0.0, worker) for worker in range(used)]
    again: deque[tuple[float, float]] = deque()
    waiting = iter(durations.tolist())
    end = worked = wasted = 0.0
    while True:
        duration, earliest = next(waiting, None), 0.0
        if duration is None:
            if not again:
                return end, wasted / (worked + wasted), 1 - (worked + wasted) / (end * workers)
            duration, earliest = again.popleft()
        now, worker = free[0]
        begin, takes = max(now, earliest), duration / speeds[worker]
        lost = rng.exponential(_HOUR / conditions.losses) if conditions.losses else np.inf
        if lost < takes:
            wasted += lost
            again.append((duration, begin + lost))
            heapq.heapreplace(free, (begin + lost + conditions.restart, worker))
        else:
            worked += takes
            end = max(end, begin + takes)
            heapq.heapreplace(free, (begin + takes, worker))
