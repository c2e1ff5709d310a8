"""Names in `txt` members: short, alone, repeated, and no captions."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceloom.pipelines.sources import text_labels
from faceloom.pipelines.sources.text_labels import RepeatedTexts, may_be_label


@pytest.mark.parametrize("text", ["Ann", "0", "n000012", "Juan Carlos I of Spain", "Anna Wearing", "An Li", "李小龙"])
def test_names(text: str) -> None:
    assert may_be_label(text, {"age": 3})


@pytest.mark.parametrize(
    "text", ["portrait of a man", "the queen", "two lines\nhere", "x" * 65, "", "woman with hat", "he is here"]
)
def test_captions(text: str) -> None:
    assert not may_be_label(text, {})


def test_a_text_that_the_json_holds_too_is_a_caption() -> None:
    assert not may_be_label("Ann", {"caption": None}) and not may_be_label("Ann", {"x": "Ann"})


@given(st.lists(st.sampled_from(["", "a", "b", "c", "d", "e", "f"]), max_size=12))
def test_texts_count_if_they_repeat_and_most_do(texts: list[str]) -> None:
    names, counts = RepeatedTexts(lambda: texts), Counter(texts)
    repeated = {text for text, count in counts.items() if count > 1 and text}
    most = 2 * sum(counts[text] for text in repeated) >= len(texts)
    assert {text for text in "abcdef" if names(text)} == (repeated if most else set())
    assert not names("")


def test_texts_are_read_when_first_asked_and_once() -> None:
    calls: list[int] = []

    def texts() -> list[str]:
        calls.append(1)
        return ["a", "a"]

    names = RepeatedTexts(texts)
    assert not calls
    assert names("a") and not names("b") and len(calls) == 1


def test_the_digest_of_a_text_is_the_same_in_every_process() -> None:
    assert text_labels._hash("Ada") == 4560733849950297680 and text_labels._hash("\ud800") != text_labels._hash("")
