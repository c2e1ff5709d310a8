"""Sentences that cards share."""

from __future__ import annotations

from faceloom.pipelines.cards import terms


def test_each_is_a_plain_line() -> None:
    texts = [terms.CARE, terms.USES, terms.REFUSED, terms.LIMITS]
    assert all(text.endswith(".") and text.isprintable() and "  " not in text for text in texts)
