"""Warn of names that are hardly those of people: splits, and people with very many of the photos."""

from __future__ import annotations

import numpy as np

from faceloom.pipelines.analyse.photo_table import PhotoTable
from faceloom.pipelines.sources.person_names import is_split

_MANY = 0.2
"""Share of a source's photos that a person hardly has, if there are others enough to have the rest."""
_FEWEST = 6
"""A source with fewer photos is not checked for people with too many."""
_REMEDY = "If this is not a person, name people otherwise: in a folder by the source's `identity`, such as `parent`"


def odd_people(photos: PhotoTable) -> tuple[str, ...]:
    """Warn, for each source, of people with the name of a split, and of those with more than a fifth of the photos.

    In a source of five people or fewer, a person must have more than twice the share of each; a single person is named
    in any case.
    """
    (photo, people, names), (sources, titles) = photos.people(), photos.codes("source")
    warnings = []
    for number, title in enumerate(titles):
        listed = np.count_nonzero(sources == number)
        found, counts = np.unique(people[sources[photo] == number], return_counts=True)
        if splits := sorted(name for name in (names[one] for one in found.tolist()) if is_split(name)):
            shown = ", ".join(splits[:5])
            warnings.append(f"source {title}: {shown} is the name of a split and counts as a person. {_REMEDY}")
        if listed < _FEWEST or not len(found):
            continue
        least = _MANY if len(found) > 1 / _MANY else 2 / len(found)
        much = counts > least * listed if len(found) > 1 else counts == listed
        if much.any():
            ordered = sorted(zip(counts[much].tolist(), (names[one] for one in found[much].tolist()), strict=True))
            shown = ", ".join(f"{name} has {count:,} of {listed:,} photos" for count, name in ordered[::-1][:5])
            warnings.append(f"source {title}: {shown}. {_REMEDY}")
    return tuple(warnings)
