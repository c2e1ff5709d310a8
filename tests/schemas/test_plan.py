"""The plan's rows: counts add up from faces to parts to shards, and names say what a shard is."""

from __future__ import annotations

import dataclasses
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceloom.schemas.keys import SAMPLE_KEY
from faceloom.schemas.plan import Part, Plan, PlannedFace, Shard


def planned(masks: int = 1, face: int = 0) -> PlannedFace:
    return PlannedFace(
        source="s", uri="a.jpg", photo_sha256="ab" * 32, face=face, identity="Ada", split="train", licence=None,
        consent=None, attributes=(("age", 36),), width=640, height=480, landmarks=bytes(544), box=(0, 0, 9, 9),
        masks=(0,) * masks, place=5,
    )  # fmt: skip


@given(st.lists(st.lists(st.lists(st.integers(0, 5), max_size=4), max_size=3), max_size=3))
def test_samples_add_up(layout: list[list[list[int]]]) -> None:
    shards = tuple(
        Shard("train", "all", "0" * 12, tuple(Part("p", tuple(planned(n) for n in part)) for part in shard))
        for shard in layout
    )
    plan = Plan("d", shards, (), 1000)
    assert plan.samples == sum(max(1, n) for shard in layout for part in shard for n in part)
    assert [shard.samples for shard in plan.shards] == [sum(part.samples for part in one.parts) for one in plan.shards]


def test_a_face_without_masks_is_one_sample_and_else_one_per_variant() -> None:
    assert planned(0).samples == 1
    assert planned(1).samples == 1
    assert planned(5).samples == 5


def test_a_shards_name_is_split_prefix_digest() -> None:
    name = Shard("val", "0101", "0123456789ab", ()).name
    assert name == "val-0101-0123456789ab"
    assert SAMPLE_KEY.fullmatch(name)


def test_plans_travel_and_compare_by_content() -> None:
    plan = Plan("d", (Shard("train", "all", "0" * 12, (Part("p", (planned(2),)),)),), (), 1000)
    assert pickle.loads(pickle.dumps(plan)) == plan
    assert dataclasses.replace(plan, digest="e") != plan
    with pytest.raises(dataclasses.FrozenInstanceError):
        plan.digest = "e"  # type: ignore[misc]


def test_a_planned_face_is_small() -> None:
    """A few hundred bytes beside its landmarks, so that a plan of millions fits in memory."""
    assert len(pickle.dumps(planned(3))) < 544 + 800
