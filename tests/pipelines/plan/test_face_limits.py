"""Limits drop the faces beyond them and no others, and each reject states figure and limit."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceloom.schemas.faces import FIGURES, Detector, FaceRow
from faceloom.schemas.recipe import Recipe
from tests.pipelines.planning import POLYGON, choose, face_row, item, recipe

LIMITS = {
    "max_yaw": ("yaw", "face_turned"),
    "max_pitch": ("pitch", "face_turned"),
    "min_sharpness": ("sharpness", "face_blurred"),
    "min_brightness": ("brightness", "face_too_dark"),
    "max_brightness": ("brightness", "face_too_bright"),
    "min_contrast": ("contrast", "face_flat"),
}
GOOD = {"yaw": -5.0, "pitch": 4.0, "sharpness": 300.0, "brightness": 120.0, "contrast": 40.0}
UNSURE = replace(face_row(), detector="yunet", score=0.9, turn=30, landmarks_unsure=True)
SURE = replace(face_row(), detector="hog", score=1.5)
AUTOENCODER = {"kind": "autoencoder", "checkpoint": "c.pt", "when": "always"}


def face(detector: Detector = "hog", **figures: float) -> FaceRow:
    values = {**GOOD, **figures}
    return replace(face_row(), quality=tuple(values[name] for name in FIGURES), detector=detector)


def limited(**limits: Any) -> Recipe:
    return recipe(faces={"select": "all", "min_size": 0, **limits})


def message(how: Recipe, one: FaceRow) -> tuple[str, str]:
    """Code and message of the reject of the only face."""
    [reject] = choose(how, [item("a.jpg", faces=[one])]).rejects
    assert (reject.stage, reject.uri, reject.key[-3:]) == ("plan", "a.jpg", "f00")
    return reject.code, reject.message


def inside(one: FaceRow, limits: dict[str, float]) -> bool:
    """The plain definition."""
    figures = dict(zip(FIGURES, one.quality, strict=True)) if one.quality else {}
    for key, limit in limits.items():
        value = figures.get(LIMITS[key][0], math.nan)
        value = abs(value) if key in ("max_yaw", "max_pitch") else value
        if not (value <= limit if key.startswith("max") else value >= limit):
            return False
    return True


exact = st.floats(0, 90, width=32)
signed = st.floats(-90, 90, width=32)
measured = st.builds(face, yaw=signed, pitch=signed, sharpness=exact, brightness=exact, contrast=exact)
unmeasured = st.builds(face_row)


@given(
    st.lists(st.lists(measured | unmeasured, min_size=1, max_size=3), min_size=1, max_size=8),
    st.dictionaries(st.sampled_from([*LIMITS]), exact | st.floats(0, 90)).filter(
        lambda limits: limits.get("min_brightness", 0) <= limits.get("max_brightness", 255)
    ),
)
def test_the_faces_inside_all_limits_are_used_and_no_others(
    photos: list[list[FaceRow]], limits: dict[str, float]
) -> None:
    items = [item(f"{number}.jpg", faces=faces) for number, faces in enumerate(photos)]
    found = choose(limited(**limits), items)
    expected = {
        (f"{photo}.jpg", number)
        for photo, faces in enumerate(photos)
        for number, one in enumerate(faces)
        if inside(one, limits)
    }
    assert {(one.uri, one.face) for one in found.faces} == expected
    assert len(found.faces) + len(found.rejects) == sum(map(len, photos))


@pytest.mark.parametrize(
    ("key", "limit", "value", "words"),
    [
        ("max_yaw", 30, -30.5, "the head is turned 30.5 degrees to the side; the limit is at most 30"),
        ("max_pitch", 20, 21.0, "the head is turned 21 degrees up or down; the limit is at most 20"),
        ("min_sharpness", 50, 12.25, "the face has a sharpness of 12.25; the limit is at least 50"),
        ("min_brightness", 40, 39.5, "the face has a brightness of 39.5; the limit is at least 40"),
        ("max_brightness", 220, 230.0, "the face has a brightness of 230; the limit is at most 220"),
        ("min_contrast", 15, 3.0, "the face has a contrast of 3; the limit is at least 15"),
    ],
)
def test_a_reject_states_figure_and_limit(key: str, limit: float, value: float, words: str) -> None:
    figure, code = LIMITS[key]
    assert message(limited(**{key: limit}), face("hog", **{figure: value})) == (code, f"{words} (faces.{key})")
    assert not choose(limited(**{key: limit}), [item("a.jpg", faces=[face()])]).rejects
    assert not choose(limited(), [item("a.jpg", faces=[face("hog", **{figure: value})])]).rejects, "no limit by default"


@pytest.mark.parametrize("key", LIMITS)
def test_a_face_without_figures_is_beyond_each_limit(key: str) -> None:
    figure = LIMITS[key][0]
    bound = "at most 90" if key.startswith("max") else "at least 90"
    code, text = message(limited(**{key: 90}), face_row())
    assert code == "face_unmeasured"
    assert text == (
        f"the face has no trusted landmarks, so its {figure} is unknown; the limit is {bound} (faces.{key})"
    )


def test_a_whole_photo_is_beyond_each_limit() -> None:
    how = recipe(masks=[POLYGON, {**AUTOENCODER, "when": "landmarks_missing"}], faces={"max_yaw": 90})
    found = choose(how, [item("a.jpg", code="no_face")])
    assert [(one.code, one.message[:29]) for one in found.rejects] == [
        ("face_unmeasured", "the face was not found, so it")
    ]


def test_a_face_has_one_reject_for_the_first_limit_that_it_is_beyond() -> None:
    how = limited(max_yaw=1, min_sharpness=1000, min_size=200)
    assert message(how, face())[0] == "face_too_small"
    assert message(limited(max_yaw=1, min_sharpness=1000), face())[0] == "face_turned"


def test_a_face_below_the_score_is_dropped_if_a_detector_gave_it() -> None:
    low = replace(face(), score=0.25)
    assert message(limited(min_score=0.5), low) == (
        "low_score",
        "detector hog gives a score of 0.25; the limit is at least 0.5 (faces.min_score)",
    )
    assert not choose(limited(min_score=0.5), [item("a.jpg", faces=[replace(low, detector="given")])]).rejects


def test_a_face_with_unsure_landmarks_needs_a_mask_without_them() -> None:
    unsure = replace(face_row(), landmarks_unsure=True)
    assert message(limited(), unsure)[0] == "landmarks_unsure"
    assert message(limited(), unsure)[1].endswith("`faces: {landmarks: mesh}` may see this face better")
    given = replace(unsure, detector="given")
    assert "the box or points that the source gives may lie beside the face" in message(limited(), given)[1]
    assert not choose(recipe(masks=[AUTOENCODER]), [item("a.jpg", faces=[unsure])]).rejects


def test_spreads_are_those_of_the_chosen_faces() -> None:
    yaws = [float(yaw) for yaw in range(-100, 101)]
    items = [item(f"{number}.jpg", faces=[face(yaw=yaw)]) for number, yaw in enumerate(yaws)]
    items += [item("bare.jpg", faces=[face_row(width=50)]), item("yunet.jpg", faces=[face("yunet", yaw=0)])]
    figures = choose(recipe(masks=[], faces={"max_yaw": 80}), items).figures
    yaw = np.abs([one for one in yaws if abs(one) <= 80] + [0])
    assert figures["yaw"].faces == 162 and figures["yaw"].max == 80 and figures["yaw"].min == 0
    assert (figures["yaw"].p5, figures["yaw"].median, figures["yaw"].p95) == pytest.approx(
        np.quantile(yaw, (0.05, 0.5, 0.95)), abs=0.01
    )
    assert figures["size"].faces == 162 and figures["size"].min == 100
    assert figures["score_hog"].faces == 161 and figures["score_yunet"].faces == 1 and "score_onnx" not in figures
    assert figures.keys() == {*FIGURES, "size", "score_hog", "score_yunet"}, "arcface crops have no `beyond`"


def test_without_faces_nothing_is_spread() -> None:
    assert not choose(recipe(), [item("a.jpg", code="no_face")]).figures
    figures = choose(recipe(), [item("a.jpg", faces=[face_row(width=50)])]).figures
    assert figures.keys() == {"size"} and figures["size"].median == 50


def test_faces_below_the_score_are_rejected_with_value_and_limit() -> None:
    low = replace(UNSURE, score=0.72)
    items = [item("a.jpg", faces=[low]), item("b.jpg", faces=[SURE]), item("c.jpg", faces=[replace(SURE, score=0.0)])]
    found = choose(recipe(faces={"min_score": 0.8}), items)
    assert [face.uri for face in found.faces] == ["b.jpg"]
    rejects = {reject.uri: reject for reject in found.rejects}
    assert {uri: reject.code for uri, reject in rejects.items()} == {"a.jpg": "low_score", "c.jpg": "low_score"}
    assert re.search(r"yunet .*0\.72.*0\.8 \(faces\.min_score\)", rejects["a.jpg"].message)


@pytest.mark.parametrize("detector", ["given", "aligned"])
def test_faces_that_no_detector_found_have_no_score_to_compare(detector: str) -> None:
    row = replace(face_row(), detector=detector, score=0.0)  # type: ignore[arg-type]
    assert len(choose(recipe(faces={"min_score": 5}), [item("a.jpg", faces=[row])]).faces) == 1


def test_faces_keep_their_numbers_when_another_of_the_photo_is_rejected() -> None:
    faces = [replace(SURE, score=0.1), replace(face_row(left=300), detector="hog", score=2.0)]
    (kept,) = choose(recipe(faces={"min_score": 1, "select": "all"}), [item("a.jpg", faces=faces)]).faces
    assert kept.face == 1


def boxed(**align: Any) -> Recipe:
    return recipe(align={"mode": "face_box", "size": 64, "margin": 0.5, **align}, faces={"min_size": 0})


def test_crops_too_far_outside_the_photo_are_rejects() -> None:
    """The photo has 640 x 480 pixels, the box begins 10 pixels inside: a margin of 50 reaches 40 over two edges."""
    [reject] = choose(boxed(reject_beyond=0.3), [item("a.jpg")]).rejects
    assert (reject.stage, reject.code) == ("plan", "crop_beyond")
    assert "35.6%" in reject.message and "at most 0.3 (align.reject_beyond)" in reject.message
    assert len(choose(boxed(reject_beyond=0.36), [item("a.jpg")]).faces) == 1
    assert len(choose(boxed(reject_beyond=0, beyond="fit"), [item("a.jpg")]).faces) == 1


def test_a_plan_sums_up_how_far_crops_lie_outside() -> None:
    items = [item("a.jpg"), item("b.jpg", faces=[face_row(left=200)])]
    figures = choose(boxed(), items).figures
    assert figures["beyond"].faces == 2 and figures["beyond"].max == pytest.approx(0.356, abs=1e-3)
    assert 0 < figures["beyond"].min < 0.2, "only its upper edge lies outside"
    assert choose(boxed(beyond="fit"), items).figures["beyond"].max == 0
