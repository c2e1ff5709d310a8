"""The settings of a face parser in a recipe."""

from __future__ import annotations

from typing import Any

import pytest

from faceloom.schemas.errors import RecipeError
from faceloom.schemas.guide import LABEL_ORDERS
from faceloom.schemas.parser import Parser
from faceloom.schemas.recipe import parse_recipe


def parser(given: Any) -> Parser | None:
    return parse_recipe({"name": "x", "faces": {"parser": given}}).faces.parser


def test_a_path_alone_has_all_defaults() -> None:
    assert parser("net.onnx") == Parser(onnx="net.onnx") == parser({"onnx": "net.onnx"})
    assert parser(None) is None


def test_names_of_an_order() -> None:
    named, given = Parser(onnx="x"), Parser(onnx="x", label_order=("skin", "teeth"))
    assert (named.order_name, named.label_names) == ("face_parsing", LABEL_ORDERS["face_parsing"])
    assert (given.order_name, given.label_names) == ("given", ("skin", "teeth"))


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"onnx": "x", "size": 4000}, "size"),
        ({"onnx": "x", "label_order": ["teeth"]}, "at least one of"),
        ({"onnx": "x", "label_order": ["skin"] * 256}, "label_order"),
        ({"onnx": "x", "std": [1, 0, 1]}, "above 0"),
        ({"onnx": "x", "mean": [1, 0]}, "mean"),
        ({}, "onnx"),
    ],
)
def test_settings_that_cannot_be_meant(given: Any, match: str) -> None:
    with pytest.raises(RecipeError, match=match):
        parser(given)
