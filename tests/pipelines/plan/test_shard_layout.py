"""The plan: blind to order, fair, complete, and in parts and shards of the size asked for."""

from __future__ import annotations

import random
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceloom.pipelines.plan import shard_layout as planner
from faceloom.pipelines.plan.prefix_tree import leaves
from faceloom.pipelines.plan.shard_layout import estimate_sample_bytes
from faceloom.schemas.keys import SAMPLE_KEY, digest, sample_key
from faceloom.schemas.plan import FaceList, PlannedFace, PlannedMorph
from faceloom.schemas.recipe import Recipe
from tests.pipelines.planning import ITEMS, POLYGON, RECIPES, SMALL, Item, face_row, faces_of, item, many, plan, recipe


@given(ITEMS, RECIPES, st.randoms())
def test_the_order_of_photos_does_not_matter(items: list[Item], how: Recipe, rng: random.Random) -> None:
    shuffled = items[:]
    rng.shuffle(shuffled)
    assert plan(shuffled, how) == plan(items, how)


@given(ITEMS, RECIPES)
def test_photos_in_are_photos_planned_or_rejected(items: list[Item], how: Recipe) -> None:
    found = plan(items, how)
    planned = {(face.source, face.uri) for face in faces_of(found)}
    whole = [(reject.source, reject.uri) for reject in found.rejects if not reject.key]
    small = {(reject.source, reject.uri) for reject in found.rejects if reject.key}
    assert len(whole) == len(set(whole)), "no photo is rejected twice"
    assert not planned & set(whole), "what is rejected whole is not used"
    assert planned | set(whole) | small == {(photo.source, photo.uri) for photo, _ in items}


@given(ITEMS, RECIPES)
def test_faces_in_are_faces_planned_or_rejected(items: list[Item], how: Recipe) -> None:
    found = plan(items, how)
    seen = Counter((face.source, face.uri) for face in faces_of(found))
    seen.update((reject.source, reject.uri) for reject in found.rejects)
    for photo, analysed in items:
        gone = any((r.source, r.uri, r.key) == (photo.source, photo.uri, "") for r in found.rejects)
        chosen = len(analysed.faces) if how.faces.select == "all" else 1
        dropped = seen[photo.source, photo.uri]
        assert 1 <= dropped <= 1 + chosen if gone else dropped == chosen


@given(ITEMS, RECIPES)
def test_the_same_bytes_are_used_once_and_the_reject_names_what_is_kept(items: list[Item], how: Recipe) -> None:
    found = plan(items, how)
    used: dict[str, tuple[str, str]] = {}
    for face in faces_of(found):
        assert used.setdefault(face.photo_sha256, (face.source, face.uri)) == (face.source, face.uri)
    content = {(photo.source, photo.uri): analysed.sha256 for photo, analysed in items}
    ids = {photo.photo_id: analysed.sha256 for photo, analysed in items}
    for reject in found.rejects:
        if reject.code == "duplicate_photo":
            kept = re.fullmatch(r"the same bytes as (.*), which is used", reject.message)
            assert kept is not None
            assert ids[kept[1]] == content[reject.source, reject.uri]
            assert kept[1] != f"{reject.source}/{reject.uri}"


@given(ITEMS, st.integers(0, 50))
def test_no_one_is_on_two_sides(items: list[Item], seed: int) -> None:
    found = plan(items, recipe(seed=seed, faces={"select": "all"}, split={"shares": {"train": 0.5, "test": 0.5}}))
    named = {(photo.source, photo.uri): photo.identity for photo, _ in items}
    sides = defaultdict(set)
    for face in faces_of(found):
        sides[face.identity].add(face.split)
        sides[named[face.source, face.uri] or face.photo_sha256].add(face.split)
    assert all(len(found) == 1 for found in sides.values())


@given(ITEMS, RECIPES)
def test_every_sample_has_a_key_of_its_own(items: list[Item], how: Recipe) -> None:
    found = plan(items, how)
    keys = [sample_key(f.photo_sha256, f.face, v) for f in faces_of(found) for v in range(f.samples)]
    assert len(keys) == len(set(keys)) == found.samples
    assert all(SAMPLE_KEY.fullmatch(key) for key in keys)


