"""A number with its noun, for messages and reports."""

from __future__ import annotations


def counted(count: int, one: str, more: str = "") -> str:
    """A number and its noun.

    Args:
        count: of the things.
        one: the noun of one thing.
        more: that of several, or of none; by default `one` and an s.

    >>> counted(1, "photo"), counted(1_200, "photo"), counted(0, "person", "people")
    ('1 photo', '1,200 photos', '0 people')
    """
    return f"{count:,} {one if count == 1 else more or f'{one}s'}"
