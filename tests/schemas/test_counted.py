"""A number has the noun that fits it."""

from __future__ import annotations

import pytest

from faceloom.schemas.counted import counted


@pytest.mark.parametrize(
    ("count", "words", "text"),
    [
        (0, ("photo",), "0 photos"),
        (1, ("photo",), "1 photo"),
        (2, ("photo",), "2 photos"),
        (12_345, ("photo",), "12,345 photos"),
        (1, ("person", "people"), "1 person"),
        (7, ("person", "people"), "7 people"),
    ],
)
def test_the_noun_fits_the_number(count: int, words: tuple[str, ...], text: str) -> None:
    assert counted(count, *words) == text
