"""The plan: blind to order, fair, complete, and changed by nothing but what it touches."""

from __future__ import annotations

import hashlib
import random
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceloom.pipelines import planner
from faceloom.pipelines.choose import choose_faces
from faceloom.pipelines.planner import estimate_sample_bytes, make_plan
from faceloom.pipelines.prefix_tree import leaves
from faceloom.schemas.faces import AnalysedPhoto, FaceRow
from faceloom.schemas.keys import SAMPLE_KEY, digest, sample_key
from faceloom.schemas.masks import Mask
from faceloom.schemas.photos import Photo
from faceloom.schemas.plan import Plan, PlannedFace
from faceloom.schemas.recipe import Recipe, parse_recipe

Item = tuple[Photo, AnalysedPhoto]
POLYGON = {"kind": "polygon", "shape": "A"}
TEMPLATE = {"kind": "template", "template": "kn95"}


def recipe(**changes: Any) -> Recipe:
    return parse_recipe({"name": "x", "masks": [POLYGON, TEMPLATE], **changes})


def face(width: float = 100, left: float = 10, mark: float = 0) -> FaceRow:
    return FaceRow((left, 10, left + width, 10 + width), np.full((68, 2), mark, np.float32).tobytes(), 1.0, ())


def item(
    uri: str, *, content: object = None, identity: str | None = None, split: str | None = None, source: str = "s",
    faces: Sequence[FaceRow] = (face(),), code: str = "",
) -> Item:  # fmt: skip
    sha = hashlib.sha256(str(uri if content is None else content).encode()).hexdigest()
    photo = Photo(source, uri, identity, split, "CC0", None, (), None, 100, "t")
    return photo, AnalysedPhoto(
        photo.photo_id, 100, "t", sha, 640, 480, 1, () if code else tuple(faces), code, code and "m"
    )


def look(mask: Mask) -> str:
    return digest(mask.model_dump(mode="json", exclude={"weight"}))


def plan(items: Sequence[Item], how: Recipe | None = None) -> Plan:
    how = how or recipe()
    choice = choose_faces(how, [photo for photo, _ in items], {photo.photo_id: found for photo, found in items})
    return make_plan(how, choice, [look(m) for m in how.masks])


def faces_of(found: Plan) -> list[PlannedFace]:
    return [face for shard in found.shards for part in shard.parts for face in part.faces]


def parts_of(found: Plan) -> dict[str, tuple[PlannedFace, ...]]:
    return {part.digest: part.faces for shard in found.shards for part in shard.parts}


def many(count: int, people: int = 40) -> list[Item]:
    return [item(f"{n}.jpg", identity=f"person {n % people}") for n in range(count)]


SMALL = {"output": {"shards": {"samples": 12}}}

faces_st = st.lists(st.builds(face, st.floats(20, 200), st.floats(-20, 500)), min_size=1, max_size=3)
items_st = st.lists(
    st.builds(
        item, st.integers(0, 99).map(lambda n: f"{n}.jpg"), content=st.integers(0, 60),
        identity=st.none() | st.sampled_from("abcdef"), split=st.sampled_from([None, "train", "Test set"]),
        source=st.sampled_from(["s", "t"]), faces=faces_st, code=st.sampled_from(["", "", "", "no_face"]),
    ),
    max_size=40,
    unique_by=lambda one: one[0].photo_id,
)  # fmt: skip
recipes_st = st.builds(
    lambda by, select, per_face, masks, samples: recipe(
        split={"by": by} if by != "per_identity" else {"per_identity": 0.7},
        faces={"select": select},
        per_face=per_face,
        masks=masks,
        output={"shards": {"samples": samples}},
    ),
    st.sampled_from(["identity", "source", "per_identity"]),
    st.sampled_from(["largest", "all", "centre"]),
    st.integers(1, 3),
    st.sampled_from([[], [POLYGON], [POLYGON, TEMPLATE]]),
    st.integers(1, 50),
)


@given(items_st, recipes_st, st.randoms())
def test_the_order_of_photos_does_not_matter(items: list[Item], how: Recipe, rng: random.Random) -> None:
    shuffled = items[:]
    rng.shuffle(shuffled)
    assert plan(shuffled, how) == plan(items, how)


@given(items_st, recipes_st)
def test_photos_in_are_photos_planned_or_rejected(items: list[Item], how: Recipe) -> None:
    found = plan(items, how)
    planned = {(face.source, face.uri) for face in faces_of(found)}
    whole = [(reject.source, reject.uri) for reject in found.rejects if not reject.key]
    small = {(reject.source, reject.uri) for reject in found.rejects if reject.key}
    assert len(whole) == len(set(whole)), "no photo is rejected twice"
    assert not planned & set(whole), "what is rejected whole is not used"
    assert planned | set(whole) | small == {(photo.source, photo.uri) for photo, _ in items}


