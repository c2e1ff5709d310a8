"""Leaves hold every item once, keep to the limit, and stay as they are when an item is added elsewhere."""

from __future__ import annotations

from bisect import bisect_left, insort
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceloom.pipelines.plan.prefix_tree import Leaf, leaves

BITS = 10
places = st.lists(st.integers(0, 2**BITS - 1), max_size=60).map(sorted)
limits = st.integers(1, 12)


def cut(items: list[int], limit: int, weights: list[int] | None = None, root: Leaf | None = None) -> list[Leaf]:
    return list(leaves(items, weights or [1] * len(items), limit, bits=BITS, root=root))


def contents(items: list[int], found: list[Leaf]) -> dict[tuple[int, int], list[int]]:
    return {(leaf.prefix, leaf.length): items[leaf.start : leaf.stop] for leaf in found}


def spans(leaf: Leaf) -> range:
    """Places that fall into a leaf."""
    below = BITS - leaf.length
    return range(leaf.prefix << below, (leaf.prefix + 1) << below)


@given(places, limits)
def test_leaves_hold_every_item_once_and_in_order(items: list[int], limit: int) -> None:
    found = cut(items, limit)
    assert [index for leaf in found for index in range(leaf.start, leaf.stop)] == list(range(len(items)))
    assert all(leaf.start < leaf.stop for leaf in found)
    assert all(items[index] in spans(leaf) for leaf in found for index in range(leaf.start, leaf.stop))
    assert all(spans(one).stop <= spans(other).start for one, other in pairwise(found))


@given(
    places.flatmap(lambda p: st.tuples(st.just(p), st.lists(st.integers(0, 9), min_size=len(p), max_size=len(p)))),
    limits,
)
def test_no_leaf_is_over_the_limit_unless_it_is_one_place(data: tuple[list[int], list[int]], limit: int) -> None:
    items, weights = data
    for leaf in cut(items, limit, weights):
        heavy = sum(weights[leaf.start : leaf.stop]) > limit
        assert not heavy or len(set(items[leaf.start : leaf.stop])) == 1


@given(places, limits)
def test_items_of_one_place_stay_together(items: list[int], limit: int) -> None:
    homes = [items[leaf.start : leaf.stop] for leaf in cut(items, limit)]
    for place in set(items):
        assert sum(place in home for home in homes) == 1


@given(places, limits)
def test_a_cut_is_needed(items: list[int], limit: int) -> None:
    """No leaf is cut finer than the limit asks: its parent would be too heavy."""
    for leaf in cut(items, limit):
        if leaf.length:
            parent = spans(Leaf(0, 0, leaf.prefix >> 1, leaf.length - 1))
            assert sum(place in parent for place in items) > limit


@given(places, st.integers(0, 2**BITS - 1), limits)
def test_adding_an_item_changes_only_the_leaf_it_falls_into(items: list[int], new: int, limit: int) -> None:
    before = contents(items, cut(items, limit))
    grown = list(items)
    insort(grown, new)
    after = contents(grown, cut(grown, limit))
    lost = [leaf for leaf in before if before[leaf] != after.get(leaf)]
    gained = [leaf for leaf in after if after[leaf] != before.get(leaf)]
    assert len(lost) <= 1
    if lost:
        [(prefix, length)] = lost
        home = spans(Leaf(0, 0, prefix, length))
        assert new in home
        assert all(set(after[leaf]) <= set(home) for leaf in gained)
    else:
        assert [after[leaf] for leaf in gained] == [[new]]


@given(places, st.integers(1, BITS), limits)
def test_a_leaf_depends_on_what_shares_its_prefix_alone(items: list[int], length: int, limit: int) -> None:
    """Take away all but one subtree: what lies in it is cut as before, as far as it was cut there."""
    for prefix in {place >> (BITS - length) for place in items}:
        own = [place for place in items if place >> (BITS - length) == prefix]
        inside = [
            leaf
            for leaf in cut(items, limit)
            if leaf.length >= length and leaf.prefix >> (leaf.length - length) == prefix
        ]
        if inside:
            start = bisect_left(items, own[0])
            root = Leaf(start, start + len(own), prefix, length)
            assert cut(items, limit, root=root) == inside


@given(places, limits, st.integers(1, 5))
def test_a_finer_cut_of_each_leaf_is_a_finer_cut_of_the_whole(items: list[int], limit: int, finer: int) -> None:
    """Parts lie inside shards, and are those that would be there without shards."""
    coarse = cut(items, limit + finer)
    nested = [part for leaf in coarse for part in cut(items, limit, root=leaf)]
    assert nested == cut(items, limit)


@given(places, limits)
def test_weight_nought_costs_nothing(items: list[int], limit: int) -> None:
    assert cut(items, limit, [0] * len(items)) == ([Leaf(0, len(items), 0, 0)] if items else [])


@pytest.mark.parametrize(
    ("items", "limit", "named"),
    [
        ([], 1, []),
        ([5], 1, ["all"]),
        ([5, 5, 5], 1, ["all"]),
        ([0, 2**BITS - 1], 1, ["0", "1"]),
        ([0, 1, 2**BITS - 1], 1, ["0" * BITS, "0" * (BITS - 1) + "1", "1"]),
        ([0, 1, 2**BITS - 1], 2, ["0", "1"]),
        ([512, 513, 514, 515], 2, ["100000000", "100000001"]),
    ],
)
def test_examples(items: list[int], limit: int, named: list[str]) -> None:
    found = [f"{leaf.prefix:0{leaf.length}b}" if leaf.length else "all" for leaf in cut(items, limit)]
    assert found == named


def test_places_of_96_bits_and_many_items_are_cut_quickly() -> None:
    many = sorted((number * 0x9E3779B97F4A7C15F39CC060) % 2**96 for number in range(50_000))
    found = list(leaves(many, [1] * len(many), 100, bits=96))
    assert sum(leaf.stop - leaf.start for leaf in found) == len(many)
    assert max(leaf.stop - leaf.start for leaf in found) <= 100
