"""Which plain values pass, and how messages show the others."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from faceloom.schemas.plain_values import MOST_DEPTH, PlainValueError, plain_values, shown, step


def test_lists_become_tuples_and_the_rest_stays() -> None:
    assert plain_values({"a": [1, 0.5, True, None, {"b": "é"}]}) == {"a": (1, 0.5, True, None, {"b": "é"})}


def in_itself() -> list[Any]:
    made: list[Any] = []
    made.append(made)
    return made


@pytest.mark.parametrize(
    ("data", "path", "text"),
    [
        ({"a": [1, datetime.date(2024, 1, 1)]}, "$.a[1]", "expected text, a number"),
        ({"a": b"x"}, "$.a", "expected text, a number"),
        ({"a": {1, 2}}, "$.a", "expected text, a number"),
        ({"a": "x\0"}, "$.a", "null character"),
        ({"a": "\ud800"}, "$.a", "surrogate"),
        ({"\ud800": 1}, "$", "surrogate"),
        ({1: 1}, "$", "a key must be text"),
        ({"a": 10**301}, "$.a", "at most 300 digits"),
        ({"a": -(10**5000)}, "$.a", "at most 300 digits"),
        (in_itself(), "$" + "[0]" * MOST_DEPTH, "nests deeper"),
    ],
)
def test_what_no_schema_accepts_has_its_path(data: object, path: str, text: str) -> None:
    with pytest.raises(PlainValueError, match=text) as caught:
        plain_values(data)
    assert caught.value.path == path


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a", "'a'"),
        ("a\nb", r"'a\nb'"),
        (7, "7"),
        ([1, 2], "list of 2"),
        ({"a": 1}, "dict of 1"),
    ],
)
def test_values_in_messages(value: object, text: str) -> None:
    assert shown(value) == text


@pytest.mark.parametrize("value", ["x" * 10**6, b"\0" * 10**6, "\n" * 1000, 10.0**300, object()])
def test_a_value_takes_one_short_line(value: object) -> None:
    assert len(shown(value)) < 120 and shown(value).isprintable()


def test_a_number_that_python_prints_no_more() -> None:
    assert shown(10**5000) == "a number of 5,000 digits"


def test_steps_of_a_path() -> None:
    assert (step("a"), step(3), step("a\nb")) == (".a", "[3]", r".'a\nb'")
    assert len(step("k" * 1000)) < 100
