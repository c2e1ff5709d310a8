"""What a job checks about a build: members, splits and sizes, named in the error."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from faceloom.models.build_facts import BuildFacts, coverage_member, fit_to_build, largest_side, members_of
from faceloom.models.presets import PRESETS, preset_from_values, preset_values, presets_of
from faceloom.schemas.errors import CheckpointError, TrainingError
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
    assert members_of(facts(**recipe).settings) - {"face", "landmarks", "json"} == members


@pytest.mark.parametrize(
    ("member", "text"),
    [
        ("mask", "no masked faces.*Add `masks`"),
        ("guide", "have no `guide`.*Add `guide`"),
        ("upper", "have no `upper`.*Add `output.halves`"),
        ("features", "have no `features`.*Add `output.features`"),
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


@pytest.mark.parametrize(("job", "name", "largest"), [("detector", "paper", 352), ("editor", "paper", 512)])
def test_what_no_card_may_hold_is_not_trained(job: str, name: str, largest: int) -> None:
    preset = presets_of(job)[name]
    assert largest_side(preset) == largest
    for side in (largest, largest + preset.stride):
        values, build = preset_values(replace(preset, size=side)), facts(align={"size": side})
        if side == largest:
            assert fit_to_build(preset, build, ("face",), "x") == preset_from_values(values, job=job)
            continue
        with pytest.raises(CheckpointError, match="form no network"):
            preset_from_values(values, job=job)
        with pytest.raises(TrainingError, match=f"at most {largest} "):
            fit_to_build(preset, build, ("face",), "x")


@pytest.mark.parametrize(("job", "name", "least"), [("detector", "small", 32), ("editor", "paper", 24)])
def test_crops_too_small_for_the_layers_are_refused(job: str, name: str, least: int) -> None:
    with pytest.raises(TrainingError, match=rf"at least {least}, .*\(got 16x16\)"):
        fit_to_build(presets_of(job)[name], facts(align={"size": 16}), ("face",), "x")
    assert fit_to_build(presets_of(job)[name], facts(align={"size": least}), ("face",), "x").size == least


def test_the_coverage_is_soft_where_the_build_has_it() -> None:
    assert coverage_member(facts(masks=MASKS).settings) == "mask"
    assert coverage_member(facts(masks=MASKS, output={"alpha": True}).settings) == "alpha"
