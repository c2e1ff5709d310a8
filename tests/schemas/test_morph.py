"""Morphs in a recipe: the published values are the defaults, and what makes no sense is refused with its place."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from faceloom.pipelines.recipe.reference import describe_type, meaning_of
from faceloom.schemas.morph import Morph, Weights

weights = st.just("uniform") | st.floats(0, 1)


def faults(data: object) -> list[tuple[tuple[int | str, ...], str]]:
    with pytest.raises(ValidationError) as caught:
        Morph.model_validate(data, strict=True)
    return [(fault["loc"], fault["msg"]) for fault in caught.value.errors()]


def test_the_defaults_are_those_of_anti_mask() -> None:
    morph = Morph()
    assert (morph.neighbours, morph.draw, morph.lambda_) == (10, "each", 10)
    assert (morph.texture, morph.texture_size) == ("crop", 224)
    assert (morph.shape_weight, morph.texture_weight) == (0.5, 0.5)


def test_the_key_is_lambda_and_not_what_python_needs_to_call_it() -> None:
    assert Morph.model_validate({"lambda": 3}).lambda_ == 3
    [(where, message)] = faults({"lambda_": 3})
    assert where == () and "did you mean 'lambda'?" in message
    assert "lambda_" not in message


def test_a_morph_survives_being_written_down() -> None:
    morph = Morph.model_validate({"lambda": 2.5, "weights": {"shape": "uniform", "texture": 0.25}})
    for written in (morph.model_dump_json(), morph.model_dump_json(exclude_unset=True)):
        assert Morph.model_validate(json.loads(written)) == morph
    assert json.loads(morph.model_dump_json(exclude_unset=True))["lambda"] == 2.5


@given(weights)
def test_one_weight_is_for_both(weight: Any) -> None:
    morph = Morph.model_validate({"weights": weight}, strict=True)
    assert (morph.shape_weight, morph.texture_weight) == (weight, weight)


@given(weights, weights)
def test_or_each_has_its_own(shape: Any, texture: Any) -> None:
    morph = Morph.model_validate({"weights": {"shape": shape, "texture": texture}}, strict=True)
    assert (morph.shape_weight, morph.texture_weight) == (shape, texture)
    assert morph == Morph(weights=Weights(shape=shape, texture=texture))


def test_a_weight_left_out_is_a_half() -> None:
    assert Morph.model_validate({"weights": {"shape": 0.1}}).texture_weight == 0.5


@pytest.mark.parametrize(
    ("data", "where"),
    [
        ({"neighbours": 0}, "neighbours"),
        ({"neighbours": 2.5}, "neighbours"),
        ({"draw": "all"}, "draw"),
        ({"lambda": -1}, "lambda"),
        ({"lambda": float("inf")}, "lambda"),
        ({"texture": "mean"}, "texture"),
        ({"texture_size": 8}, "texture_size"),
        ({"texture_units": "percent"}, "texture_units"),
        ({"weights": 1.5}, "weights"),
        ({"weights": "random"}, "weights"),
        ({"weights": {"colour": 1}}, "weights"),
        ({"background": "black"}, "background"),
        ({"same_identity": True}, "same_identity"),
        ({"candidates": "some"}, "candidates"),
    ],
)
def test_what_makes_no_sense_is_refused_where_it_stands(data: dict[str, Any], where: str) -> None:
    assert {loc[0] for loc, _ in faults(data)} == {where}


def test_a_slip_of_the_pen_gets_a_suggestion() -> None:
    [(_, message)] = faults({"neighbors": 5})
    assert "did you mean 'neighbours'?" in message


@pytest.mark.parametrize("model", [Morph, Weights])
def test_every_key_can_stand_in_the_reference(model: type[Morph | Weights]) -> None:
    for key, schema in model.model_json_schema()["properties"].items():
        assert len(meaning_of(model, key)) > 3
        assert describe_type(schema, key)
    assert describe_type(Morph.model_json_schema()["properties"]["weights"], "weights") == (
        "number ≥ 0, ≤ 1 or `uniform` or mapping, below"
    )
