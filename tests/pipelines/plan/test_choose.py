"""The choice of faces: blind to order, complete, fair to masks, and no one on two sides."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceloom.pipelines.plan import choose
from faceloom.pipelines.plan.choose import ChosenFaces
from faceloom.schemas.faces import UNREADABLE
from faceloom.schemas.photos import GivenFace, Reject
from faceloom.schemas.plan import PlannedFace
from faceloom.schemas.recipe import Recipe
from tests.pipelines.planning import POLYGON, TEMPLATE, Item, face_row, item, many, recipe
from tests.pipelines.planning import choose as choose_of


def pick(items: Sequence[Item], how: Recipe | None = None) -> ChosenFaces:
    """The choice, in the order of the photos instead of that of the plan."""
    found = choose_of(how or recipe(), items)
    faces = tuple(sorted(found.faces, key=lambda face: (face.uri, face.source, face.face)))
    return replace(found, faces=faces, rejects=tuple(sorted(found.rejects, key=lambda one: (one.uri, one.key))))


def chosen(items: Sequence[Item], how: Recipe | None = None) -> tuple[PlannedFace, ...]:
    return tuple(pick(items, how).faces)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_mask_added_anywhere_changes_only_the_samples_that_wear_it(place: int) -> None:
    items, masks = many(400), [POLYGON, TEMPLATE]
    more = [*masks[:place], {**POLYGON, "shape": "F", "weight": 0.5}, *masks[place:]]
    before = {face.key: masks[face.masks[0]] for face in chosen(items, recipe(masks=masks))}
    after = {face.key: more[face.masks[0]] for face in chosen(items, recipe(masks=more))}
    changed = {key for key in before if before[key] != after[key]}
    assert changed == {key for key, mask in after.items() if mask is more[place]}
    assert 40 < len(changed) < 130, "a fifth of the weight"


def test_looks_of_a_mask_change_no_draw() -> None:
    one, other = (recipe(masks=[{**POLYGON, "colour": colour}, TEMPLATE]) for colour in ("red", "navy"))
    assert [face.masks for face in chosen(many(50), one)] == [face.masks for face in chosen(many(50), other)]


def test_other_weights_change_draws() -> None:
    one, other = (recipe(masks=[{**POLYGON, "weight": w}, TEMPLATE]) for w in (1, 4))
    assert chosen(many(50), one) != chosen(many(50), other)


def test_weights_are_kept_over_many_samples() -> None:
    weights = [1, 3, 6]
    how = recipe(
        masks=[{**POLYGON, "shape": shape, "weight": w} for shape, w in zip("ACE", weights, strict=True)], per_face=5
    )
    drawn = Counter(number for face in chosen(many(800), how) for number in face.masks)
    total = drawn.total()
    assert total == 4000
    for number, weight in enumerate(weights):
        share = weight / 10
        assert abs(drawn[number] / total - share) < 5 * (share * (1 - share) / total) ** 0.5


def test_more_variants_keep_the_first_ones() -> None:
    less, more = (chosen(many(50), recipe(per_face=count)) for count in (2, 5))
    assert [face.masks for face in less] == [face.masks[:2] for face in more]
    assert any(len(set(face.masks)) > 1 for face in more)


def test_a_faces_masks_do_not_depend_on_the_other_photos() -> None:
    items = many(100)
    whole = {face.uri: face.masks for face in chosen(items)}
    some = {face.uri: face.masks for face in chosen(items[::7])}
    assert some == {uri: whole[uri] for uri in some}


def test_duplicates_keep_the_one_with_a_name_and_then_the_first() -> None:
    items = [item("b.jpg", content=1, identity="Ada", source="z"), item("a.jpg", content=1), item("c.jpg", content=1)]
    found = pick(items)
    assert [(face.source, face.uri, face.identity) for face in found.faces] == [("z", "b.jpg", "Ada")]
    assert [(r.code, r.uri, r.message) for r in found.rejects] == [
        ("duplicate_photo", uri, "the same bytes as z/b.jpg, which is used") for uri in ("a.jpg", "c.jpg")
    ]
    assert {r.stage for r in found.rejects} == {"plan"}


def test_a_photo_of_two_people_is_a_conflict_that_names_both() -> None:
    items = [item(f"{who}/{n}.jpg", content=n, identity=f"{who} {n}") for n in range(60) for who in ("Ada", "Grace")]
    found = pick([*items, item("z/3.jpg", content=3), item("z/99.jpg", identity="Ada 3")])
    assert [face.uri for face in found.faces] == ["z/99.jpg"], "no copy is used, whatever person it is filed under"
    assert {reject.code for reject in found.rejects} == {"identity_conflict"} and len(found.rejects) == 121
    messages = {reject.message for reject in found.rejects if reject.uri.endswith("/3.jpg")}
    assert messages == {"the same photo is filed under Ada 3 and Grace 3: s/Ada/3.jpg and s/Grace/3.jpg"}


def placed(uri: str, *names: str | None, content: object = None, boxed: bool = True, **more: Any) -> Item:
    """A photo in which the source places a face for each of some people."""
    rows = tuple(face_row(100 - n, left=110 * n, mark=n + 1) for n in range(len(names)))
    faces = tuple(
        GivenFace(name, (("age", n),), row.box if boxed else None, row.landmarks)
        for n, (name, row) in enumerate(zip(names, rows, strict=True))
    )
    photo, row = item(uri, content=content, faces=rows, **more)
    first = next((name for name in names if name), None)
    return replace(photo, identity=first, attributes=faces[0].attributes, faces=faces), row


@pytest.mark.parametrize("select", ["largest", "all", "centre"])
def test_each_named_face_keeps_its_name_and_attributes(select: str) -> None:
    items = [placed("a.jpg", "Ann", "Bob", None), item("b.jpg", identity="Cid"), placed("c.jpg", None)]
    faces = {(face.uri, face.face): face for face in pick(items, recipe(faces={"select": select})).faces}
    sha = faces["a.jpg", 2].photo_sha256[:16]
    assert {key: face.identity for key, face in faces.items()} == {
        ("a.jpg", 0): "Ann",
        ("a.jpg", 1): "Bob",
        ("a.jpg", 2): f"photo-{sha}-f02",
        ("b.jpg", 0): "Cid",
        ("c.jpg", 0): f"photo-{faces['c.jpg', 0].photo_sha256[:16]}",
    }
    assert [faces["a.jpg", n].attributes for n in range(3)] == [(("age", n),) for n in range(3)]
    assert faces["a.jpg", 1].landmarks == face_row(mark=2).landmarks
    assert len({face.place for face in faces.values() if face.uri == "a.jpg"}) == 1, "one photo lies in one part"


def test_a_face_that_is_placed_wrongly_is_a_reject_and_the_others_stay() -> None:
    photo, row = placed("a.jpg", "Ann", "Bob", "Cid")
    bad = replace(row, faces=(row.faces[0], replace(row.faces[1], landmarks=b""), row.faces[2]))
    found = pick([(photo, bad)])
    assert [(face.face, face.identity) for face in found.faces] == [(0, "Ann"), (2, "Cid")]
    (reject,) = found.rejects
    assert (reject.stage, reject.code, reject.key[-3:]) == ("analyse", "degenerate_points", "f01")
    assert "given for Bob" in reject.message


def test_five_points_of_the_source_align() -> None:
    five = np.arange(10, dtype=np.float32).tobytes()
    photo, row = item("a.jpg", identity="Ann")
    group, rows = placed("b.jpg", "Ann", "Bob", "Cid")
    faces = list(group.faces)
    faces[1] = replace(faces[1], landmarks=five[::-1])
    items = [(replace(photo, landmarks=five), row), (replace(group, faces=tuple(faces)), rows), item("c.jpg")]
    found = {(face.uri, face.face): face.five for face in chosen(items)}
    assert found == {
        ("a.jpg", 0): five,
        ("b.jpg", 0): b"",
        ("b.jpg", 1): five[::-1],
        ("b.jpg", 2): b"",
        ("c.jpg", 0): b"",
    }


def test_a_group_photo_is_no_conflict_with_a_copy_under_one_of_its_names() -> None:
    items = [item("a.jpg", content=1, identity="Bob"), placed("b.jpg", "Ann", "Bob", content=1)]
    found = pick(items)
    assert [(face.uri, face.identity) for face in found.faces] == [("b.jpg", "Ann"), ("b.jpg", "Bob")]
    assert [reject.code for reject in found.rejects] == ["duplicate_photo"]
    assert not pick([item("a.jpg", content=1, identity="Cid"), items[1]]).faces


@given(
    st.lists(st.lists(st.sampled_from("abcdefghijkl"), min_size=1, max_size=3, unique=True), max_size=12), st.randoms()
)
def test_people_who_share_a_photo_share_a_split(photos: list[list[str]], random: random.Random) -> None:
    half = recipe(split={"shares": {"train": 0.5, "test": 0.5}})
    items = [placed(f"{n}.jpg", *names) for n, names in enumerate(photos)]
    items += [item(f"alone {name}.jpg", identity=name) for name in "abcdefghijkl"]
    random.shuffle(items)
    sides: dict[str, set[str]] = {}
    for face in chosen(items, half):
        sides.setdefault(face.identity, set()).add(face.split)
    assert all(len(found) == 1 for found in sides.values())
    assert all(len({next(iter(sides[name])) for name in names}) == 1 for names in photos)
    alone = {
        face.identity: face.split for face in chosen([one for one in items if one[0].uri.startswith("alone")], half)
    }
    linked = {name for names in photos if len(names) > 1 for name in names}
    assert all(sides[name] == {alone[name]} for name in set(sides) - linked), "others stay where they are"


def test_a_long_chain_of_people_is_a_warning() -> None:
    half = recipe(split={"shares": {"train": 0.5, "test": 0.5}})
    chain = [placed(f"{n}.jpg", f"p{n}", f"p{n + 1}") for n in range(50)]
    (warning,) = pick([*chain, item("x.jpg", identity="x"), item("y.jpg", identity="y1")], half).warnings[-1:]
    assert "the longest has 51 people" in warning and "instead of 50%" in warning
    assert not pick([placed("a.jpg", "Ann", "Bob"), *many(400)], half).warnings


def test_duplicates_by_the_sources_split_keep_one_that_has_a_side() -> None:
    items = [item("a.jpg", content=1), item("b.jpg", content=1, split="test"), item("c.jpg", content=1, split="train")]
    found = pick(items, recipe(split={"by": "source"}))
    assert [(face.uri, face.split) for face in found.faces] == [("b.jpg", "test")]
    assert {(r.uri, r.code) for r in found.rejects} == {("a.jpg", "duplicate_photo"), ("c.jpg", "duplicate_photo")}


GUIDE = {"attribute": "Smiling"}
OVER: dict[str, Any] = {"in_front": []}
"""Masks lie over everything, so that labels do not matter."""


def test_of_duplicates_one_with_labels_is_kept_where_the_recipe_has_a_guide() -> None:
    items = [item("a.jpg", content=1), item("b.jpg", content=1, labels="12ab"), item("c.jpg", content=1, labels="34cd")]
    found = pick(items, recipe(guide=GUIDE))
    assert [(face.uri, face.labels) for face in found.faces] == [("b.jpg", "12ab")]
    assert [face.uri for face in chosen(items)] == ["b.jpg"], "parts stay in front of masks"
    assert [(face.uri, face.labels) for face in chosen(items, recipe(faces=OVER))] == [("a.jpg", "")]
    assert pick(items[::-1], recipe(guide=GUIDE)).faces == found.faces


def test_a_name_counts_for_more_than_labels() -> None:
    items = [item("a.jpg", content=1, labels="12ab"), item("b.jpg", content=1, identity="Ada")]
    assert [face.identity for face in chosen(items, recipe(guide=GUIDE))] == ["Ada"]


def test_labels_that_cannot_be_read_are_a_reject_of_recipes_that_use_labels() -> None:
    items = [item("a.jpg", content=1, labels=f"{UNREADABLE}gone"), item("b.jpg", content=1), item("c.jpg")]
    found = pick(items, recipe(guide=GUIDE))
    assert [face.uri for face in found.faces] == ["b.jpg", "c.jpg"]
    message = "its label files cannot be read: gone"
    assert found.rejects == (Reject("plan", "s", "a.jpg", "bad_labels", message),)
    assert [(face.uri, face.labels) for face in chosen(items, recipe(faces=OVER))] == [("a.jpg", ""), ("c.jpg", "")]
    assert [(face.uri, face.labels) for face in chosen(items[:1])] == [("a.jpg", "")], "masks go on without labels"
    assert [face.uri for face in chosen([items[0], item("b.jpg", content=1, labels="12ab")])] == ["b.jpg"]


def test_a_photo_that_analysis_rejected_hides_no_other() -> None:
    items = [item("a.jpg", content=1, code="no_face"), item("b.jpg", content=1)]
    found = pick(items)
    assert [face.uri for face in found.faces] == ["b.jpg"]
    assert found.rejects == (Reject("analyse", "s", "a.jpg", "no_face", "m"),)


def splits_of(*names: str) -> list[str]:
    """What the plan makes of the source's split names."""
    items = [item(f"{n}.jpg", split=name) for n, name in enumerate(names)]
    found = {face.uri: face.split for face in chosen(items, recipe(split={"by": "source"}))}
    return [found[f"{n}.jpg"] for n in range(len(names))]


