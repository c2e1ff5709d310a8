"""Sheets: which people they show, and that every picture stands in its place, pixel by pixel."""

from __future__ import annotations

import random
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceloom.pipelines.evaluation.sheet import CELL, EMPTY, GAP, HEAD, draw_grid, pick_shown

samples = st.lists(st.sampled_from("abcdef"), max_size=30).map(
    lambda people: [(f"{number:03d}", person) for number, person in enumerate(people)]
)


@given(samples, st.integers(0, 40))
def test_as_many_as_there_are_and_no_one_twice_before_all_came_once(some: list[tuple[str, str]], count: int) -> None:
    shown = pick_shown(some, count)
    assert len(shown) == len(set(shown)) == min(count, len(some))
    seen = Counter(dict(some)[key] for key in shown)
    there = Counter(person for _, person in some)
    most = max(seen.values(), default=0)
    assert all(seen[person] >= min(most - 1, there[person]) for person in there)


@given(samples, st.randoms())
def test_the_order_in_which_samples_come_does_not_matter(some: list[tuple[str, str]], chance: random.Random) -> None:
    mixed = chance.sample(some, len(some))
    assert pick_shown(mixed, 7) == pick_shown(some, 7)


def test_those_shown_are_spread_over_the_split() -> None:
    many = [(f"{number:04d}", str(number)) for number in range(1000)]
    numbers = [int(key) for key in pick_shown(many, 40)]
    assert min(numbers) < 150 and max(numbers) > 850 and 350 < np.mean(numbers) < 650


def flat(level: int, side: int) -> np.ndarray:
    return np.full((side, side, 3), level, np.uint8)


def cell(sheet: np.ndarray, row: int, column: int, side: int) -> np.ndarray:
    top, left = HEAD + row * (side + GAP), column * (side + GAP)
    return sheet[top : top + side, left : left + side]


def test_pictures_stand_in_their_rows_and_columns() -> None:
    rows: list[list[np.ndarray | None]] = [
        [flat(10, CELL), flat(20, CELL)],
        [flat(30, CELL), None],
        [flat(50, CELL), flat(60, CELL)],
    ]
    sheet = draw_grid(["input", "net"], rows)
    assert sheet.shape == (HEAD + 3 * (CELL + GAP), 2 * CELL + GAP, 3) and sheet.dtype == np.uint8
    for number, row in enumerate(rows):
        for column, picture in enumerate(row):
            assert (cell(sheet, number, column, CELL) == (EMPTY if picture is None else picture)).all()


@pytest.mark.parametrize(("side", "factor"), [(16, 12), (64, 3), (100, 1), (192, 1), (256, 1)])
def test_small_pictures_are_enlarged_by_repeating_their_pixels(side: int, factor: int) -> None:
    picture = np.random.default_rng(side).integers(0, 256, (side, side, 3), np.uint8)
    shown = cell(draw_grid(["input"], [[picture]]), 0, 0, side * factor)
    assert np.array_equal(shown[factor // 2 :: factor, factor // 2 :: factor], picture)
    assert np.array_equal(shown, np.kron(picture, np.ones((factor, factor, 1), np.uint8)))


def test_the_name_of_a_row_is_above_its_pictures() -> None:
    sheet = draw_grid(["input"], [[flat(10, CELL)], [flat(30, CELL)]], ["a.jpg", "b.jpg"])
    assert sheet.shape == (HEAD + 2 * (HEAD + CELL + GAP), CELL, 3)
    for number, picture in enumerate((10, 30)):
        top = HEAD + number * (HEAD + CELL + GAP)
        assert (sheet[top + HEAD : top + HEAD + CELL] == picture).all()
        assert sheet[top : top + HEAD].min() < 100 < sheet[top : top + HEAD].mean(), "dark letters on white"


def test_crops_need_not_be_square() -> None:
    sheet = draw_grid(["a", "b"], [[np.zeros((112, 96, 3), np.uint8)] * 2])
    assert sheet.shape == (HEAD + 224 + GAP, 2 * 192 + GAP, 3)


def test_columns_are_named_and_long_names_stay_in_their_column() -> None:
    sheet = draw_grid(["input", "a name that is much too long to fit above its column", ""], [[flat(0, CELL)] * 3])
    head = sheet[:HEAD]
    assert all((head[:, at * (CELL + GAP) : at * (CELL + GAP) + CELL] < 128).any() for at in (0, 1))
    assert (head[:, 2 * CELL + GAP :] == 255).all()


def test_names_in_other_alphabets_are_not_question_marks() -> None:
    heads = [draw_grid([name], [[flat(0, CELL)]])[:HEAD] for name in ("Łucja", "Дмитрий", "?????")]
    assert all((head < 128).any() for head in heads)
    assert not any(np.array_equal(one, other) for one, other in pairwise(heads))
