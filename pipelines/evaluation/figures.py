"""Figures of a method from the scores of its pictures, with intervals that treat each person as a cluster."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from faceloom.models.metrics import Scores

Floats = NDArray[np.float64]
Numbers = NDArray[np.int64]

RESAMPLES = 1000
"""Draws of the bootstrap: people with replacement, each with all pictures (a bootstrap by clusters). A morph of two
people counts as often as the product of their counts, because it resembles both."""
INTERVAL = (2.5, 97.5)
"""Percentiles that bound a figure's interval."""


@dataclass(frozen=True)
class Metric:
    """One column of the table.

    Attributes:
        name: in JSON.
        head: in tables; an arrow shows the better direction.
        digits: after the decimal point.
        value: of one picture; NaN is left out.
        centre: combines the values of all pictures.
    """

    name: str
    head: str
    digits: int
    value: Callable[[Scores], float]
    centre: Literal["mean", "median"] = "mean"


def _sharpness(scores: Scores) -> float:
    return scores.detail / scores.target_detail if scores.target_detail else math.nan


METRICS = (
    Metric("mse", "MSE ↓", 4, lambda scores: scores.mse),
    Metric("psnr", "PSNR ↑", 2, lambda scores: scores.psnr),
    Metric("ssim", "SSIM ↑", 3, lambda scores: scores.ssim),
    Metric("iou", "IoU ↑", 3, lambda scores: scores.iou),
    # Not a mean: the plainest targets have almost no detail and would dominate it.
    Metric("sharpness", "sharpness", 2, _sharpness, "median"),
    Metric("changed", "changed ↓", 2, lambda scores: scores.changed),
)
"""All columns; see `models.metrics` for definitions."""


@dataclass(frozen=True)
class Figure:
    """A figure and its 95 % interval; None if nothing could be measured, or too few people allow no interval."""

    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Row:
    """Figures of a method by metric, and the numbers of pictures that it could (`samples`) and could not mask."""

    name: str
    samples: int
    missing: int
    figures: dict[str, Figure]


def make_row(name: str, scores: Sequence[Scores | None], people: Sequence[frozenset[str]]) -> Row:
    """Summarise the scores of a method.

    Args:
        name: of the method.
        scores: of each picture; None where the method could not mask it.
        people: who is in each picture: two in a morph.
    """
    found = [(one, person) for one, person in zip(scores, people, strict=True) if one is not None]
    figures = {}
    for metric in METRICS:
        measured = [(metric.value(one), tuple(sorted(shown))) for one, shown in found]
        figures[metric.name] = _figure(metric.centre, measured)
    return Row(name, len(found), len(scores) - len(found), figures)


def row_of(name: str, values: Mapping[str, Sequence[float]], people: Sequence[frozenset[str]]) -> Row:
    """Means of several values of each picture.

    Args:
        name: of the method.
        values: by metric, one per picture; NaN is left out.
        people: who is in each picture.
    """
    shown = [tuple(sorted(one)) for one in people]
    figures = {metric: _figure("mean", list(zip(column, shown, strict=True))) for metric, column in values.items()}
    return Row(name, len(people), 0, figures)


def _figure(centre: Literal["mean", "median"], found: Sequence[tuple[float, tuple[str, ...]]]) -> Figure:
    """The figure of values and their people; the same people get the same draws."""
    measured = sorted(pair for pair in found if math.isfinite(pair[0]))
    if not measured:
        return Figure(None, None, None)
    values = np.array([value for value, _ in measured])
    kinds = sorted({shown for _, shown in measured})
    numbers = {shown: number for number, shown in enumerate(kinds)}
    owners = np.array([numbers[shown] for _, shown in measured])
    value, drawn = (_mean if centre == "mean" else _median)(values, owners, _draws(tuple(kinds)))
    if len(kinds) == 1:
        return Figure(value, None, None)
    low, high = np.percentile(drawn, INTERVAL)
    return Figure(value, float(low), float(high))


@lru_cache(maxsize=1)
def _draws(kinds: tuple[tuple[str, ...], ...]) -> Numbers:
    """How often pictures of the same people count in each draw, (draws, kinds); draws without pictures are omitted."""
    people = sorted({person for shown in kinds for person in shown})
    numbers = {person: number for number, person in enumerate(people)}
    drawn = np.random.default_rng(0).multinomial(len(people), np.full(len(people), 1 / len(people)), RESAMPLES)
    times = np.empty((RESAMPLES, len(kinds)), np.int32)  # there may be as many kinds as pictures
    for column, shown in enumerate(kinds):
        times[:, column] = drawn[:, [numbers[person] for person in shown]].prod(axis=1)
    return np.asarray(times[times.any(axis=1)])


def _mean(values: Floats, owners: Numbers, draws: Numbers) -> tuple[float, Floats]:
    """The mean, and that of each draw."""
    sums, counts = np.bincount(owners, values), np.bincount(owners)
    return float(values.mean()), (draws @ sums) / (draws @ counts)


def _median(values: Floats, owners: Numbers, draws: Numbers) -> tuple[float, Floats]:
    """The median of ascending values, and that of each draw."""
    medians = np.empty(len(draws))
    for number, times in enumerate(draws):
        ends = times[owners].cumsum()
        places = np.searchsorted(ends, [(ends[-1] - 1) // 2, ends[-1] // 2], side="right")
        medians[number] = values[places].mean()  # the middle two of an even number
    return float(np.median(values)), medians