def test_the_sources_split_is_taken_by_name_and_missing_ones_are_rejected() -> None:
    items = [item("a.jpg", split="Train"), item("b.jpg", split="held_out"), item("c.jpg")]
    found = pick(items, recipe(split={"by": "source"}))
    assert {face.uri: face.split for face in found.faces} == {"a.jpg": "train", "b.jpg": "held_out"}
    [reject] = found.rejects
    assert (reject.stage, reject.uri, reject.code) == ("plan", "c.jpg", "no_split")


def test_split_names_that_differ_in_more_than_case_stay_apart() -> None:
    names = ["학습", "시험", "train-a", "train a", "train_a", "///", "_train", "train", "entraînement"]
    found = splits_of(*names)
    assert len(set(found)) == len(names)
    assert all(re.fullmatch(r"[a-z0-9_]+", name) for name in found)
    assert (found[4], found[7]) == ("train_a", "train"), "plain names stay as they are"
    assert all(re.fullmatch(r"train_a_[0-9a-f]{6}", name) for name in found[2:4]), "others can still be read"


@pytest.mark.parametrize(("one", "other"), [("TRAIN", "train"), ("Held Out!", "held out!"), ("ÉTÉ", "été")])
def test_split_names_that_differ_in_case_are_one(one: str, other: str) -> None:
    assert len(set(splits_of(one, other))) == 1


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), st.text(min_size=1))
def test_split_names_meet_only_if_they_are_one(one: str, other: str) -> None:
    found = [choose._split_file_name(name) for name in (one, other)]
    assert (found[0] == found[1]) is (one.lower() == other.lower())
    assert all(re.fullmatch(r"[a-z0-9_]{1,50}", name) for name in found)


