"""Assign photos to splits."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby

from faceloom.schemas.keys import digest, unit_interval
from faceloom.schemas.recipe import Split

LOPSIDED = 0.1
"""A split is lopsided if its share of the photos differs by more than this from the recipe's."""


def assign_splits(split: Split, seed: int, photos: Iterable[tuple[str, str, str | None]]) -> list[str | None]:
    """Assign each photo to a split.

    With `identity` and `source` the split of a photo does not depend on other photos, so later photos change nothing.
    `per_identity` takes a share of each person's photos, so it depends on that person's other photos. The share is
    exact to less than one photo; the fraction is rounded up or down by a draw per person, so that the share also holds
    over many people with few photos and over photos without an identity.

    Args:
        split: the recipe's `split`.
        seed: the recipe's.
        photos: for each photo its group (a person), its sha256, and the source's own split.

    Returns:
        One split per photo, in order; None if the recipe splits by source and the source has no split for the photo.
    """
    if split.by == "source":
        return [own for _, _, own in photos]
    if split.by == "identity":
        return [_by_share(split, unit_interval("split", seed, group)) for group, _, _ in photos]
    share, photos = split.per_identity or 0.0, list(photos)
    result: list[str | None] = [None] * len(photos)
    ranked = sorted(range(len(photos)), key=lambda i: (photos[i][0], digest("split", seed, photos[i][1])))
    for group, members in groupby(ranked, key=lambda i: photos[i][0]):
        order = list(members)
        train = math.floor(share * len(order) + unit_interval("per_identity", seed, group))
        for rank, index in enumerate(order):
            result[index] = "train" if rank < train else "test"
    return result


def lopsided_splits(
    split: Split,
    photos: Sequence[int],
    together: Sequence[str | None],
    apart: Sequence[str | None],
    linked: Mapping[str, str],
) -> tuple[str, ...]:
    """Warn of splits whose size is far from the recipe's, because people who share photos share a split.

    Args:
        split: the recipe's `split`, by identity.
        photos: number of photos of each group.
        together: the split of each group.
        apart: the split that each group would have alone.
        linked: the chain of each person who shares a photo, by name.
    """
    total = max(1, sum(photos))
    sizes, alone = (_sizes(sides, photos) for sides in (together, apart))
    off = [
        f"{name} has {sizes[name] / total:.0%} of the photos instead of {share:.0%}"
        for name, share in split.shares.items()
        if abs(sizes[name] / total - share) > max(LOPSIDED, abs(alone[name] / total - share))
    ]
    if not off:
        return ()
    (_, people), *_ = Counter(linked.values()).most_common(1)
    what = (
        f"people who share a photo are in one split, also through chains of photos; the longest has {people:,} people"
    )
    remedy = "Another `seed` may help, or leaving out photos of many people"
    return (f"{what}. So {', '.join(off)}. {remedy}",)


def _sizes(sides: Sequence[str | None], photos: Sequence[int]) -> Counter[str | None]:
    sizes: Counter[str | None] = Counter()
    for side, count in zip(sides, photos, strict=True):
        sizes[side] += count
    return sizes


def _by_share(split: Split, draw: float) -> str:
    for name, share in split.shares.items():
        draw -= share
        if draw < 0:
            return name
    return next(reversed([name for name, share in split.shares.items() if share > 0]))


def empty_splits(split: Split, faces: int, people: int, full: Iterable[str], *, named: bool = True) -> tuple[str, ...]:
    """Warn of splits that the recipe asks for and that get no face.

    Args:
        split: the recipe's `split`.
        faces: number of faces.
        people: number of their identities.
        full: the splits that have faces.
        named: whether the sources name a person; otherwise each photo counts as one.

    Returns:
        A warning with the reason for each empty split; none if there are no faces at all.
    """
    if not faces or split.by == "source":
        return ()
    held = set(full)
    if split.by == "identity":
        wanted = {name: share for name, share in split.shares.items() if share > 0}
        why = f"each person is assigned to a split by hash, and none of {people:,} to this one"
        remedy = "More people, another `seed` or `split: {per_identity: 0.7}` may fill it"
        if not named:
            why = f"no source names people, so each photo goes to a split by hash, and none of {people:,} to this one"
            remedy = "More photos or another `seed` may fill it"
    else:
        share = split.per_identity or 0.0
        wanted = {"train": share, "test": 1 - share}
        why = f"each person's photos are divided by hash, and none of {faces:,} is in this one"
        remedy = "More photos or another `seed` may fill it"
    return tuple(
        f"split {name} ({share:.0%}) gets no sample: {why}. {remedy}"
        for name, share in wanted.items()
        if name not in held
    )
