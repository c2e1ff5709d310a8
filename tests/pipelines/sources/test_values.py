from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceloom.pipelines.sources.values import as_attributes, as_landmarks, as_text, is_missing, typed

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
    ],
)
def test_other_landmarks_are_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"."):
        as_landmarks(value)


def test_attributes_are_sorted_scalars() -> None:
    values = {"smiling": True, "age": 36, "pose": [1, 2], "note": "x", "gone": None, "nan": float("nan")}
    assert as_attributes(values) == (("age", 36), ("note", "x"), ("pose", "[1, 2]"), ("smiling", True))
    assert as_attributes({"far": float("inf")}) == (("far", "inf"),)


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