def test_a_long_split_name_leaves_room_in_the_file_name() -> None:
    one, other = splits_of("x" * 300, "x" * 301)
    assert one != other
    deepest = f"{one}-{'0' * 96}-{'0' * 12}.parquet.partial-{2**22}-{2**47}"
    assert len(deepest) < 255


def test_per_identity_takes_the_share_of_each_person() -> None:
    found = pick(many(400, people=20), recipe(split={"per_identity": 0.7}))
    sides = Counter((face.identity, face.split) for face in found.faces)
    assert {(count, split) for (_, split), count in sides.items()} == {(14, "train"), (6, "test")}


def test_in_a_group_photo_no_one_gets_the_photos_name() -> None:
    two = item("two.jpg", identity="Ada", faces=[face_row(100), face_row(90, left=200)])
    one = item("one.jpg", identity="Ada")
    names = {(f.uri, f.face): f.identity for f in chosen([two, one], recipe(faces={"select": "all"}))}
    sha = two[1].sha256[:16]
    assert names == {("one.jpg", 0): "Ada", ("two.jpg", 0): f"photo-{sha}-f00", ("two.jpg", 1): f"photo-{sha}-f01"}
    alone = chosen([two], recipe(faces={"select": "largest"}))
    assert [face.identity for face in alone] == ["Ada"]


