"""The base of recipe parts: strict about keys, frozen; colours in three ways of writing."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, ValidationError

from faceloom.schemas.base import NAMED_COLOURS, Colour, Model


class Hat(Model):
    colour: Colour = (1, 2, 3)
    brim: float = Field(default=1.0, gt=0)
    label: str = "hat"


class Head(Model):
    hat: Hat = Hat()
    hats: tuple[Hat, ...] = ()


def faults(kind: type[BaseModel], data: object) -> list[tuple[tuple[int | str, ...], str, str]]:
    with pytest.raises(ValidationError) as caught:
        kind.model_validate(data)
    return [(fault["loc"], fault["type"], fault["msg"]) for fault in caught.value.errors()]


def test_an_unknown_key_is_refused_with_those_that_are_allowed() -> None:
    [(where, kind, message)] = faults(Hat, {"size": 3})
    assert (where, kind) == ((), "unknown_key")
    assert message == "unknown key; allowed: brim, colour, label"


def test_a_slip_of_the_pen_gets_a_suggestion() -> None:
    [(_, _, message)] = faults(Hat, {"color": "red"})
    assert message.endswith("did you mean 'colour'?")


def test_a_key_may_be_a_word_that_python_keeps_for_itself() -> None:
    class Shelf(Model):
        class_: str = Field(default="", alias="class")

    shelf = Shelf.model_validate({"class": "top"})
    assert shelf.class_ == "top" and Shelf.model_validate(shelf.model_dump()) == shelf
    assert faults(Shelf, {"class_": "top"})[0][2] == "unknown key; allowed: class; did you mean 'class'?"


def test_the_key_itself_is_in_the_fault_for_code_that_makes_a_path_of_it() -> None:
    with pytest.raises(ValidationError) as caught:
        Head.model_validate({"hats": [{}, {"brimm": 1}]})
    [fault] = caught.value.errors()
    assert fault["loc"] == ("hats", 1)
    assert fault["ctx"]["key"] == "brimm"


def hat_of(colour: Any) -> Hat:
    """A hat whose colour is written in any way."""
    return Hat(colour=colour)


@pytest.mark.parametrize("key", [1, 2.5, None, ("a",)])
def test_keys_that_are_no_text_are_refused_too(key: object) -> None:
    assert faults(Hat, {key: 1})[0][1] == "unknown_key"


def test_parts_are_frozen_and_compare_by_content() -> None:
    hat = hat_of("red")
    with pytest.raises(ValidationError):
        hat.label = "cap"
    assert hat == hat_of((255, 0, 0))
    assert hash(hat) == hash(hat_of("#ff0000"))
    assert hat != Hat()


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_numbers_are_finite(value: float) -> None:
    assert faults(Hat, {"brim": value})


@given(st.tuples(*[st.integers(0, 255)] * 3))
def test_three_ways_to_write_one_colour(rgb: tuple[int, int, int]) -> None:
    text = "#{:02x}{:02X}{:02x}".format(*rgb)
    assert hat_of(rgb).colour == hat_of(list(rgb)).colour == hat_of(text).colour == rgb
    assert Hat.model_validate_json(hat_of(rgb).model_dump_json()).colour == rgb


@pytest.mark.parametrize("name", NAMED_COLOURS)
def test_named_colours(name: str) -> None:
    assert hat_of(name).colour == hat_of(name.upper()).colour == NAMED_COLOURS[name]


def test_names_mean_what_they_say() -> None:
    assert NAMED_COLOURS["black"] == (0, 0, 0)
    assert NAMED_COLOURS["white"] == (255, 255, 255)
    red, green, _ = NAMED_COLOURS["green"]
    assert green > red
    assert NAMED_COLOURS["light_blue"] == (254, 207, 110)[::-1], "NISTIR 8311 gives it as BGR"


@pytest.mark.parametrize(
    "value",
    [
        "purple-ish", "", "#12345", "#1234567", "#gggggg", "123456", "# 12345",
        [], [1, 2], [1, 2, 3, 4], [0, 0, 256], [0, 0, -1], [0, 0, 1.0], [True, 0, 0], ["0", 0, 0], [None, 0, 0],
        5, None, True, {"r": 1}, 1.5,
    ],
)  # fmt: skip
def test_what_is_no_colour_is_refused_in_words(value: object) -> None:
    [(where, kind, message)] = faults(Hat, {"colour": value})
    assert (where, kind) == (("colour",), "value_error")
    assert "colour" in message


def test_an_unknown_name_lists_the_known_ones() -> None:
    [(_, _, message)] = faults(Hat, {"colour": "purple-ish"})
    assert all(name in message for name in NAMED_COLOURS)
