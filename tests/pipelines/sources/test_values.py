from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceloom.pipelines.sources.values import (
    as_attributes,
    as_landmarks,
    as_object,
    as_role,
    as_text,
    is_missing,
    notices_of,
    typed,
)
from faceloom.schemas.json_text import parse_json

POINTS = [[float(n), n / 2] for n in range(68)]


@pytest.mark.parametrize("value", [None, "", "  ", float("nan")])
def test_missing(value: object) -> None:
    assert is_missing(value)
    assert as_text(value) is None
    assert as_landmarks(value) is None


@pytest.mark.parametrize("value", [0, False, 0.0, "0", [], {}])
def test_not_missing(value: object) -> None:
    assert not is_missing(value)


@pytest.mark.parametrize(
    ("value", "text"),
    [(" Ada ", "Ada"), (7, "7"), (7.0, "7"), (7.5, "7.5"), ("007", "007"), (0, "0"), ("\ud800", "\\ud800")],
)
def test_as_text(value: object, text: str) -> None:
    assert as_text(value) == text


@pytest.mark.parametrize("value", [POINTS, json.dumps(POINTS), np.array(POINTS), np.array(POINTS, np.float32)])
def test_landmarks_in_any_form(value: object) -> None:
    points = as_landmarks(value)
    assert points is not None
    assert np.array_equal(np.frombuffer(points, np.float32).reshape(68, 2), np.array(POINTS, np.float32))


@pytest.mark.parametrize(
    "value",
    [
        POINTS[:67],
        [*POINTS, [0.0, 0.0]],
        [point[0] for point in POINTS],
        [*POINTS[:67], [1.0]],
        [*POINTS[:67], [float("nan"), 1.0]],
        [*POINTS[:67], ["a", 1.0]],
        "[[1, 2]",
        json.dumps(POINTS).replace("1.0", "Infinity", 1),
        json.dumps(POINTS).replace("1.0", "1e39", 1),
        7.5,
        [],
        [*POINTS[:67], ["1", 1.0]],
        [*POINTS[:67], [True, 1.0]],
        [*POINTS[:67], [b"1", 1.0]],
        json.dumps(POINTS).replace("1.0", "true", 1),
        json.dumps(POINTS).replace("1.0", '"1"', 1),
        np.ones((68, 2), bool),
        np.ones((68, 2), "U1"),
        np.ones((68, 2), "S1"),
    ],
)
def test_other_landmarks_are_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"."):
        as_landmarks(value)


def test_attributes_are_sorted_scalars() -> None:
    values = {"smiling": True, "age": 36, "pose": [1, 2], "note": "x", "gone": None, "nan": float("nan")}
    assert as_attributes(values) == (("age", 36), ("note", "x"), ("pose", "[1, 2]"), ("smiling", True))
    assert as_attributes({"far": float("inf")}) == (("far", "inf"),)


@pytest.mark.parametrize("number", [10**300, -(10**299), 10**5_000], ids=["positive", "negative", "long"])
def test_numbers_of_very_many_digits_are_refused(number: int) -> None:
    with pytest.raises(ValueError, match="more than 300 digits"):
        as_attributes({"a": number})


def test_numbers_that_json_can_hold_are_attributes() -> None:
    numbers = {"a": 10**300 - 1, "b": 1 - 10**299}
    assert parse_json(json.dumps(dict(as_attributes(numbers))), 1_000) == numbers


def test_long_texts_are_no_attributes_and_counted() -> None:
    left_out: Counter[str] = Counter()
    for _ in range(2):
        found = as_attributes({"a": "x" * 1_000, "b": "x" * 1_001, "c": list(range(1_000)), "\ud800": 1}, left_out)
        assert [name for name, _ in found] == ["\\ud800", "a"]
    assert left_out == {"b": 2, "c": 2}
    assert as_attributes({"b": "x" * 1_001}) == ()
    assert notices_of(left_out) == (
        "values that are longer than 1,000 characters, cannot be read or exceed 1,000 of a photo are no attributes: "
        "b (2), c (2)",
    )  # fmt: skip
    assert notices_of(Counter()) == ()
    assert "and 3 more names" in notices_of(Counter("abcdefgh"))[0]
    assert notices_of(Counter({"\x1b[2J\n": 1}))[0].isprintable()


def test_roles_are_bounded() -> None:
    assert as_role("identity", 7.0) == "7"
    assert as_role("licence", "x" * 10_000) and as_role("split", None) is None
    for role, text in (("identity", "x" * 1_001), ("split", "x" * 1_001), ("consent", "x" * 10_001)):
        with pytest.raises(ValueError, match=f"the {role} has 1"):
            as_role(role, text)


def test_too_many_attributes() -> None:
    assert len(as_attributes(dict.fromkeys(map(str, range(1_000)), 1))) == 1_000
    with pytest.raises(ValueError, match="1,001 attributes; at most 1,000"):
        as_attributes(dict.fromkeys(map(str, range(1_001)), 1))


@pytest.mark.parametrize("value", ["[1]", "{", "[" * 100_000, [1], 7, '{"a": ' + "9" * 500 + "}", '{"a": 1, "a": 2}'])
def test_what_is_no_object(value: object) -> None:
    with pytest.raises(ValueError, match="attributes must be a JSON object"):
        as_object(value)


@pytest.mark.parametrize("value", [None, "", float("nan"), {}, "{}"])
def test_an_empty_object(value: object) -> None:
    assert as_object(value) == {}


@given(st.text(max_size=200) | st.recursive(st.none() | st.floats() | st.text(max_size=3), st.lists))
def test_any_value_is_landmarks_or_a_value_error(value: object) -> None:
    for read in (as_landmarks, as_object):
        try:
            read(value)
        except ValueError as error:
            assert str(error)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("-1", -1),
        ("0", 0),
        ("0.50", 0.5),
        ("true", True),
        ("false", False),
        ("007", "007"),
        ("1e5", "1e5"),
        ("True", "True"),
        ("NaN", "NaN"),
        ("", ""),
        ("1.", "1."),
        ("9" * 30, "9" * 30),
        ("２", "２"),
        ("1２", "1２"),
    ],
)
def test_typed(text: str, value: object) -> None:
    assert typed(text) == value
    assert type(typed(text)) is type(value)


@given(st.integers(-(10**17), 10**17))
def test_every_whole_number_is_one(number: int) -> None:
    assert typed(str(number)) == number
