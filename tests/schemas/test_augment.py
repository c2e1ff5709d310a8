"""Augmentation in a recipe: a short list of transforms, each with limits, refused by name and place otherwise."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter, ValidationError

from faceloom.pipelines.recipe.reference import describe_type, meaning_of
from faceloom.schemas.augment import Augment, Range, Whole, Within

STEPS: TypeAdapter[tuple[Any, ...]] = TypeAdapter(tuple[Augment, ...])
KINDS: tuple[type[BaseModel], ...] = get_args(get_args(Augment)[0])
GEOMETRIC = {"HorizontalFlip", "Affine", "Perspective"}


def step(kind: str, **values: Any) -> Any:
    return STEPS.validate_python(({"kind": kind, **values},), strict=True)[0]


def fault(data: dict[str, Any]) -> dict[str, Any]:
    with pytest.raises(ValidationError) as caught:
        STEPS.validate_python((data,), strict=True)
    [found] = caught.value.errors()
    return dict(found)


def ranges(model: type[BaseModel]) -> dict[str, Within]:
    return {
        name: mark for name, field in model.model_fields.items() for mark in field.metadata if isinstance(mark, Within)
    }


@pytest.mark.parametrize("model", KINDS)
def test_a_transform_is_named_as_in_albumentations_and_needs_no_more(model: type[BaseModel]) -> None:
    made: Any = step(model.__name__)
    assert type(made) is model
    assert made.model_dump()["p"] == 0.5


@pytest.mark.parametrize("model", KINDS)
def test_what_moves_pixels_is_told_from_what_does_not(model: type[BaseModel]) -> None:
    assert step(model.__name__).geometric == (model.__name__ in GEOMETRIC)


def test_a_transform_off_the_list_is_refused_with_the_list() -> None:
    refused = fault({"kind": "ElasticTransform"})
    assert refused["type"] == "union_tag_invalid"
    assert all(f"'{model.__name__}'" in refused["msg"] for model in KINDS)
    assert fault({"p": 1.0})["type"] == "union_tag_not_found"


@pytest.mark.parametrize("model", KINDS)
def test_an_unknown_parameter_is_refused(model: type[BaseModel]) -> None:
    refused = fault({"kind": model.__name__, "always_apply": True})
    assert refused["type"] == "unknown_key" and refused["loc"] == (0, model.__name__)


@pytest.mark.parametrize("p", [0, -0.1, 1.1, "half", True])
def test_a_probability_is_above_0_and_at_most_1(p: Any) -> None:
    assert fault({"kind": "ToGray", "p": p})["loc"] == (0, "ToGray", "p")


@pytest.mark.parametrize(("model", "name"), [(model, name) for model in KINDS for name in ranges(model)])
def test_ranges_have_limits_and_an_order(model: type[BaseModel], name: str) -> None:
    within = ranges(model)[name]
    ends = (within.low, within.high)
    assert getattr(step(model.__name__, **{name: ends}), name) == ends
    for wrong in (ends[::-1], (ends[0] - 1, ends[1]), (ends[0], ends[1] + 1), ends[:1], ends[0]):
        refused = fault({"kind": model.__name__, name: wrong})
        assert refused["loc"][:3] == (0, model.__name__, name)


@pytest.mark.parametrize("model", KINDS)
def test_defaults_lie_within_the_limits(model: type[BaseModel]) -> None:
    for name, within in ranges(model).items():
        assert within.check(model.model_fields[name].default) == model.model_fields[name].default


def test_whole_numbers_are_whole() -> None:
    assert fault({"kind": "ImageCompression", "quality_range": (40.5, 90)})["loc"][2] == "quality_range"


@given(st.tuples(st.floats(), st.floats()), st.floats(-9, 9), st.floats(0, 9))
def test_a_range_is_inside_its_limits_or_refused(value: tuple[float, float], low: float, width: float) -> None:
    within = Within(low, low + width)
    if low <= value[0] <= value[1] <= low + width:
        assert within.check(value) == value
    else:
        with pytest.raises(ValueError, match="low first"):
            within.check(value)


@pytest.mark.parametrize("model", KINDS)
def test_every_key_can_stand_in_the_reference(model: type[BaseModel]) -> None:
    for key, schema in model.model_json_schema()["properties"].items():
        if key != "kind":
            assert len(meaning_of(model, key)) > 3
        assert describe_type(schema, key)
        if key in ranges(model):
            assert describe_type(schema, key).startswith("[low, high] from ")
            assert str(model.model_fields[key].annotation) in (str(Range), str(Whole))
