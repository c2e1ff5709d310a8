"""Distributions of a gallery: tables of bars for names, histograms for figures."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from faceloom.pipelines.gallery.overview import Overview
from faceloom.pipelines.gallery.thumbnails import Shown

MOST_BARS = 16
"""Rows of a table of names; the others become one row."""
_PER_PERSON = (*range(1, 11), 15, 20, 30, 50, 100, 200, 500, 1000)
_BINS = 24
"""Bins of a histogram, at most."""
_TICKS = 7
"""Labels below a histogram, at most."""
_PER_DECADE = (1, 1.5, 2, 3, 5, 7)
"""Edges of bins of nearly equal width on a logarithmic axis."""
_MOST_DECADES = 8
"""With bins for each of `_PER_DECADE`; a wider axis has bins of whole decades."""
_LARGEST = 1e300
"""Larger figures, of either sign, are in the outermost bins: edges beyond it would overflow."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: its label, its number, and the number as a share of the largest one in per cent."""

    label: str
    count: int
    share: float


@dataclass(frozen=True, slots=True)
class Tick:
    """A label of an axis, and its place in per cent from the left."""

    label: str
    at: float


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart.

    Attributes:
        title: what it counts.
        note: of what; empty if the title suffices.
        bars: from the first to the last.
        unit: of the axis below a histogram; empty for a table of names.
        ticks: labels of that axis.
    """

    title: str
    note: str
    bars: tuple[Bar, ...]
    unit: str = ""
    ticks: tuple[Tick, ...] = ()

    @property
    def most(self) -> int:
        """The largest number."""
        return max((bar.count for bar in self.bars), default=0)


def make_charts(overview: Overview, shown: Sequence[Shown]) -> list[Chart]:
    """Return the charts of a gallery; those without any number are left out.

    Args:
        overview: the counts of all samples.
        shown: samples whose pictures were measured.
    """
    people = {split: len(of_split) for split, of_split in overview.people.items()}
    per_person = [count for of_split in overview.people.values() for count in of_split.values()]
    widths, yaws, sharpness = (
        [value for one in shown if (value := getattr(one, name)) is not None and math.isfinite(value)]
        for name in ("face_width", "yaw", "sharpness")
    )
    covered = [100 * one.covered for one in shown if one.covered is not None]
    drawn = f"of the {len(shown):,} samples shown"
    charts = [
        _of_names("Samples by split", overview.by_split),
        _of_names("People by split", people),
        _of_names("Samples by mask", overview.by_mask),
        _of_names("Samples by source", overview.by_source),
        _of_people("People by number of samples in a split", per_person),
        _histogram("Width of the face in the photo", drawn, widths, "pixels"),
        _histogram("Yaw of the head", drawn, yaws, "degrees, positive to the right edge"),
        _histogram("Share of the crop that the mask covers", drawn, covered, "per cent"),
        _histogram("Sharpness", drawn, sharpness, "variance of the Laplacian, logarithmic", logarithmic=True),
    ]
    return [chart for chart in charts if chart.most]


def _of_names(title: str, counts: Mapping[str, int]) -> Chart:
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    shown, others = ordered[:MOST_BARS], ordered[MOST_BARS:]
    if others:
        shown.append((f"{len(others):,} others", sum(count for _, count in others)))
    return Chart(title, "", _bars(shown))


def _of_people(title: str, samples: Iterable[int]) -> Chart:
    """Count people by their number of samples. Empty rows at both ends are left out."""
    counts = Counter(bisect_right(_PER_PERSON, value) - 1 for value in samples)
    labels = [f"{low:,}" if high - low == 1 else f"{low:,}–{high - 1:,}" for low, high in pairwise(_PER_PERSON)]
    labels.append(f"{_PER_PERSON[-1]:,} or more")
    rows = range(min(counts, default=0), max(counts, default=-1) + 1)
    return Chart(title, "", _bars([(labels[row], counts[row]) for row in rows]))


def _histogram(title: str, note: str, values: Sequence[float], unit: str, *, logarithmic: bool = False) -> Chart:
    """Count values in bins of one width, which depends on the values.

    Args:
        values: finite.
        unit: of the values.
        logarithmic: bins are of one width on a logarithmic axis; values below 1 are in the first bin.
    """
    if not values:
        return Chart(title, note, (), unit)
    values = [min(max(value, -_LARGEST), _LARGEST) for value in values]
    edges = _log_edges(values) if logarithmic else _even_edges(values)
    counts = Counter(min(max(bisect_right(edges, value) - 1, 0), len(edges) - 2) for value in values)
    labels = [f"{_number(low)} to {_number(high)}" for low, high in pairwise(edges)]
    bars = _bars([(label, counts[number]) for number, label in enumerate(labels)])
    return Chart(title, note, bars, unit, (_log_ticks if logarithmic else _even_ticks)(edges))


def _even_edges(values: Sequence[float]) -> list[float]:
    low, high = min(values), max(values)
    wide = max(high - low, 1.0) / (_BINS - 1)  # one bin is left for rounding at both ends
    wide = max(wide, max(abs(low), abs(high)) * 2.0**-50)  # of large numbers, closer edges would be the same one
    tens = 10.0 ** math.floor(math.log10(wide))
    step = max(1.0, next(tens * factor for factor in (1, 2, 5, 10) if tens * factor >= wide))
    first = math.floor(low / step)
    return [step * number for number in range(first, max(math.floor(high / step), first) + 2)]


def _log_edges(values: Sequence[float]) -> list[float]:
    low, high = (math.floor(math.log10(max(value, 1.0))) for value in (min(values), max(values)))
    decades = high - low + 1
    if decades > _MOST_DECADES:
        every = math.ceil(decades / _BINS)
        return [10.0**tens for tens in (*range(low, high + 1, every), high + 1)]
    edges = [factor * 10.0**tens for tens in range(low, high + 2) for factor in _PER_DECADE]
    first = max(bisect_right(edges, min(values)) - 1, 0)
    last = max(bisect_right(edges, max(values)), first + 1)
    return edges[first : last + 1]


def _even_ticks(edges: Sequence[float]) -> tuple[Tick, ...]:
    """Labels at multiples of a round number of bins."""
    step = edges[1] - edges[0]
    every = next(every for every in (1, 2, 4, 5, 10) if len(edges) <= _TICKS * every)
    first = round(edges[0] / step)
    return _ticks(edges, [edge for number, edge in enumerate(edges, first) if number % every == 0])


def _log_ticks(edges: Sequence[float]) -> tuple[Tick, ...]:
    """Labels at 1, 2, 5, 10 and so on, or at some powers of ten if these are too many."""
    leading = {edge: edge / 10.0 ** math.floor(math.log10(edge)) for edge in edges}
    some = [edge for edge in edges if leading[edge] in (1, 2, 5)]
    if len(some) > _TICKS:
        some = [edge for edge in edges if leading[edge] == 1]
    return _ticks(edges, some[:: math.ceil(len(some) / _TICKS) or 1])


def _ticks(edges: Sequence[float], labelled: Sequence[float]) -> tuple[Tick, ...]:
    return tuple(Tick(_number(edge), round(100 * edges.index(edge) / (len(edges) - 1), 2)) for edge in labelled)


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) < 1e6 else f"{value:.0e}"


def _bars(counts: Sequence[tuple[str, int]]) -> tuple[Bar, ...]:
    most = max((count for _, count in counts), default=0) or 1
    return tuple(Bar(label, count, round(100 * count / most, 2)) for label, count in counts)