@given(ITEMS, RECIPES)
def test_shards_keep_to_the_target_and_to_the_order(items: list[Item], how: Recipe) -> None:
    for shard in plan(items, how).shards:
        inside = [face for part in shard.parts for face in part.faces]
        assert shard.samples <= how.output.shards.samples or len({face.place for face in inside}) == 1
        assert all((a.place, a.face) < (b.place, b.face) for a, b in pairwise(inside))
        assert {face.split for face in inside} == {shard.split}
        split, prefix, name = shard.name.rsplit("-", 2)
        assert re.fullmatch(r"[a-z0-9_]+", split)
        assert re.fullmatch(r"all|[01]+", prefix)
        assert re.fullmatch(r"[0-9a-f]{12}", name)
        if prefix != "all":
            assert all(f"{face.place:096b}".startswith(prefix) for face in inside)


def test_one_persons_photos_stay_together_until_they_outgrow_a_shard() -> None:
    items = [item(f"{n}.jpg", identity=f"person {n % 60}") for n in range(600)]
    homes = defaultdict(set)
    for shard in plan(items, recipe(output={"shards": {"samples": 30}})).shards:
        for part in shard.parts:
            for face in part.faces:
                homes[face.identity].add(shard.name)
    assert all(len(found) == 1 for found in homes.values())


@pytest.mark.parametrize("per_face", [1, 30])
def test_parts_hold_about_a_hundred_photos_or_a_thousand_samples(per_face: int) -> None:
    items = [item(f"{n}.jpg") for n in range(700)]
    found = plan(
        items, recipe(per_face=per_face, split={"shares": {"train": 1.0}}, output={"shards": {"bytes": "9GB"}})
    )
    sizes = [len(part.faces) for shard in found.shards for part in shard.parts]
    most = 100 if per_face == 1 else 1000 // 30
    assert max(sizes) <= most
    assert sum(sizes) / len(sizes) > most / 3


def test_many_faces_of_one_photo_are_one_photo_of_a_part() -> None:
    items = [item(f"{n}.jpg", faces=[face_row(90 - k) for k in range(5)]) for n in range(150)]
    how = recipe(faces={"select": "all"}, split={"shares": {"train": 1.0}})
    for shard in plan(items, how).shards:
        for part in shard.parts:
            assert len({face.uri for face in part.faces}) <= 100
        assert max(len({face.uri for face in part.faces}) for part in shard.parts) > 50
        homes = [face.uri for part in shard.parts for face in part.faces]
        assert all(homes.count(uri) == 5 for uri in set(homes))


def test_a_photo_counts_by_whichever_of_its_faces_is_used() -> None:
    """A face number above 0 alone must not make the photo weightless."""
    items = [item(f"{n}.jpg", faces=[face_row(20), face_row(90)]) for n in range(300)]
    found = plan(items, recipe(faces={"select": "all"}, split={"shares": {"train": 1.0}}))
    assert max(len(part.faces) for shard in found.shards for part in shard.parts) <= 100


def test_the_work_of_planning_grows_with_photos_not_with_photos_times_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at = 0

    def counted(places: Sequence[int], *rest: Any, **named: Any) -> Any:
        nonlocal looked_at
        looked_at += len(places)
        return leaves(places, *rest, **named)

    monkeypatch.setattr(planner, "leaves", counted)
    found = plan(many(400), recipe(**SMALL))
    assert len(found.shards) > 30
    assert looked_at == 2 * 400


def test_the_byte_target_divides_shards_too() -> None:
    how = recipe(output={"shards": {"bytes": "200kB", "samples": 10**6}}, split={"shares": {"train": 1.0}})
    found = plan([item(f"{n}.jpg") for n in range(300)], how)
    limit = 200_000 // found.sample_bytes
    assert len(found.shards) > 300 / limit
    assert max(shard.samples for shard in found.shards) <= limit


def test_a_shard_takes_one_sample_even_when_that_is_over_the_target() -> None:
    found = plan(many(5), recipe(output={"shards": {"bytes": 1}}))
    assert [shard.samples for shard in found.shards] == [1] * 5


def test_without_masks_each_face_is_one_sample() -> None:
    found = plan(many(10), recipe(masks=[], per_face=4))
    assert found.samples == 10
    assert {face.masks for face in faces_of(found)} == {()}


