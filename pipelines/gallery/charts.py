"""Distributions of a gallery as charts of bars."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from faceloom.pipelines.gallery.overview import Overview
from faceloom.pipelines.gallery.thumbnails import Shown

MOST_BARS = 16
"""Bars of a chart of names; the others become one bar."""
_WIDTHS = (0, 32, 64, 96, 128, 192, 256, 384, 512, 768, 1024)
_YAWS = (-90, -60, -45, -30, -15, -5, 5, 15, 30, 45, 60)
_COVERED = (0, 10, 20, 30, 40, 50, 60, 70)
_SHARPNESS = (0, 25, 50, 100, 200, 400, 800, 1600, 3200, 6400)
_PER_PERSON = (1, 2, 3, 5, 10, 20, 50, 100, 1000)


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: its label, its number, and the number as a share of the largest one in per cent."""

    label: str
    count: int
    share: float


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart.

    Attributes:
        title: what it counts.
        note: of what; empty if the title suffices.
    """

    title: str
    note: str
    bars: tuple[Bar, ...]


def make_charts(overview: Overview, shown: Sequence[Shown]) -> list[Chart]:
    """Return the charts of a gallery; those without any number are left out.

    Args:
        overview: the counts of all samples.
        shown: samples whose pictures were measured.
    """
    people = {split: len(of_split) for split, of_split in overview.people.items()}
    per_person = [count for of_split in overview.people.values() for count in of_split.values()]
    drawn = f"of the {len(shown):,} samples shown"
    charts = [
        _of_names("Samples by split", overview.by_split),
        _of_names("People by split", people),
        _of_names("Samples by mask", overview.by_mask),
        _of_names("Samples by source", overview.by_source),
        _histogram("Samples per person and split", "", per_person, _PER_PERSON, whole=True),
        _histogram("Width of the face in the photo, pixels", drawn, [s.face_width for s in shown], _WIDTHS),
        _histogram("Yaw of the head, degrees", drawn, [s.yaw for s in shown], _YAWS),
        _histogram(
            "Share of the crop that the mask covers, per cent",
            drawn,
            [None if s.covered is None else 100 * s.covered for s in shown],
            _COVERED,
        ),
        _histogram("Sharpness, variance of the Laplacian", drawn, [s.sharpness for s in shown], _SHARPNESS),
    ]
    return [chart for chart in charts if any(bar.count for bar in chart.bars)]


def _of_names(title: str, counts: Mapping[str, int]) -> Chart:
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    shown, others = ordered[:MOST_BARS], ordered[MOST_BARS:]
    if others:
        shown.append((f"{len(others):,} others", sum(count for _, count in others)))
    return Chart(title, "", _bars(shown))


def _histogram(
    title: str, note: str, values: Sequence[float | None], edges: Sequence[int], *, whole: bool = False
) -> Chart:
    """Count values between edges. The first bar has those below it too, and the last those above it.

    Empty bars before the first value and after the last are left out.

    Args:
        whole: values are whole numbers, so that `2-4` names a bar.
    """
    counts = Counter(max(0, bisect_right(edges, value) - 1) for value in values if value is not None)
    labels = [
        (str(low) if high - low == 1 else f"{low:,}–{high - 1:,}") if whole else f"{low:,} to {high:,}"
        for low, high in pairwise(edges)
    ]
    labels.append(f"{edges[-1]:,} or more")
    first, last = min(counts, default=0), max(counts, default=-1)
    return Chart(title, note, _bars([(labels[number], counts[number]) for number in range(first, last + 1)]))


def _bars(counts: Sequence[tuple[str, int]]) -> tuple[Bar, ...]:
    most = max((count for _, count in counts), default=0) or 1
    return tuple(Bar(label, count, round(100 * count / most, 2)) for label, count in counts)
