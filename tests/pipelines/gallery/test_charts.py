"""Charts of a gallery."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

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
    return {chart.title.partition(",")[0]: chart for chart in make_charts(overview, shown)}


def counts(chart: Chart) -> dict[str, int]:
    return {bar.label: bar.count for bar in chart.bars}


def test_all_samples_are_counted_by_name_the_most_first() -> None:
    found = charts()
    assert list(counts(found["Samples by split"]).items()) == [("train", 30), ("test", 10)]
    assert [bar.share for bar in found["Samples by split"].bars] == [100.0, 33.33]
    assert counts(found["People by split"]) == {"train": 2, "test": 1}
    assert counts(found["Samples per person and split"]) == {"2": 1, "3–4": 0, "5–9": 0, "10–19": 1, "20–49": 1}


def test_figures_are_those_of_the_samples_shown() -> None:
    low = replace(SHOWN, yaw=-95.0, face_width=100.0, covered=0.2, sharpness=30.0)
    high = replace(SHOWN, yaw=4.9, face_width=5000.0, covered=0.99)
    found = charts(OVERVIEW, low, high, SHOWN)
    yaw = counts(found["Yaw of the head"])
    assert yaw["-90 to -60"] == 1 and yaw["-5 to 5"] == 1 and sum(yaw.values()) == 2
    assert next(iter(yaw)) == "-90 to -60" and list(yaw)[-1] == "-5 to 5"
    assert counts(found["Width of the face in the photo"])["1,024 or more"] == 1
    assert counts(found["Share of the crop that the mask covers"])["20 to 30"] == 1
    assert counts(found["Sharpness"]) == {"25 to 50": 1}
    assert found["Sharpness"].note == "of the 3 samples shown"


def test_what_was_not_measured_has_no_chart() -> None:
    assert not {"Sharpness", "Yaw of the head"} & set(charts(OVERVIEW, SHOWN))
    assert make_charts(Overview(Counter(), Counter(), Counter(), {}, ()), []) == []


def test_many_names_become_one_bar() -> None:
    many = replace(OVERVIEW, by_mask=Counter({f"m{n:03d}": 2 for n in range(100)}))
    bars = charts(many)["Samples by mask"].bars
    assert len(bars) == MOST_BARS + 1 and bars[-1].label == "84 others" and bars[-1].count == 168
