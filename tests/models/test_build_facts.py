"""What a job checks about a build: members, splits and sizes, named in the error."""

from __future__ import annotations

from typing import Any

import pytest

from faceloom.models.build_facts import BuildFacts, fit_to_build, members_of
from faceloom.models.presets import PRESETS
from faceloom.schemas.errors import TrainingError
from faceloom.schemas.recipe import parse_recipe

MASKS = [{"kind": "polygon", "shape": "A"}]
COMPACT = PRESETS["compact"]


def facts(samples: dict[str, int] | None = None, **recipe: Any) -> BuildFacts:
    settings = parse_recipe({"name": "x", "align": {"mode": "eye_level", "size": 64}, **recipe})
    return BuildFacts("out", settings, {"train": 3} if samples is None else samples, lambda: ("Ada",))


@pytest.mark.parametrize(
    ("recipe", "members"),
    [
        ({}, set()),
        ({"masks": MASKS}, {"masked", "mask"}),
        ({"output": {"halves": {}}}, {"upper", "lower", "lower_landmarks"}),
        ({"lowres": {"sizes": [14]}}, {"lr", "lr_upsampled"}),
    ],
)
def test_members_follow_the_recipe(recipe: dict[str, Any], members: set[str]) -> None:
    assert set(members_of(facts(**recipe).settings)) - {"face", "landmarks", "json"} == members


@pytest.mark.parametrize(
    ("member", "text"),
    [
        ("mask", "no masked faces.*Add `masks`"),
        ("guide", "have no guide.*Add `guide`"),
        ("upper", "have no upper.*Add `output.halves`"),
        ("features", "have no features.*Add `output.features`"),
    ],
)
def test_a_missing_member_is_named_with_the_key_that_adds_it(member: str, text: str) -> None:
    with pytest.raises(TrainingError, match=f"{text}.*recipes/msagan.yaml"):
        fit_to_build(COMPACT, facts(), ("face", member), "msagan")


def test_a_build_without_train_is_refused() -> None:
    with pytest.raises(TrainingError, match=r"no split `train` \(got test\)"):
        fit_to_build(COMPACT, facts({"test": 2}), ("face",), "arcface")


def test_the_size_is_that_of_the_build_where_the_network_takes_any() -> None:
    assert fit_to_build(COMPACT, facts(align={"size": 32}), ("face",), "x").size == 32
    with pytest.raises(TrainingError, match=r"side of 64 \(got 32x32\)"):
        fit_to_build(PRESETS["paper"], facts(align={"size": 32}), ("face",), "x")
