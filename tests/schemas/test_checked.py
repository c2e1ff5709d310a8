"""Faults of data against a model: each with its path, on one line, and not too many."""

from __future__ import annotations

import time
from typing import Any, Literal

import pytest
from pydantic import Field, model_validator

from faceloom.schemas.base import Model
from faceloom.schemas.checked import MOST_FAULTS, InvalidDataError, checked


class Inner(Model):
    """A part."""

    size: int = Field(default=1, ge=1)
    kind: Literal["a", "b"] = "a"


class Outer(Model):
    """The whole."""

    name: str
    parts: tuple[Inner, ...] = ()


class Careless(Model):
    """A model whose validator takes any value for one that can be hashed."""

    value: Any = None

    @model_validator(mode="after")
    def _hashes(self) -> Careless:
        hash(self.value)
        return self


def faults(data: Any) -> tuple[str, ...]:
    with pytest.raises(InvalidDataError) as caught:
        checked(Outer, data)
    return tuple(str(fault) for fault in caught.value.faults)


def test_sound_data_becomes_the_model() -> None:
    assert checked(Outer, {"name": "x", "parts": [{"size": 2}]}) == Outer(name="x", parts=(Inner(size=2),))


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ([], "$: expected a mapping of keys"),
        ({}, "$.name: missing"),
        ({"name": 3}, "$.name: Input should be a valid string (got 3)"),
        ({"name": "x", "parts": {}}, "$.parts: expected a list"),
        ({"name": "x", "parts": [{}, {"size": True}]}, "$.parts[1].size: Input should be a valid integer (got True)"),
        ({"name": "x", "parts": [{"kind": "c"}]}, "$.parts[0].kind: Input should be 'a' or 'b' (got 'c')"),
        ({"name": "x", "pats": []}, "$.pats: unknown key; allowed: name, parts; did you mean 'parts'? (got 'pats')"),
        ({"name": "\0"}, r"$.name: text must not hold a null character (got '\x00')"),
    ],
)
def test_a_fault_has_its_path_its_value_and_what_is_allowed(data: Any, text: str) -> None:
    (said,) = faults(data)
    assert said == text.replace(" (got 'pats')", "")


def test_a_validator_that_meets_an_unexpected_type_is_a_fault() -> None:
    assert checked(Careless, {"value": 1}).value == 1
    with pytest.raises(InvalidDataError, match=r"^\$: a value has the wrong type: unhashable type") as caught:
        checked(Careless, {"value": {}})
    assert len(caught.value.faults) == 1


def test_faults_beside_an_unknown_key_are_named_too() -> None:
    assert [said.split(":")[0] for said in faults({"nam": 1, "parts": [{"size": 0}]})] == [
        "$.nam", "$.name", "$.parts[0].size",
    ]  # fmt: skip


def test_thousands_of_faults_end_soon() -> None:
    begin = time.process_time()
    assert len(faults({f"k{number}": 1 for number in range(20_000)})) == MOST_FAULTS
    assert len(faults({"name": "x", "parts": [{"size": 0}] * 20_000})) == MOST_FAULTS
    assert time.process_time() - begin < 10
