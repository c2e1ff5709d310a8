"""The plan's rows: counts add up from faces to parts to shards, and names say what a shard is."""

from __future__ import annotations

import dataclasses
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceloom.schemas.keys import SAMPLE_KEY, sample_key, variant_key
from faceloom.schemas.plan import FaceList, Part, Plan, PlannedFace, PlannedFrame, PlannedMorph, Shard


def planned(masks: int = 1, face: int = 0) -> PlannedFace:
    return PlannedFace(
        source="s", uri="a.jpg", photo_sha256="ab" * 32, face=face, identity="Ada", split="train", licence=None,
        consent=None, attributes=(("age", 36),), width=640, height=480, landmarks=bytes(544), box=(0, 0, 9, 9),
        masks=(0,) * masks, place=5,
    )  # fmt: skip


@given(st.lists(st.lists(st.lists(st.integers(0, 5), max_size=4), max_size=3), max_size=3))
def test_samples_add_up(layout: list[list[list[int]]]) -> None:
    shards = tuple(
        Shard("train", "all", "0" * 12, tuple(Part("p", FaceList(planned(n) for n in part)) for part in shard))
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
    plan = Plan("d", (Shard("train", "all", "0" * 12, (Part("p", FaceList([planned(2)])),)),), (), 1000)
    assert pickle.loads(pickle.dumps(plan)) == plan
    assert dataclasses.replace(plan, digest="e") != plan
    with pytest.raises(dataclasses.FrozenInstanceError):
        plan.digest = "e"  # type: ignore[misc]


def test_a_planned_face_is_small() -> None:
    """A few hundred bytes beside its landmarks, so that a plan of millions fits in memory."""
    assert len(pickle.dumps(planned(3))) < 544 + 800


def morphed(face: PlannedFace, other: PlannedFace) -> PlannedFace:
    mixed = PlannedMorph(
        other=other, rank=0, distance=30.0, landmark_distance=2.0, texture_distance=10.0, shape_weight=0.5,
        texture_weight=0.5,
    )  # fmt: skip
    return dataclasses.replace(face, morph=mixed)


def test_a_key_is_of_the_face_or_of_the_morph_and_its_neighbour() -> None:
    face, other = planned(), dataclasses.replace(planned(face=3), photo_sha256="cd" * 32)
    mixed = morphed(face, other)
    assert face.key == "ab" * 8 + "-f00" and other.key == "cd" * 8 + "-f03"
    assert mixed.key == f"{face.key}-x-{other.key}"
    assert len({face.key, other.key, mixed.key, morphed(other, face).key}) == 4, "A with B is not B with A"
    assert variant_key(face.key, 2) == sample_key(face.photo_sha256, 0, 2)
    assert all(SAMPLE_KEY.fullmatch(variant_key(one.key, 0)) for one in (face, other, mixed))


@given(st.lists(st.lists(st.lists(st.integers(0, 99), max_size=3), max_size=3), max_size=3))
def test_the_faces_of_a_plan_are_those_of_its_parts_in_their_order(layout: list[list[list[int]]]) -> None:
    """The order is that of the shards' bytes."""
    shards = tuple(
        Shard(
            "train",
            "all",
            f"{n:012d}",
            tuple(Part("p", FaceList(planned(face=face) for face in part)) for part in shard),
        )
        for n, shard in enumerate(layout)
    )
    plan = Plan("d", shards, (), 1000)
    assert [one.face for one in plan.faces] == [face for shard in layout for part in shard for face in part]
    assert len(list(plan.faces)) == len(list(plan.faces)), "it can be gone through again"


def test_a_morph_counts_its_variants_as_any_face_does_and_travels() -> None:
    mixed = morphed(planned(4), planned(1, face=1))
    assert mixed.samples == 4
    assert pickle.loads(pickle.dumps(mixed)) == mixed != planned(4)
    assert mixed.morph is not None and mixed.morph.other.landmarks == planned().landmarks


def test_an_empty_plan_has_no_samples() -> None:
    assert (Plan("d", (), (), 0).samples, list(Plan("d", (), (), 0).faces)) == (0, [])
    assert Shard("train", "all", "0" * 12, ()).samples == Part("p", FaceList(())).samples == 0


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(PlannedFace)])
def test_rows_that_differ_in_anything_are_not_equal(field: str) -> None:
    """What is compared decides whether a part is rendered again."""
    row, other = planned(2), morphed(planned(2), planned(1, face=1))
    value = getattr(row, field)
    changes: dict[str, object] = {
        "morph": other.morph, "licence": "CC0", "consent": "yes", "labels": "ff", "five": bytes(40),
        "detector": "hog", "score": 0.5, "frame": PlannedFrame((), ("Ada",)),
    }  # fmt: skip
    different = changes.get(field, value[:-1] if isinstance(value, str | bytes | tuple) else None)
    change: dict[str, Any] = {field: value + 1 if isinstance(value, int) else different}
    changed = dataclasses.replace(row, **change)
    assert changed != row and hash(changed) != hash(row)
