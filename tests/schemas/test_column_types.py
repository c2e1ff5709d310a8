"""Values from disk are checked by their type, and the message of the first fault is one line."""

from __future__ import annotations

import time
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from faceloom.schemas import column_types as types
from faceloom.schemas.column_types import adapter, first_fault, parse_model, place_text

GOOD: list[tuple[Any, Any]] = [
    (types.Key, "0123-f00-x-45-f01-m002"), (types.FileName, "landmarks.npy"), (types.FileName, "été"),
    (types.Hex, ""), (types.Hex, "ab" * 32), (types.Offset, 0), (types.Offset, 2**48),
    (types.Count, 2**31 - 1),
    (types.Finite, -1.5), (types.Landmarks, b""), (types.Landmarks, bytes(544)),
]  # fmt: skip
BAD: list[tuple[Any, Any]] = [
    (types.Key, ""), (types.Key, "A"), (types.Key, "a\n"), (types.Key, "a\0"), (types.Key, "a" * 256),
    (types.FileName, "a/b"), (types.FileName, "a\\b"), (types.FileName, "\x1b[31m"), (types.FileName, ""),
    (types.Hex, "a"), (types.Hex, "zz"), (types.Hex, "ab" * 33), (types.Offset, -1), (types.Offset, 2**62),
    (types.Count, 2**31), (types.Finite, float("nan")), (types.Finite, float("inf")), (types.Landmarks, b"x"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "value"), GOOD)
def test_what_may_stand_there(kind: Any, value: object) -> None:
    assert adapter(kind).validate_python(value) == value


@pytest.mark.parametrize(("kind", "value"), BAD)
def test_what_may_not(kind: Any, value: object) -> None:
    with pytest.raises(ValidationError) as caught:
        adapter(kind).validate_python(value)
    _, text = first_fault(caught.value)
    assert "\n" not in text and "\0" not in text and len(text) < 200


def test_the_first_fault_names_its_place() -> None:
    with pytest.raises(ValidationError) as caught:
        adapter(dict[str, list[int]]).validate_python({"a": [1, "x" * 999], "b": 1})
    place, text = first_fault(caught.value)
    assert place_text(place) == "a[1]"
    assert text.startswith("Input should be a valid integer") and text.endswith("xxx…', 999 in all") and len(text) < 180


class _Named(BaseModel):
    name: types.FileName
    key: types.Key = "k"
    digest: types.Hex = ""


@pytest.mark.parametrize(
    ("value", "place", "text"),
    [
        ({}, "name", "missing"),
        ({"name": "a/b"}, "name", "expected a file name, not 'a/b'"),
        ({"name": "a", "key": "A"}, "key", "expected a key, not 'A'"),
        ({"name": "a", "digest": "xy"}, "digest", "expected a digest, not 'xy'"),
        ([1], "", "expected a mapping of keys, not list of 1"),
    ],
)
def test_the_words_are_not_those_of_pydantic(value: object, place: str, text: str) -> None:
    with pytest.raises(ValidationError) as caught:
        _Named.model_validate(value)
    found, words = first_fault(caught.value)
    assert (place_text(found), words) == (place, text)


def test_an_adapter_is_made_once() -> None:
    assert adapter(list[int]) is adapter(list[int])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b'{"name": "a/b"}', "^name: expected a file name"),
        (b"[1]", "^expected a mapping of keys"),
        (b"[" * 100, "levels deep"),
        (b'{"name": "' + b"a" * 200 + b'"}', "at most 200 are read"),
        (b"{", "not JSON"),
    ],
)
def test_a_document_that_is_no_model_is_one_line(data: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        parse_model(_Named, data, 200)
    assert "\n" not in str(caught.value)
    assert parse_model(_Named, b'{"name": "a"}', 200) == _Named(name="a")


def test_a_large_document_is_refused_at_once() -> None:
    class Listed(BaseModel):
        names: tuple[str, ...]
        first: str
        second: str

    many = b'{"names": [' + b"1," * types.MOST_ITEMS + b"1]}"
    started = time.process_time()
    with pytest.raises(ValueError, match="more than 500,000 values"):
        parse_model(Listed, many, len(many))
    long = b'{"names": [' + b'["x"],' * 50_000 + b'["x"]]}'
    with pytest.raises(ValueError, match=r"^first: missing"):
        parse_model(Listed, long, len(long))
    assert time.process_time() - started < 8
