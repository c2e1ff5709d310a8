"""Which side of the split each photo falls on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby

from faceloom.schemas.keys import digest, unit_interval
from faceloom.schemas.recipe import Split


def assign_splits(split: Split, seed: int, photos: Sequence[tuple[str, str, str | None]]) -> list[str | None]:
    """Assign each photo to a split.

    `identity` and `source` decide each photo by itself, so photos that come later change nothing. `per_identity` takes
    a share of each person's photos, so it depends on that person's other photos. It is exact to less than one photo;
    whether the broken photo falls to train or to test is drawn by person, so that over many people with few photos, and
    over photos without a name, the share holds too.

    Args:
        split: how to divide.
        seed: the recipe's.
        photos: for each photo its group (a person), its sha256, and the source's own split.

    Returns:
        One split per photo, in order; None where the recipe goes by the source and the source says nothing.
    """
    if split.by == "source":
        return [own for _, _, own in photos]
    if split.by == "identity":
        return [_by_share(split, unit_interval("split", seed, group)) for group, _, _ in photos]
    share = split.per_identity or 0.0
    result: list[str | None] = [None] * len(photos)
    ranked = sorted(range(len(photos)), key=lambda i: (photos[i][0], digest("split", seed, photos[i][1])))
    for group, members in groupby(ranked, key=lambda i: photos[i][0]):
        order = list(members)
        train = math.floor(share * len(order) + unit_interval("per_identity", seed, group))
        for rank, index in enumerate(order):
            result[index] = "train" if rank < train else "test"
    return result


def _by_share(split: Split, draw: float) -> str:
    for name, share in split.shares.items():
        draw -= share
        if draw < 0:
            return name
    return next(reversed([name for name, share in split.shares.items() if share > 0]))
