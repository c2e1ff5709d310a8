"""Charts of a gallery."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from faceloom.pipelines.gallery.charts import MOST_BARS, Chart, make_charts
from faceloom.pipelines.gallery.overview import Drawn, Overview
from faceloom.pipelines.gallery.thumbnails import Shown

OVERVIEW = Overview(
    Counter(train=30, test=10), Counter(kn95=40), Counter(photos=40),
    {"train": Counter(Ada=28, Bob=2), "test": Counter(Ada=10)}, (),
)  # fmt: skip
SHOWN = Shown(
    Drawn(b"", 0, 0, "k", "train", "kn95", "s", ("Ada",), "", ""), 9, 9, "", "", "", (), None, None, None, None
)


def charts(overview: Overview = OVERVIEW, *shown: Shown) -> dict[str, Chart]:
    return {chart.title: chart for chart in make_charts(overview, shown)}


def counts(chart: Chart) -> dict[str, int]:
    return {bar.label: bar.count for bar in chart.bars}


def test_all_samples_are_counted_by_name_the_most_first() -> None:
    found = charts()
    assert list(counts(found["Samples by split"]).items()) == [("train", 30), ("test", 10)]
    assert [bar.share for bar in found["Samples by split"].bars] == [100.0, 33.33]
    assert counts(found["People by split"]) == {"train": 2, "test": 1}
    people = counts(found["People by number of samples in a split"])
    assert [label for label, count in people.items() if count] == ["2", "10–14", "20–29"]
    assert next(iter(people)) == "2" and list(people)[-1] == "20–29"


def test_figures_are_those_of_the_samples_shown() -> None:
    low = replace(SHOWN, yaw=-40.0, face_width=100.0, covered=0.2, sharpness=30.0)
    high = replace(SHOWN, yaw=4.9, face_width=480.0, covered=0.99)
    found = charts(OVERVIEW, low, high, SHOWN)
    yaw = found["Yaw of the head"]
    assert [bar.label for bar in yaw.bars if bar.count] == ["-40 to -38", "4 to 6"] and len(yaw.bars) == 23
    assert [tick.label for tick in yaw.ticks] == ["-40", "-32", "-24", "-16", "-8", "0"]
    assert yaw.ticks[0].at == 0 and yaw.ticks[5].at == round(100 * 20 / 23, 2) and yaw.unit.startswith("degrees")
    assert [bar.label for bar in found["Width of the face in the photo"].bars if bar.count] == [
        "100 to 120",
        "480 to 500",
    ]
    assert found["Sharpness"].note == "of the 3 samples shown" and counts(found["Sharpness"]) == {"30 to 50": 1}


@pytest.mark.parametrize("values", [[0.0], [1e-9, 1e9], [3.0, 3.0], [-179.9, 179.9], [1e300, 1.0], [7.0, 7.9]])
def test_each_value_is_in_one_of_a_few_bins(values: list[float]) -> None:
    for chart in charts(
        OVERVIEW, *(replace(SHOWN, yaw=value, sharpness=abs(value) % 1e7) for value in values)
    ).values():
        if chart.unit:
            assert sum(bar.count for bar in chart.bars) == len(values) and 1 <= len(chart.bars) <= 48
            assert len({bar.label for bar in chart.bars}) == len(chart.bars) or max(values) > 1e6
            assert len(chart.ticks) <= 7 and all(0 <= tick.at <= 100 for tick in chart.ticks)


@example([1e17, 1e17 + 64])
@example([1.7e308, -1.7e308])
@example([1e308, 1.0])
@example([5e-324, -5e-324])
@given(
    st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20)
    | st.builds(lambda value, count: [value] * count, st.floats(allow_nan=False, allow_infinity=False), st.just(3))
    | st.lists(st.floats(1e16, 1e16 + 999), min_size=1, max_size=5)
)
def test_any_finite_values_have_charts_of_a_few_bins(values: list[float]) -> None:
    shown = [replace(SHOWN, yaw=value, sharpness=value, face_width=value) for value in values]
    drawn = make_charts(Overview(Counter(), Counter(), Counter(), {}, ()), shown)
    assert len(drawn) == 3
    for chart in drawn:
        assert sum(bar.count for bar in chart.bars) == len(values) and 1 <= len(chart.bars) <= 48
        assert len(chart.ticks) <= 7 and all(0 <= tick.at <= 100 for tick in chart.ticks)
        assert not any("inf" in text for text in (*(bar.label for bar in chart.bars), *(t.label for t in chart.ticks)))


def test_values_that_are_no_finite_numbers_are_left_out() -> None:
    odd = [replace(SHOWN, yaw=value, face_width=value, sharpness=value) for value in (math.nan, math.inf, -math.inf)]
    assert not any(chart.unit for chart in charts(OVERVIEW, *odd).values())
    yaw = charts(OVERVIEW, *odd, replace(SHOWN, yaw=3.5))["Yaw of the head"]
    assert counts(yaw) == {"3 to 4": 1} and yaw.most == 1


def test_sharpness_has_bins_of_one_width_on_a_logarithmic_axis() -> None:
    sharp = charts(OVERVIEW, *(replace(SHOWN, sharpness=value) for value in (0.2, 12.0, 240.0, 999.0)))["Sharpness"]
    assert [bar.label for bar in sharp.bars if bar.count] == ["1 to 2", "10 to 15", "200 to 300", "700 to 1,000"]
    assert [tick.label for tick in sharp.ticks] == ["1", "10", "100", "1,000"]


def test_what_was_not_measured_has_no_chart() -> None:
    assert not {"Sharpness", "Yaw of the head"} & set(charts(OVERVIEW, SHOWN))
    assert make_charts(Overview(Counter(), Counter(), Counter(), {}, ()), []) == []


def test_many_names_become_one_bar() -> None:
    many = replace(OVERVIEW, by_mask=Counter({f"m{n:03d}": 2 for n in range(100)}))
    bars = charts(many)["Samples by mask"].bars
    assert len(bars) == MOST_BARS + 1 and bars[-1].label == "84 others" and bars[-1].count == 168