def test_rows_carry_what_is_known_of_the_photo() -> None:
    photo, found = item("a.jpg", identity="Ada")
    photo = replace(photo, attributes=(("age", 36),), consent="yes")
    [face] = faces_of(plan([(photo, found)]))
    assert (face.licence, face.consent, face.attributes) == ("CC0", "yes", (("age", 36),))
    assert (face.width, face.height, face.box) == (640, 480, found.faces[0].box)
    for changed in (replace(photo, licence="other"), replace(photo, consent=None), replace(photo, attributes=())):
        assert plan([(changed, found)]).digest != plan([(photo, found)]).digest


def test_nothing_in_nothing_out() -> None:
    found = plan([])
    assert (found.shards, found.rejects, found.samples) == ((), (), 0)
    assert found.digest == digest([])


def test_rejects_are_sorted() -> None:
    found = plan([item(f"{n}.jpg", code="no_face", source=s) for n in (3, 1, 2) for s in ("t", "s")])
    assert [(r.source, r.uri) for r in found.rejects] == [(s, f"{n}.jpg") for s in "st" for n in (1, 2, 3)]


def test_the_estimated_size_grows_with_what_a_sample_holds() -> None:
    def size(masked: bool = True, side: int = 112, **output: Any) -> int:
        return estimate_sample_bytes(recipe(align={"size": side}, output=output, masks=[POLYGON] if masked else []))

    assert size(masked=False) < size() < size(alpha=True) < size(side=224, alpha=True)
    assert size(quality=70) < size(quality=100) < size(image="webp") < size(image="png")
    assert 10_000 < size() < 40_000


@pytest.mark.parametrize(
    "more",
    [
        {"output": {"halves": {}}},
        {"output": {"features": {"model": "net.pt"}}},
        {"guide": {"attribute": "Smiling"}},
        {"lowres": {"sizes": [28]}},
        {"lowres": {"sizes": [28], "upsampled": True}},
    ],
)
def test_every_product_counts_in_the_estimate(more: dict[str, Any]) -> None:
    assert estimate_sample_bytes(recipe(**more)) > estimate_sample_bytes(recipe())


def test_a_parts_digest_is_that_of_earlier_versions() -> None:
    """Other fields in the digest would render every shard again."""
    box = (1.5, 2.0, 30.25, 40.0)
    other = PlannedFace(
        "t", "b.jpg", "cd" * 32, 1, "Bob", "train", None, "yes", (), 640, 480, b"\x01" * 544, box, (1,), 7,
        "other labels",
    )  # fmt: skip
    mixed = PlannedMorph(other, 2, 31.5, 3.0, 1.5, 0.25, 0.75)
    face = PlannedFace(
        "s", "a.jpg", "ab" * 32, 0, "Ada+Bob", "train", "CC0", None, (("age", 36),), 320, 240, b"\x02" * 544, box, (0,),
        5, "labels", mixed,
    )  # fmt: skip
    layout = planner._Layout(1, 1, "settings", ["m"])
    for one, name in ((face, "29d58c61378feab9e02e46ce"), (replace(face, morph=None), "e1bb1969b5ad2f2ba5ef6911")):
        [shard] = layout.shards("train", FaceList([one]))
        assert [part.digest for part in shard.parts] == [name]


@given(ITEMS, st.integers(1, 9))
def test_each_split_has_enough_shards_if_it_has_enough_faces(items: list[Item], least: int) -> None:
    how = recipe(output={"shards": {"min_per_split": least}})
    by_split = Counter(shard.split for shard in plan(items, how).shards)
    places = defaultdict(set)
    for face in faces_of(plan(items, how)):
        places[face.split].add(face.place)
    for split, count in by_split.items():
        assert count >= min(least, len(places[split]))
    fewer = plan(items, recipe())
    assert sum(by_split.values()) >= len(fewer.shards) and faces_of(plan(items, how)) == faces_of(fewer)


def test_the_least_number_of_shards_changes_no_sample() -> None:
    some = many(40)
    one, several = plan(some, recipe()), plan(some, recipe(output={"shards": {"min_per_split": 4}}))
    assert len(several.shards) > len(one.shards)
    assert [face.key for face in faces_of(one)] == [face.key for face in faces_of(several)]
