"""All faces of a build have the same attributes, each of one type."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceloom.pipelines.plan.uniform_attributes import uniform_attributes
from faceloom.schemas.photos import Scalar
from faceloom.schemas.plan import PlannedFace

SCALARS = st.one_of(st.booleans(), st.integers(-(2**60), 2**60), st.floats(allow_nan=False, allow_infinity=False),
                    st.text(max_size=3))  # fmt: skip
STATED = st.lists(st.dictionaries(st.sampled_from("abc"), SCALARS), max_size=6)


def faces(*stated: dict[str, Any]) -> list[PlannedFace]:
    return [
        PlannedFace("s", f"{n}.jpg", "h", 0, "Ada", "train", None, None, tuple(sorted(one.items())), 9, 9, b"",
                    (0, 0, 1, 1), (), 0)
        for n, one in enumerate(stated)
    ]  # fmt: skip


def made(*stated: dict[str, Any]) -> list[dict[str, Scalar]]:
    return [dict(face.attributes) for face in uniform_attributes(faces(*stated))]


@given(STATED)
def test_names_and_types_are_the_same_everywhere_and_no_value_is_lost(stated: list[dict[str, Any]]) -> None:
    found = made(*stated)
    shapes = {tuple((name, type(value)) for name, value in one.items()) for one in found}
    assert len(shapes) <= 1
    for before, after in zip(stated, found, strict=True):
        assert list(after) == sorted(after)
        for name, value in after.items():
            if name not in before:
                assert value == ""
            elif type(value) is type(before[name]):
                assert value == before[name]
            elif isinstance(value, float):
                assert value == float(before[name])
            else:
                assert json.loads(str(value)) == before[name]
        assert all(abs(value) < 2**53 for value in after.values() if type(value) is int)


@given(STATED, st.randoms())
def test_the_order_of_faces_does_not_matter_and_twice_is_once(stated: list[dict[str, Any]], rng: Any) -> None:
    once = uniform_attributes(faces(*stated))
    shuffled = faces(*stated)
    rng.shuffle(shuffled)
    assert sorted(uniform_attributes(shuffled), key=lambda face: face.uri) == once
    assert uniform_attributes(once) == once


@pytest.mark.parametrize(
    ("stated", "wanted"),
    [
        ([{"age": 1}, {"age": 2}], [{"age": 1}, {"age": 2}]),
        ([{"age": 1}, {"age": 2.5}], [{"age": 1.0}, {"age": 2.5}]),
        ([{"age": 1}, {}], [{"age": "1"}, {"age": ""}]),
        ([{"ok": True}, {"ok": 1}], [{"ok": "true"}, {"ok": "1"}]),
        ([{"number": 2**60}], [{"number": str(2**60)}]),
        ([{"note": "a", "age": 3}, {"note": "b"}], [{"age": "3", "note": "a"}, {"age": "", "note": "b"}]),
        ([], []),
    ],
)
def test_types(stated: list[dict[str, Any]], wanted: list[dict[str, Scalar]]) -> None:
    assert made(*stated) == wanted
    assert [[type(value) for value in one.values()] for one in made(*stated)] == [
        [type(value) for value in one.values()] for one in wanted
    ]


def test_faces_that_agree_are_not_made_again() -> None:
    given = faces({"age": 1}, {"age": 2})
    assert all(one is other for one, other in zip(uniform_attributes(given), given, strict=True))
