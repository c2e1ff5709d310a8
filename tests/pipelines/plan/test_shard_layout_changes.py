"""Plans that change: what a photo more or less and another recipe touch, and what they leave as it was."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceloom.pipelines.plan import shard_layout as planner
from faceloom.schemas.keys import digest
from faceloom.schemas.recipe import Recipe
from tests.pipelines.planning import (
    ITEMS,
    POLYGON,
    RECIPES,
    SMALL,
    TEMPLATE,
    Item,
    item,
    many,
    parts_of,
    plan,
    recipe,
)


@given(ITEMS, RECIPES, st.data())
def test_a_changed_photo_changes_only_the_parts_that_hold_it(
    items: list[Item], how: Recipe, data: st.DataObject
) -> None:
    usable = [number for number, (photo, found) in enumerate(items) if not found.code]
    if not usable:
        return
    number = data.draw(st.sampled_from(usable))
    photo, found = items[number]
    changed = replace(found, faces=tuple(replace(face, landmarks=bytes([1]) * 544) for face in found.faces))
    before, after = (
        parts_of(plan(items, how)),
        parts_of(plan([*items[:number], (photo, changed), *items[number + 1 :]], how)),
    )
    for name, inside in before.items():
        holds = any((face.source, face.uri) == (photo.source, photo.uri) for face in inside)
        assert (name in after) is not holds


def test_new_bytes_touch_few_shards() -> None:
    """Here the photo moves inside its person's leaf, so one shard is enough; two where a leaf splits or merges."""
    how, items = recipe(**SMALL), many(600)
    before = {shard.name for shard in plan(items, how).shards}
    for number in range(0, 600, 60):
        photo, found = items[number]
        sha = hashlib.sha256(f"new {number}".encode()).hexdigest()
        after = {
            s.name
            for s in plan([*items[:number], (photo, replace(found, sha256=sha)), *items[number + 1 :]], how).shards
        }
        assert 1 <= len(before - after) <= 3
        assert 1 <= len(after - before) <= 4
    assert len(before) > 40


@pytest.mark.parametrize(
    "new", [item("new.jpg", identity="person 3"), item("new.jpg", identity="stranger"), item("new.jpg")]
)
def test_one_photo_more_touches_one_shard(new: Item) -> None:
    how, items = recipe(**SMALL), many(600)
    before, after = ({s.name for s in plan(some, how).shards} for some in (items, [*items, new]))
    assert len(before - after) <= 1
    assert 1 <= len(after - before) <= 3


def test_a_person_taken_out_touches_few_shards() -> None:
    how, items = recipe(**SMALL), many(600)
    without = [one for one in items if one[0].identity != "person 7"]
    before, after = ({s.name for s in plan(some, how).shards} for some in (items, without))
    held = {s.name for s in plan(items, how).shards for p in s.parts for f in p.faces if f.identity == "person 7"}
    assert held <= before - after
    assert len(before - after) <= len(held) + 2


def test_a_masks_colour_changes_only_the_parts_that_use_it() -> None:
    items = many(300)
    red, blue = (recipe(**SMALL, masks=[{**POLYGON, "colour": c}, {**TEMPLATE, "weight": 5}]) for c in ("red", "navy"))
    before, after = parts_of(plan(items, red)), parts_of(plan(items, blue))
    for name, inside in before.items():
        uses = any(0 in face.masks for face in inside)
        assert (name in after) is not uses
    unchanged = before.keys() & after.keys()
    assert 0 < len(unchanged) < len(before)


def test_all_weights_doubled_is_the_same_plan() -> None:
    once, twice = (recipe(masks=[{**POLYGON, "weight": w}, {**TEMPLATE, "weight": 3 * w}]) for w in (1, 2))
    assert plan(many(50), once) == plan(many(50), twice)


def test_what_decides_no_pixel_changes_no_part() -> None:
    items = many(300)
    base = plan(items)
    for changes in ({"name": "y"}, {"description": "d"}, {"faces": {"min_size": 30}}, {"faces": {"max_pixels": 10**9}}):
        assert plan(items, recipe(**changes)) == base


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 1},
        {"align": {"size": 128}},
        {"align": {"mode": "eye_level"}},
        {"output": {"image": "png"}},
        {"output": {"quality": 90}},
        {"output": {"alpha": True}},
        {"output": {"straps": True}},
        {"output": {"mask": "webp"}},
    ],
)
def test_what_decides_every_pixel_changes_every_part(changes: dict[str, Any]) -> None:
    items = many(100)
    assert not parts_of(plan(items)).keys() & parts_of(plan(items, recipe(**changes))).keys()


def test_other_shard_sizes_keep_the_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a new target size means joining anew, not rendering anew."""
    monkeypatch.setattr(planner, "PART_SAMPLES", 10)
    monkeypatch.setattr(planner, "PART_PHOTOS", 10)
    items = many(400)
    small, large = (plan(items, recipe(output={"shards": {"samples": n}})) for n in (40, 150))
    assert len(small.shards) > len(large.shards)
    assert parts_of(small) == parts_of(large)
    assert small.digest != large.digest


@pytest.mark.parametrize("changes", [{"width": 641}, {"height": 481}])
def test_the_photos_size_is_part_of_a_part(changes: dict[str, Any]) -> None:
    """For a photo that is aligned already, its size alone decides the crop."""
    photo, found = item("a.jpg")
    before, after = parts_of(plan([(photo, found)])), parts_of(plan([(photo, replace(found, **changes))]))
    assert not before.keys() & after.keys()


@pytest.mark.parametrize("seed", [0, 1])
def test_a_plan_is_the_same_for_ever(seed: int) -> None:
    """A release is only found again while plans keep their digests; raise RENDERER when this must change."""
    first, again = (plan(many(30), recipe(seed=seed)) for _ in range(2))
    assert first == again
    assert first.digest == digest([shard.name for shard in first.shards])


def test_what_the_record_says_of_a_morph_decides_its_part() -> None:
    """The same face in other units: nothing else in its row need tell them apart."""
    digests = set()
    for morph in ({}, {"lambda": 20}, {"texture_size": 112}, {"texture_units": "levels"}, {"background": "gradient"}):
        digests.add(plan([item("a.jpg")], recipe(morph=morph)).digest)
    assert len(digests) == 5
    assert plan([item("a.jpg")], recipe(morph={"draw": "random"})).digest in digests, "what is no part of it does not"
