"""Which picture each sample of a mixed export gives: bare and masked faces in one file, in a stated ratio."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from faceloom.pipelines.export.sample_facts import SampleFacts, is_picture_named
from faceloom.schemas.keys import digest, unit_interval


def choose_second(facts: Iterable[SampleFacts], pictures: Sequence[str], share: float, seed: int) -> frozenset[str]:
    """Choose the samples that give the second of two pictures; the others give the first.

    The choice is made person by person, by hashes of the keys. A person with two samples or more gives both pictures. A
    sample that lacks one of the pictures is not chosen and not counted.

    Args:
        facts: of all samples that are exported.
        pictures: names of the two pictures.
        share: of the second picture, between 0 and 1.
        seed: of the recipe.

    Returns:
        Keys of samples.
    """
    keys: dict[tuple[str, str], list[str]] = {}
    for fact in facts:
        if all(any(is_picture_named(name, picture) for name in fact.members) for picture in pictures):
            keys.setdefault((fact.split, fact.identity), []).append(fact.key)
    chosen: set[str] = set()
    for person, own in keys.items():
        # Rounded up or down by chance, so that many people with few samples keep the ratio.
        count = math.floor(len(own) * share + unit_interval("mix", seed, *person))
        if len(own) > 1:
            count = min(max(count, 1), len(own) - 1)
        chosen.update(sorted(own, key=lambda key: digest("mix", seed, key))[:count])
    return frozenset(chosen)