@given(items_st, recipes_st)
def test_faces_in_are_faces_planned_or_rejected(items: list[Item], how: Recipe) -> None:
    found = plan(items, how)
    seen = Counter((face.source, face.uri) for face in faces_of(found))
    seen.update((reject.source, reject.uri) for reject in found.rejects)
    for photo, analysed in items:
        gone = any((r.source, r.uri, r.key) == (photo.source, photo.uri, "") for r in found.rejects)
        chosen = len(analysed.faces) if how.faces.select == "all" else 1
        dropped = seen[photo.source, photo.uri]
        assert 1 <= dropped <= 1 + chosen if gone else dropped == chosen


@given(items_st, recipes_st)
def test_the_same_bytes_are_used_once_and_the_reject_names_what_is_kept(items: list[Item], how: Recipe) -> None:
    found = plan(items, how)
    used = {}
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


@given(items_st, st.integers(0, 50))
def test_nobody_is_on_two_sides(items: list[Item], seed: int) -> None:
    found = plan(items, recipe(seed=seed, faces={"select": "all"}, split={"shares": {"train": 0.5, "test": 0.5}}))
    named = {(photo.source, photo.uri): photo.identity for photo, _ in items}
    sides = defaultdict(set)
    for face in faces_of(found):
        sides[face.identity].add(face.split)
        sides["name:", named[face.source, face.uri] or face.photo_sha256].add(face.split)
    assert all(len(found) == 1 for found in sides.values())


@given(items_st, recipes_st)
def test_every_sample_has_a_key_of_its_own(items: list[Item], how: Recipe) -> None:
    found = plan(items, how)
    keys = [sample_key(f.photo_sha256, f.face, v) for f in faces_of(found) for v in range(f.samples)]
    assert len(keys) == len(set(keys)) == found.samples
    assert all(SAMPLE_KEY.fullmatch(key) for key in keys)


@given(items_st, recipes_st)
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


@given(items_st, recipes_st, st.data())
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


def test_one_persons_photos_stay_together_until_they_outgrow_a_shard() -> None:
    items = [item(f"{n}.jpg", identity=f"person {n % 60}") for n in range(600)]
    homes = defaultdict(set)
    for shard in plan(items, recipe(output={"shards": {"samples": 30}})).shards:
        for part in shard.parts:
            for face in part.faces:
                homes[face.identity].add(shard.name)
    assert all(len(found) == 1 for found in homes.values())


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
    items = [item(f"{n}.jpg", faces=[face(90 - k) for k in range(5)]) for n in range(150)]
    how = recipe(faces={"select": "all"}, split={"shares": {"train": 1.0}})
    for shard in plan(items, how).shards:
        for part in shard.parts:
            assert len({face.uri for face in part.faces}) <= 100
        assert max(len({face.uri for face in part.faces}) for part in shard.parts) > 50
        homes = [face.uri for part in shard.parts for face in part.faces]
        assert all(homes.count(uri) == 5 for uri in set(homes))


def test_a_photo_counts_by_whichever_of_its_faces_is_used() -> None:
    """A face number above 0 alone must not make the photo weightless."""
    items = [item(f"{n}.jpg", faces=[face(20), face(90)]) for n in range(300)]
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


@pytest.mark.parametrize("changes", [{"width": 641}, {"height": 481}])
def test_the_photos_size_is_part_of_a_part(changes: dict[str, int]) -> None:
    """For a photo that is aligned already, its size alone decides the crop."""
    photo, found = item("a.jpg")
    before, after = parts_of(plan([(photo, found)])), parts_of(plan([(photo, replace(found, **changes))]))
    assert not before.keys() & after.keys()


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


@pytest.mark.parametrize("seed", [0, 1])
def test_a_plan_is_the_same_for_ever(seed: int) -> None:
    """A release is only found again while plans keep their digests; raise RENDERER when this must change."""
    first, again = (plan(many(30), recipe(seed=seed)) for _ in range(2))
    assert first == again
    assert first.digest == digest([shard.name for shard in first.shards])


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


def test_what_the_record_says_of_a_morph_decides_its_part() -> None:
    """The same face in other units: nothing else in its row need tell them apart."""
    digests = set()
    for morph in ({}, {"lambda": 20}, {"texture_size": 112}, {"texture_units": "levels"}, {"background": "gradient"}):
        digests.add(plan([item("a.jpg")], recipe(morph=morph)).digest)
    assert len(digests) == 5
    assert plan([item("a.jpg")], recipe(morph={"draw": "random"})).digest in digests, "what is no part of it does not"
