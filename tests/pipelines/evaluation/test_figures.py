"""Figures: means and medians over pictures, and intervals over people."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from statistics import mean, median

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceloom.models.metrics import Scores
from faceloom.pipelines.evaluation import figures as evaluation_figures
from faceloom.pipelines.evaluation.figures import METRICS, Figure, Row

GOOD = Scores(mse=0.01, psnr=20, ssim=0.9, iou=0.8, detail=50, target_detail=100, changed=2)
numbers = st.lists(st.floats(0, 100), min_size=1, max_size=30)


def make_row(name: str, scores: Sequence[Scores | None], people: Sequence[str]) -> Row:
    """A row of pictures of one person each, or of two with a + between them."""
    return evaluation_figures.make_row(name, scores, [frozenset(person.split("+")) for person in people])


def scored(**changes: float) -> Scores:
    return replace(GOOD, **changes)


def test_a_row_holds_every_metric() -> None:
    row = make_row("net", [GOOD, GOOD], ["a", "b"])
    assert (row.name, row.samples, row.missing) == ("net", 2, 0)
    assert {name: figure.value for name, figure in row.figures.items()} == {
        "mse": 0.01, "psnr": 20, "ssim": pytest.approx(0.9), "iou": pytest.approx(0.8), "sharpness": 0.5, "changed": 2,
    }  # fmt: skip


def test_names_and_heads_tell_metrics_apart() -> None:
    assert len({metric.name for metric in METRICS}) == len({metric.head for metric in METRICS}) == len(METRICS)


@given(numbers)
def test_the_figure_is_the_mean_of_pictures(values: list[float]) -> None:
    people = [str(number % 4) for number in range(len(values))]
    figure = make_row("net", [scored(mse=value) for value in values], people).figures["mse"]
    assert figure.value == pytest.approx(mean(values), abs=1e-9)


@given(numbers)
def test_sharpness_is_the_median_of_ratios(values: list[float]) -> None:
    scores = [scored(detail=value, target_detail=2) for value in values]
    people = [str(number % 4) for number in range(len(values))]
    assert make_row("net", scores, people).figures["sharpness"].value == pytest.approx(median(values) / 2, abs=1e-9)


@given(numbers)
def test_the_order_of_pictures_does_not_matter(values: list[float]) -> None:
    scores, people = [scored(mse=value, detail=value) for value in values], [str(n % 3) for n in range(len(values))]
    ahead, back = make_row("net", scores, people), make_row("net", scores[::-1], people[::-1])
    for metric in METRICS:
        one, other = ahead.figures[metric.name], back.figures[metric.name]
        assert (one.value, one.low, one.high) == tuple(
            value if value is None else pytest.approx(value) for value in (other.value, other.low, other.high)
        )


def test_equal_pictures_leave_no_doubt() -> None:
    figure = make_row("net", [GOOD] * 8, list("abcdabcd")).figures["psnr"]
    assert (figure.value, figure.low, figure.high) == (20, 20, 20)


def test_the_interval_is_about_two_standard_errors_to_each_side() -> None:
    values = np.random.default_rng(0).normal(50, 10, 400)
    figure = make_row("net", [scored(mse=value) for value in values], [str(n) for n in range(400)]).figures["mse"]
    assert figure.value and figure.low and figure.high
    assert figure.value - figure.low == pytest.approx(1.96 * 10 / 20, rel=0.15)
    assert figure.high - figure.value == pytest.approx(1.96 * 10 / 20, rel=0.15)


def test_more_pictures_of_the_same_people_say_no_more() -> None:
    values = [10, 20, 30, 40, 50, 60]
    scores, people = [scored(mse=value) for value in values], list("abcdef")
    once, often = make_row("net", scores, people), make_row("net", scores * 20, people * 20)
    few, many = once.figures["mse"], often.figures["mse"]
    assert many.value == few.value and many.low == few.low and many.high == few.high


def test_one_person_gives_no_interval() -> None:
    assert make_row("net", [scored(mse=1), scored(mse=3)], ["a", "a"]).figures["mse"] == Figure(2, None, None)


def test_pictures_that_were_not_masked_are_counted_and_left_out() -> None:
    row = make_row("net", [scored(mse=1), None, scored(mse=3), None], list("abcd"))
    assert (row.samples, row.missing) == (2, 2) and row.figures["mse"].value == 2


def test_a_method_that_masks_nothing_has_no_figures() -> None:
    row = make_row("net", [None, None], ["a", "b"])
    assert row.missing == 2 and set(row.figures.values()) == {Figure(None, None, None)}


def test_what_cannot_be_measured_is_left_out_of_its_own_column_only() -> None:
    blank = scored(detail=math.nan, target_detail=math.nan, mse=1)
    flat = scored(detail=7, target_detail=0, mse=1)
    row = make_row("net", [blank, flat, scored(mse=1)], list("abc"))
    assert row.figures["sharpness"] == Figure(0.5, None, None)
    assert row.figures["mse"].value == 1 and row.samples == 3
    assert make_row("net", [blank], ["a"]).figures["sharpness"] == Figure(None, None, None)


def test_intervals_repeat() -> None:
    scores, people = [scored(mse=value) for value in range(10)], [str(number % 5) for number in range(10)]
    assert make_row("net", scores, people) == make_row("net", scores, people)


def test_morphs_say_no_more_than_the_people_they_are_made_of() -> None:
    rng = np.random.default_rng(0)
    own = {f"p{number:02d}": value for number, value in enumerate(rng.normal(50, 10, 40))}
    pairs = list(combinations(own, 2))
    scores = [scored(mse=own[one] + own[other]) for one, other in pairs]
    figure = make_row("net", scores, [f"{one}+{other}" for one, other in pairs]).figures["mse"]
    assert figure.value and figure.low and figure.high
    # The mean over all pairs is twice that over people. As if each pair were somebody, it would be a quarter as wide.
    assert figure.high - figure.low == pytest.approx(2 * 1.96 * 2 * np.std(list(own.values())) / math.sqrt(40), rel=0.2)


def test_a_morph_counts_with_both_of_its_people() -> None:
    row = make_row("net", [scored(mse=1), scored(mse=2), scored(mse=9)], ["a", "b", "a+b"])
    figure = row.figures["mse"]
    # Of two people either both are drawn, and all three pictures count, or one is twice, and the morph does not.
    assert (figure.value, figure.low, figure.high) == (4, 1, 4)
    same = make_row("net", [scored(mse=1), scored(mse=2), scored(mse=9)], ["a", "b", "b+a"])
    assert same.figures["mse"] == figure


@pytest.mark.parametrize("sharp", [True, False])
def test_one_morph_gives_no_interval_and_two_do(sharp: bool) -> None:
    name = "sharpness" if sharp else "mse"
    one, two = (scored(mse=value, detail=value, target_detail=1) for value in (1, 3))
    assert make_row("net", [one, two], ["a+b", "a+b"]).figures[name] == Figure(2, None, None)
    figure = make_row("net", [one, two], ["a+b", "a+c"]).figures[name]
    assert (figure.value, figure.low, figure.high) == (2, 1, 3)
