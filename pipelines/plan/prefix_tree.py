"""Leaves of a prefix tree over sorted places. They divide photos into shards, and shards into parts."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Leaf:
    """Consecutive items that share a prefix.

    Attributes:
        start, stop: the items `start <= i < stop`.
        prefix: the bits that they share, as a number of `length` bits.
    """

    start: int
    stop: int
    prefix: int
    length: int


def leaves(
    places: Sequence[int],
    weights: Sequence[int] | npt.NDArray[np.integer],
    limit: int,
    *,
    bits: int,
    root: Leaf | None = None,
) -> Iterator[Leaf]:
    """Divide items into leaves: a leaf heavier than `limit` is split by its next bit, repeatedly.

    The leaf of an item depends only on the weight of its neighbours, so adding an item changes one leaf.
    Items of one place always stay together, however heavy.

    Args:
        places: ascending numbers of `bits` bits.
        weights: one per item, not negative.
        limit: heaviest leaf, unless a single place is heavier.
        bits: number of bits of a place.
        root: leaf to start from, such as a leaf of a coarser division; by default all items.

    Yields:
        Leaves that are not empty, in ascending order; together they hold every item once.
    """
    total = np.append(0, np.cumsum(weights, dtype=np.int64))
    waiting = [root or Leaf(0, len(places), 0, 0)]
    while waiting:
        leaf = waiting.pop()
        if leaf.start == leaf.stop:
            continue
        weight = total[leaf.stop] - total[leaf.start]
        if weight <= limit or leaf.length == bits or places[leaf.start] == places[leaf.stop - 1]:
            yield leaf
            continue
        upper = leaf.prefix << 1 | 1
        cut = bisect_left(places, upper << (bits - leaf.length - 1), leaf.start, leaf.stop)
        waiting.append(Leaf(cut, leaf.stop, upper, leaf.length + 1))
        waiting.append(Leaf(leaf.start, cut, leaf.prefix << 1, leaf.length + 1))