def test_a_photo_without_a_name_is_its_own_identity() -> None:
    found = chosen([item("a.jpg"), item("b.jpg")])
    assert len({face.identity for face in found}) == 2
    assert all(face.identity == f"photo-{face.photo_sha256[:16]}" for face in found)


def test_faces_too_small_are_rejected_one_by_one() -> None:
    some = item("a.jpg", faces=[face_row(100), face_row(39.4, left=200)])
    none = item("b.jpg", faces=[face_row(20)])
    found = pick([some, none], recipe(faces={"select": "all", "min_size": 40}))
    assert [(face.uri, face.face) for face in found.faces] == [("a.jpg", 0)]
    assert [(r.uri, r.code, r.key) for r in found.rejects] == [
        ("a.jpg", "face_too_small", f"{some[1].sha256[:16]}-f01"),
        ("b.jpg", "face_too_small", f"{none[1].sha256[:16]}-f00"),
    ]
    assert "39 pixels wide; the limit is at least 40 (faces.min_size)" in found.rejects[0].message
    assert not pick([none], recipe(faces={"min_size": 20})).rejects


def test_photos_larger_than_the_limit_are_rejected_whatever_analysis_said_of_them() -> None:
    """The face table may have been written under another limit."""
    items = [item("fine.jpg"), item("none.jpg", code="no_face"), item("large.jpg", code="too_many_pixels")]
    assert [face.uri for face in chosen(items, recipe(faces={"max_pixels": 640 * 480}))] == ["fine.jpg"]
    found = pick(items, recipe(faces={"max_pixels": 640 * 480 - 1}))
    assert not found.faces
    assert {(r.stage, r.code, r.message) for r in found.rejects} == {
        ("analyse", "too_many_pixels", "640 x 480 pixels, more than 307199 (faces.max_pixels)")
    }
    assert len(found.rejects) == 3


