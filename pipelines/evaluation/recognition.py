"""Face recognition from feature vectors: verification of pairs, and identification in a gallery."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faceloom.schemas.counted import counted
from faceloom.schemas.errors import FaceloomError
from faceloom.schemas.keys import seed_of

Floats = NDArray[np.floating]
Numbers = NDArray[np.int64]

FOLDS = 10
MOST_PAIRS = 3000
"""Of the same person in a fold, and as many of different people."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs of pictures, half of them of the same person.

    Attributes:
        first, second: positions of the pictures.
        same: whether they show the same person.
        fold: of each pair; no person is in two folds.
    """

    first: Numbers
    second: Numbers
    same: NDArray[np.bool_]
    fold: Numbers


def draw_pairs(people: list[str]) -> Pairs:
    """Draw pairs: in each fold all pairs of the same person, and as many of different people, by a fixed seed.

    As in LFW's protocol, folds share no person. With few people there are fewer than `FOLDS` folds, of at least two
    people each. Pairs are drawn by number, so memory grows with the pictures, not with their pairs.

    Args:
        people: of each picture.

    Raises:
        FaceloomError: there are fewer than two folds: fewer than four people, or nearly all have a single picture.
    """
    names = sorted(set(people), key=lambda name: seed_of(0, name, "fold"))
    count = max(1, min(FOLDS, len(names) // 2))
    rng = np.random.default_rng(0)
    person = np.unique(people, return_inverse=True)[1]
    fold_of = {name: position % count for position, name in enumerate(names)}
    folds = np.array([fold_of[name] for name in people])
    drawn: list[tuple[Numbers, bool, int]] = []
    for fold in range(count):
        pictures = np.flatnonzero(folds == fold)
        pictures = pictures[np.argsort(person[pictures], kind="stable")]
        alike, other = partners(person[pictures])
        number = min(int(alike.sum()), int(other.sum()), MOST_PAIRS)
        ends = np.searchsorted(person[pictures], person[pictures], side="right")
        for kind, counts, start in ((True, alike, np.arange(len(pictures)) + 1), (False, other, ends)):
            if number:
                chosen = np.sort(rng.choice(int(counts.sum()), number, replace=False))
                first, second = numbered_pairs(chosen, counts, start)
                drawn.append((np.stack([pictures[first], pictures[second]]), kind, fold))
    if len({fold for _, _, fold in drawn}) < 2:
        what, remedy = "the split holds too few pairs of pictures of one person", "Evaluate at least four people"
        raise FaceloomError(
            what, value=f"{counted(len(names), 'person', 'people')}, {counted(len(people), 'picture')}", remedy=remedy
        )
    first, second = np.concatenate([pairs for pairs, _, _ in drawn], axis=1)
    lengths = [pairs.shape[1] for pairs, _, _ in drawn]
    kinds, numbers = np.array([kind for _, kind, _ in drawn]), np.array([fold for _, _, fold in drawn])
    return Pairs(first, second, np.repeat(kinds, lengths), np.repeat(numbers, lengths))


def partners(person: Numbers) -> tuple[Numbers, Numbers]:
    """How many of the pictures behind each one show the same person, and how many another one.

    Args:
        person: in each picture, ascending.
    """
    ends = np.searchsorted(person, person, side="right")
    return ends - np.arange(len(person)) - 1, len(person) - ends


def numbered_pairs(numbers: Numbers, counts: Numbers, start: Numbers) -> tuple[Numbers, Numbers]:
    """The pairs of some numbers, as if all pairs were listed by their first picture; they are not.

    Args:
        numbers: of pairs, from 0.
        counts: pairs of each first picture.
        start: the second picture of its first pair; those of the others follow.
    """
    before = np.cumsum(counts) - counts
    first = np.searchsorted(before + counts, numbers, side="right")
    return first, start[first] + numbers - before[first]


def verified(alike: Floats, pairs: Pairs) -> NDArray[np.bool_]:
    """Whether each pair is judged rightly by the threshold that judges most pairs of the other folds rightly.

    Args:
        alike: similarity of each pair.
        pairs: from `draw_pairs`.
    """
    right = np.zeros(len(alike), bool)
    for fold in np.unique(pairs.fold):
        mine = pairs.fold == fold
        limit = best_threshold(alike[~mine], pairs.same[~mine])
        right[mine] = (alike[mine] >= limit) == pairs.same[mine]
    return right


def best_threshold(alike: Floats, same: NDArray[np.bool_]) -> float:
    """The threshold at or above which pairs count as the same person, halfway between two similarities."""
    order = np.argsort(-alike, kind="stable")
    values = np.concatenate([[alike.max() + 1], alike[order], [alike.min() - 1]])
    # With the first n pairs above the threshold: the same person among them, and different people below it.
    right = np.concatenate([[0], np.cumsum(np.where(same[order], 1, -1))]) + (~same).sum()
    right[1:-1][np.diff(alike[order]) == 0] = -1  # no threshold lies between equal values
    best = int(right.argmax())
    return float((values[best] + values[best + 1]) / 2)


def gallery_of(people: list[str]) -> tuple[Numbers, Numbers]:
    """Positions of the gallery, the first picture of each person, and of the probes, their other pictures."""
    first = {name: number for number, name in reversed(list(enumerate(people)))}
    gallery = sorted(first.values())
    return np.array(gallery, np.int64), np.array(sorted(set(range(len(people))) - set(gallery)), np.int64)


def ranks_of(alike: Floats, probes: list[str], gallery: list[str]) -> Numbers:
    """Rank of the first right picture for each probe, from 1; ties and NaN count against it. 0 without the person.

    Args:
        alike: similarity, (probes, gallery).
        probes, gallery: people.
    """
    names = np.array(gallery)
    ranks = np.zeros(len(probes), np.int64)
    for number, name in enumerate(probes):
        right = names == name
        if right.any():
            behind = alike[number, ~right] < alike[number, right].max()
            ranks[number] = 1 + int((~behind).sum())
    return ranks
