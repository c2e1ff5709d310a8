"""Digests of what samples depend on: everything that decides bytes counts, and defaults do not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceloom.pipelines.plan import inputs as planned_inputs
from faceloom.pipelines.plan.inputs import all_inputs, sample_inputs, settings_digest
from faceloom.pipelines.plan.planned_faces import PlannedFaces
from faceloom.pipelines.plan.uniform_attributes import uniform_attributes
from faceloom.schemas.faces import FaceRow
from faceloom.schemas.photos import GivenFace, Scalar
from faceloom.schemas.plan import FaceList, PlannedFace, PlannedMorph
from faceloom.schemas.recipe import Recipe, parse_recipe
from tests.pipelines.planning import RECIPES, Item, choose, item

FACE = PlannedFace(
    "s", "a.jpg", "ab" * 32, 0, "Ada", "train", None, None, (), 9, 9, bytes(544), (0, 0, 8, 8), (0, 1, 0), 0
)
MASKS = ("one", "other")


def recipe(**changes: Any) -> Recipe:
    return parse_recipe({"name": "x", **changes})


def test_each_sample_has_a_digest_of_its_own() -> None:
    found = sample_inputs(FACE, "settings", MASKS)
    assert len(set(found)) == len(FACE.sample_keys) == 3, "a variant with the same mask draws other numbers"
    assert all(len(one) == 24 and int(one, 16) >= 0 for one in found)
    assert len(sample_inputs(replace(FACE, masks=()), "settings", ())) == 1


def test_only_the_samples_of_a_changed_mask_change() -> None:
    before, after = sample_inputs(FACE, "settings", MASKS), sample_inputs(FACE, "settings", ("one", "new"))
    assert [one == other for one, other in zip(before, after, strict=True)] == [True, False, True]


def test_five_points_count_only_where_there_are_some() -> None:
    five = bytes(range(40))
    assert sample_inputs(replace(FACE, five=five), "s", MASKS) != sample_inputs(FACE, "s", MASKS)
    assert sample_inputs(FACE, "s", MASKS)[0] == "9910853ce4b283130ae73dc5", "the digest of before"
    other = replace(FACE, uri="b.jpg")
    with_five, without = (PlannedMorph(one, 0, 1.0, 1.0, 1.0, 0.5, 0.5) for one in (replace(other, five=five), other))
    assert sample_inputs(replace(FACE, morph=with_five), "s", MASKS) != sample_inputs(
        replace(FACE, morph=without), "s", MASKS
    )


def test_the_turn_of_a_neighbour_counts() -> None:
    """It turns the crop of a face box."""
    turned, upright = (PlannedMorph(replace(FACE, face=1, turn=turn), 0, 1.0, 1.0, 1.0, 0.5, 0.5) for turn in (90, 0))
    assert sample_inputs(replace(FACE, morph=turned), "s", MASKS) != sample_inputs(
        replace(FACE, morph=upright), "s", MASKS
    )


def test_settings_and_the_neighbour_of_a_morph_count() -> None:
    other = replace(FACE, uri="b.jpg", photo_sha256="cd" * 32, identity="Bob", masks=())
    morph = PlannedMorph(other, 0, 1.0, 1.0, 1.0, 0.5, 0.5)
    mixed = replace(FACE, morph=morph)
    changed = [replace(morph, rank=1), replace(morph, shape_weight=0.4), replace(morph, other=replace(other, face=1))]
    digests = [sample_inputs(face, "settings", MASKS)[0] for face in (FACE, mixed)]
    digests += [sample_inputs(replace(FACE, morph=one), "settings", MASKS)[0] for one in changed]
    digests.append(sample_inputs(FACE, "other settings", MASKS)[0])
    assert len(set(digests)) == len(digests)


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"align": {"size": 64}},
        {"min_mask_area": 0.01},
        {"output": {"quality": 90}},
        {"output": {"halves": {}}},
        {"augment": [{"kind": "ToGray"}]},
        {"lowres": {"mode": "area"}},
        {"guide": {"parts": ["mouth"]}},
        {"morph": {}},
        {"faces": {"assume": "aligned"}},
    ],
)
def test_settings_that_decide_bytes_count(change: dict[str, Any]) -> None:
    assert settings_digest(recipe(**change)) != settings_digest(recipe())


@pytest.mark.parametrize(
    "change",
    [
        {"name": "other", "description": "words"},
        {"per_face": 3, "split": {"shares": {"train": 1}}},
        {"output": {"shards": {"samples": 7, "min_per_split": 3}}},
        {"seed": 0, "align": {"border": Recipe(name="x").align.border}, "output": {"image": "jpg", "quality": 95}},
    ],
)
def test_defaults_and_the_layout_of_shards_do_not(change: dict[str, Any]) -> None:
    assert settings_digest(recipe(**change)) == settings_digest(recipe())


def test_a_limit_on_the_crop_outside_the_photo_changes_no_sample() -> None:
    crops = [{"mode": "face_box", **limit} for limit in ({}, {"reject_beyond": 0.25}, {"margin": 0.5})]
    plain, limited, wider = (settings_digest(recipe(align=align)) for align in crops)
    assert plain == limited != wider


def test_files_count() -> None:
    assert settings_digest(recipe(), ("a",)) != settings_digest(recipe(), ("b",))


TEXTS = st.text(max_size=6) | st.sampled_from(['"\\', "\x00\x1f\x7f", "\u2028é\U0001f600", "null", ""])
VALUES = st.one_of(
    TEXTS, st.booleans(), st.integers(), st.floats(), st.sampled_from([0, False, 0.0, -0.0, 1, True, 1.0])
)
CORNERS = st.floats(-1e100, 1e100) | st.sampled_from([0.0, -0.0, 1e16, 1e-5, 0.1 + 0.2, float(2**53)])
FACES = st.lists(
    st.builds(
        FaceRow, st.tuples(CORNERS, CORNERS, CORNERS, CORNERS),
        st.sampled_from([b"", bytes(544), bytes(range(68)) * 8]), st.just(1.0),
        st.just(()),
    ),
    min_size=1, max_size=3,
)  # fmt: skip


@st.composite
def odd_items(draw: st.DrawFn) -> Item:
    """A photo with any texts, attributes, boxes and landmarks."""
    attributes = draw(st.lists(st.tuples(TEXTS, VALUES), max_size=2, unique_by=lambda pair: pair[0]))
    identity, code = draw(st.none() | TEXTS), draw(st.sampled_from(["", "", "no_face"]))
    photo, found = item(draw(TEXTS), identity=identity, faces=draw(FACES), code=code, labels=draw(TEXTS))
    stated: tuple[tuple[str, Scalar], ...] = tuple(attributes)
    licence, consent = draw(st.none() | TEXTS), draw(st.none() | TEXTS)
    given = tuple(draw(st.lists(st.builds(
        GivenFace, st.none() | TEXTS, st.just(stated), st.just((0.0, 0.0, 9.0, 9.0)),
        st.none() | st.binary(min_size=40, max_size=40),
    ), min_size=len(found.faces), max_size=len(found.faces))))  # fmt: skip
    photo = replace(photo, licence=licence, consent=consent, attributes=stated)
    if draw(st.booleans()):
        return replace(
            photo, faces=given, identity=min(filter(None, (one.identity for one in given)), default=None)
        ), found
    return photo, found


@pytest.mark.parametrize("guide", [None, recipe(guide={"parts": ["mouth"]}).guide])
@given(st.lists(odd_items(), min_size=1, max_size=8, unique_by=lambda one: one[0].photo_id), RECIPES, st.integers(1, 5))
def test_digests_from_columns_are_those_of_the_objects(guide: Any, items: list[Item], how: Recipe, block: int) -> None:
    how = how.model_copy(update={"guide": guide, "faces": how.faces.model_copy(update={"min_size": -1e101})})
    faces = uniform_attributes(choose(how, items).faces)
    assert isinstance(faces, PlannedFaces)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(planned_inputs, "_BLOCK", block)
        for some in (faces, faces[1:-1]):
            expected = [sample_inputs(face, "settings", MASKS) for face in some]
            assert all_inputs(some, "settings", MASKS) == all_inputs(FaceList(some), "settings", MASKS) == expected