@pytest.mark.parametrize(("select", "used"), [("largest", [1]), ("centre", [2]), ("all", [0, 1, 2])])
def test_which_faces_of_a_photo_are_used(select: str, used: list[int]) -> None:
    photo = item("a.jpg", faces=[face_row(80, left=0), face_row(120, left=500), face_row(60, left=290)])
    assert [face.face for face in chosen([photo], recipe(faces={"select": select}))] == used


LEARNED = {"kind": "autoencoder", "checkpoint": "runs/ae"}
FALLBACK = {**LEARNED, "when": "landmarks_missing"}


def test_photos_without_a_face_are_used_whole_only_if_a_mask_serves_them() -> None:
    items = [item("face.jpg"), item("profile.jpg", code="no_face"), item("torn.jpg", code="truncated")]
    for masks in ([POLYGON], [POLYGON, LEARNED]):
        found = pick(items, recipe(masks=masks))
        assert [face.uri for face in found.faces] == ["face.jpg"]
        assert {r.code for r in found.rejects} == {"no_face", "truncated"}
    found = pick(items, recipe(masks=[POLYGON, FALLBACK, LEARNED]))
    assert {r.code for r in found.rejects} == {"truncated"}
    whole = next(face for face in found.faces if face.uri == "profile.jpg")
    assert (whole.landmarks, whole.masks) == (b"", (1,))
    assert whole.box == (-0.5, -0.5, 639.5, 479.5), "all of the photo, from edge to edge"


def test_each_face_wears_what_it_can() -> None:
    items = [item(f"{n}.jpg", code="no_face" if n % 3 == 0 else "") for n in range(90)]
    how = recipe(masks=[FALLBACK, POLYGON, {**FALLBACK, "blend": "raw"}, LEARNED], per_face=3)
    worn = {True: Counter[int](), False: Counter[int]()}
    for face in chosen(items, how):
        worn[bool(face.landmarks)].update(face.masks)
    assert set(worn[True]) == {1, 3}
    assert set(worn[False]) == {0, 2}


def test_a_small_photo_without_a_face_counts_as_a_small_face() -> None:
    how = recipe(masks=[POLYGON, FALLBACK], faces={"min_size": 700})
    [reject] = pick([item("low.jpg", code="no_face")], how).rejects
    assert reject.code == "face_too_small"


LEARNED = {"kind": "autoencoder", "checkpoint": "runs/ae"}
SURE = replace(face_row(), detector="hog", score=1.5)
UNSURE = replace(face_row(), detector="yunet", score=0.9, turn=30, landmarks_unsure=True)


def test_detector_score_and_turn_are_planned() -> None:
    sure, unsure = chosen([item("a.jpg", faces=[SURE]), item("b.jpg", faces=[UNSURE])], recipe(masks=[]))
    assert (sure.detector, sure.score, sure.turn, sure.landmarks_unsure) == ("hog", 1.5, 0, False)
    assert (unsure.detector, unsure.score, unsure.turn, unsure.landmarks_unsure) == ("yunet", 0.9, 30, True)
    assert len(sure.landmarks) == 544 and unsure.landmarks == b"" and unsure.box == UNSURE.box


def test_a_face_with_unsure_landmarks_is_rejected_where_every_mask_needs_them() -> None:
    found = pick([item("a.jpg", faces=[UNSURE]), item("b.jpg", faces=[SURE])])
    assert [face.uri for face in found.faces] == ["b.jpg"]
    (reject,) = found.rejects
    assert (reject.stage, reject.code, reject.uri) == ("plan", "landmarks_unsure", "a.jpg") and reject.key.endswith(
        "f00"
    )


def test_a_learned_mask_for_all_faces_serves_those_with_unsure_landmarks() -> None:
    how = recipe(masks=[POLYGON, {**LEARNED, "when": "always"}], per_face=20)
    unsure, sure = chosen([item("a.jpg", faces=[UNSURE]), item("b.jpg", faces=[SURE])], how)
    assert set(unsure.masks) == {1} and set(sure.masks) == {0, 1}


def test_a_photo_without_a_face_is_no_face_under_a_learned_mask_for_all_faces() -> None:
    found = pick([item("a.jpg", code="no_face")], recipe(masks=[{**LEARNED, "when": "always"}]))
    assert [reject.code for reject in found.rejects] == ["no_face"]
