"""Pairs without leaks, thresholds of the other folds, ranks in a gallery."""

from __future__ import annotations

import tracemalloc
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceloom.pipelines.evaluation.recognition import (
    Pairs,
    best_threshold,
    draw_pairs,
    gallery_of,
    numbered_pairs,
    partners,
    ranks_of,
    verified,
)
from faceloom.schemas.errors import FaceloomError

PEOPLE = [f"person {number % 8}" for number in range(32)]


def test_folds_share_no_person_and_half_of_the_pairs_are_the_same() -> None:
    pairs = draw_pairs(PEOPLE)
    seen = [
        {PEOPLE[number] for number in (*pairs.first[pairs.fold == fold], *pairs.second[pairs.fold == fold])}
        for fold in range(4)
    ]
    assert sum(map(len, seen)) == 8 == len(set().union(*seen))
    for first, second, same in zip(pairs.first, pairs.second, pairs.same, strict=True):
        assert (PEOPLE[first] == PEOPLE[second]) == same and first != second
    assert pairs.same.mean() == 0.5 and len(pairs.same) == 8 * 6 * 2
    again = draw_pairs(PEOPLE)
    assert np.array_equal(pairs.first, again.first) and np.array_equal(pairs.second, again.second)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=12))
def test_numbers_of_pairs_name_each_pair_once(people: list[int]) -> None:
    person = np.array(sorted(people))
    alike, other = partners(person)
    ends = np.searchsorted(person, person, side="right")
    found = []
    for counts, start, same in ((alike, np.arange(len(person)) + 1, True), (other, ends, False)):
        first, second = numbered_pairs(np.arange(counts.sum()), counts, start)
        assert ((person[first] == person[second]) == same).all()
        found += list(zip(first.tolist(), second.tolist(), strict=True))
    assert sorted(found) == list(combinations(range(len(person)), 2))


def test_pairs_of_many_pictures_take_little_memory() -> None:
    """A person with 20,000 pictures has 200 million pairs."""
    people = ["Ada"] * 20_000 + ["Bob"] * 20_000 + ["Cem"] * 3 + ["Dan"] * 3
    tracemalloc.start()
    pairs = draw_pairs(people)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 40e6 and pairs.same.mean() == 0.5
    assert len({*zip(pairs.first.tolist(), pairs.second.tolist(), strict=True)}) == len(pairs.first)


@pytest.mark.parametrize("people", [["Ada", "Ada", "Bob"], ["Ada", "Bob", "Cem", "Dan"]])
def test_too_few_people_are_an_error(people: list[str]) -> None:
    with pytest.raises(FaceloomError, match="too few pairs of pictures of one person"):
        draw_pairs(people)


def test_the_best_threshold_lies_between_both_kinds() -> None:
    alike, same = np.array([0.9, 0.2, 0.8, 0.3]), np.array([True, False, True, False])
    assert best_threshold(alike, same) == pytest.approx(0.55)
    assert best_threshold(alike, ~same) in (pytest.approx(1.4), pytest.approx(-0.3))
    assert best_threshold(np.array([0.5, 0.5, 0.1]), np.array([True, False, False])) != 0.5


def test_a_fold_has_no_say_in_its_own_threshold() -> None:
    same = np.array([True, False, True, False])
    pairs = Pairs(np.arange(4), np.arange(4), same, np.array([0, 0, 1, 1]))
    # The second fold needs a threshold below 0.2, and gets that of the first fold.
    right = verified(np.array([0.9, 0.3, 0.2, 0.1]), pairs)
    assert right.tolist() == [True, False, False, True]


def test_the_first_picture_of_each_person_is_the_gallery() -> None:
    gallery, probes = gallery_of(["Bob", "Ada", "Bob", "Ada", "Cem"])
    assert (gallery.tolist(), probes.tolist()) == ([0, 1, 4], [2, 3])


def test_ranks_count_better_and_equal_strangers() -> None:
    alike = np.array([[0.9, 0.5, 0.1], [0.5, 0.5, 0.1], [0.1, 0.9, 0.1]])
    assert ranks_of(alike, ["Ada", "Bob", "Dan"], ["Ada", "Bob", "Cem"]).tolist() == [1, 2, 0]
    assert ranks_of(alike[:1], ["Cem"], ["Ada", "Bob", "Cem"]).tolist() == [3]
    # A distractor has no person that a probe could show.
    assert ranks_of(alike[:1], ["Bob"], ["", "Bob", "Bob"]).tolist() == [2]


def test_features_that_are_no_numbers_have_the_last_rank() -> None:
    alike = np.full((2, 3), np.nan, np.float32)
    assert ranks_of(alike, ["a", "b"], ["a", "b", "c"]).tolist() == [3, 3]
