"""Count the photos in which the detector found no face, by what their sources state of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from faceloom.schemas.photos import Photo, Reject, Scalar
from faceloom.schemas.release import GroupMisses

MOST_VALUES = 12
"""An attribute with more values, such as a measured age, makes no groups."""
MOST_GROUPS = 120
"""Groups that are listed: those of the first attributes by name."""
_MOST_LETTERS = 100


def count_misses(photos: Sequence[Photo], rejects: Sequence[Reject]) -> tuple[GroupMisses, ...]:
    """Count missed photos by attribute and value, sorted by both.

    Photos with landmarks or face boxes of their own are left out, since no detector looks at them.

    Args:
        photos: as the sources list them.
        rejects: of the analysis; those with the code `no_face` count.

    Returns:
        A row per group, also for groups without a missed photo; nothing if no photo was missed.
    """
    missed = {(reject.source, reject.uri) for reject in rejects if reject.code == "no_face"}
    if not missed:
        return ()
    groups: dict[str, dict[Scalar, Counter[bool]]] = {}
    crowded: set[str] = set()
    for photo in photos:
        if photo.landmarks is not None or photo.faces:
            continue
        is_missed = (photo.source, photo.uri) in missed
        for name, value in photo.attributes:
            if name in crowded:
                continue
            values = groups.setdefault(name, {})
            values.setdefault(value, Counter())[is_missed] += 1
            if len(values) > MOST_VALUES:
                crowded.add(name)
                del groups[name]
    rows = [
        GroupMisses(
            attribute=name[:_MOST_LETTERS],
            value=str(value)[:_MOST_LETTERS],
            photos=counts.total(),
            missed=counts[True],
        )
        for name, values in sorted(groups.items())
        for value, counts in sorted(values.items(), key=lambda item: str(item[0]))
    ]
    return tuple(rows[:MOST_GROUPS])
