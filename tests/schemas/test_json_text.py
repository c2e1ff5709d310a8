from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceloom.schemas.json_text import MOST_DEPTH, parse_json
from faceloom.schemas.plain_values import MOST_DIGITS

TEXT = st.text(st.characters(codec="utf-8"))
LEAVES = (
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.floats(allow_nan=False, allow_infinity=False) | TEXT
)
PLAIN = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4), max_leaves=20
)


@given(PLAIN, st.booleans())
def test_reads_what_json_writes(value: Any, ascii_only: bool) -> None:
    assert parse_json(json.dumps(value, ensure_ascii=ascii_only), 10**6) == value


@given(st.binary(max_size=200) | st.text(max_size=200))
def test_any_text_is_a_value_or_a_one_line_error(data: bytes | str) -> None:
    try:
        parse_json(data, 10**6)
    except ValueError as error:
        assert str(error) and "\n" not in str(error)


@given(st.lists(st.sampled_from(["[", "]", "{", "}", '"', "\\", ",", ":", "1", '"a"', "\n"]), max_size=60).map("".join))
def test_brackets_and_quotes_in_any_order_are_harmless(text: str) -> None:
    try:
        parse_json(text, 10**6)
    except ValueError as error:
        assert str(error)


@pytest.mark.parametrize("opened", ["[", '{"a":', '[{"a":'])
def test_deep_documents_are_refused_before_parsing(opened: str) -> None:
    with pytest.raises(ValueError, match=f"levels deep; at most {MOST_DEPTH} are read"):
        parse_json(opened * 100_000, 10**7)


def test_brackets_in_strings_are_no_depth() -> None:
    text = '"[[\\"["'
    assert parse_json(f"[{text}, {text}]", 100, most_depth=1) == ['[["[', '[["[']
    assert parse_json(json.dumps("[" * 1000), 2000) == "[" * 1000


def test_depth_at_the_limit() -> None:
    assert parse_json("[" * 3 + "]" * 3, 100, most_depth=3) == [[[]]]
    with pytest.raises(ValueError, match="it nests 3 levels deep; at most 2"):
        parse_json("[" * 3 + "]" * 3, 100, most_depth=2)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"[1, 2]", "it has 6 bytes; at most 5 are read"),
        (b"\xff", "byte 0 is not UTF-8"),
        ("\ud800", "byte 0 is not UTF-8"),
        ("NaN", "NaN is not a number"),
        ("-Infinity", "-Infinity is not a number"),
        ("1e999", "the number 1e999 is too large"),
        ("nul", "not JSON: Expecting value in line 1"),
        ('{"a": 1, "a": 2}', "the key 'a' is given twice"),
        ('["\\ud800"]', "half of a surrogate pair"),
        ('{"\\udc00": 1}', "half of a surrogate pair"),
        ("9" * (MOST_DIGITS + 1), "a number has 301 digits"),
    ],
)
def test_refusals(data: bytes | str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_json(data, 5 if data == b"[1, 2]" else 10_000)


def test_surrogate_pairs_and_long_numbers_within_limits_are_read() -> None:
    assert parse_json('"\\ud83d\\ude00"', 100) == "\N{GRINNING FACE}"
    assert parse_json("9" * MOST_DIGITS, 1000) == int("9" * MOST_DIGITS)
    assert math.isclose(parse_json("1e300", 10), 1e300)


def test_what_other_tools_write_is_read_if_asked() -> None:
    text = '{"score": NaN, "cut": "\\ud83d"}'
    with pytest.raises(ValueError, match="NaN"):
        parse_json(text, 100)
    value = parse_json(text, 100, lenient=True)
    assert math.isnan(value["score"]) and value["cut"] == "\ud83d"
    with pytest.raises(ValueError, match="twice"):
        parse_json('{"a": 1, "a": 2}', 100, lenient=True)
