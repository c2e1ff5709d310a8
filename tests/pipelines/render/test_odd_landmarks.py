"""Landmarks that cannot be those of a face end as a sample or as a reject with a code, in every stage of rendering."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from faceloom.pipelines.render.mask_painter import load_painter
from faceloom.pipelines.render.render_photos import PhotoToRender, render_photos
from faceloom.pipelines.render.resources import RenderResources
from faceloom.pipelines.render.sample import Sample
from faceloom.pipelines.run.stopwatch import Stopwatch
from faceloom.schemas.errors import PhotoError
from faceloom.schemas.photos import Reject
from faceloom.schemas.plan import PlannedFace, PlannedMorph
from faceloom.schemas.recipe import Recipe, parse_recipe
from faceloom.transforms.texture import mean_shape_texture
from tests.pipelines.conftest import FRONTAL, encoded, landmarks, picture, planned

MASKS: list[dict[str, Any]] = [
    {"kind": "template", "template": "surgical"},
    {"kind": "template", "template": "kn95", "wearing": "under_chin"},
    {"kind": "polygon", "shape": "A"},
    {"kind": "polygon", "shape": "E"},
]
NUMBERS = [float("nan"), float("inf"), -float("inf"), 1e30, -3e9, 1e7, 65536.0, 0.0]


def same(points: np.ndarray) -> np.ndarray:
    return np.repeat(points[:1], 68, axis=0)


def on_a_line(points: np.ndarray) -> np.ndarray:
    return points * (1, 0)


def eyes_that_coincide(points: np.ndarray) -> np.ndarray:
    return np.concatenate([points[:36], np.repeat(points[27:28], 12, axis=0), points[48:]])


def mirrored(points: np.ndarray) -> np.ndarray:
    return np.asarray((400, 0) - points * (1, -1))


FORMS = [
    same, on_a_line, eyes_that_coincide, mirrored, np.array, lambda p: p * 1e-6, lambda p: p * 1e6, lambda p: p + 1e5,
    lambda p: np.round(p / 40) * 40, lambda p: p[::-1], lambda p: np.concatenate([same(p)[:17], p[17:]]),
]  # fmt: skip
CHANGE = st.tuples(st.integers(0, 67), st.integers(0, 1), st.sampled_from(NUMBERS))
ODD = st.tuples(st.sampled_from(FORMS), st.lists(CHANGE, max_size=3))


def odd(drawn: Any) -> np.ndarray:
    form, changes = drawn
    points = np.array(form(FRONTAL * 60.0 + (190, 150)))
    for number, axis, value in changes:
        points[number, axis] = value
    return points.astype(np.float32)


def recipe(align: dict[str, Any], background: str) -> Recipe:
    size: dict[str, Any] = {"size": 48}
    augment = [{"kind": "HorizontalFlip"}, {"kind": "Perspective"}]
    return parse_recipe({
        "name": "x", "masks": MASKS, "align": size | align, "augment": augment, "lowres": {"sizes": [8]},
        "morph": {"background": background}, "output": {"image": "png", "halves": {}, "straps": True},
        "guide": {"parts": ["l_eye", "skin", "nose", "mouth", "lower_face"], "missing": "landmarks", "dilate": 2},
    })  # fmt: skip


RECIPES = [
    recipe(align, background)
    for align in ({}, {"mode": "eye_level"}, {"mode": "face_box", "border": "reflect"})
    for background in ("target", "gradient")
]


POINTS = landmarks((190, 160), 90, 0.2)
DATA = encoded(picture(400, 380, 1))


def made(faces: list[PlannedFace], other: PlannedFace, how: Recipe) -> list[Sample | Reject]:
    photo = PhotoToRender(DATA, faces, None, {other.key: DATA})
    return list(render_photos([photo], RenderResources(how, load_painter(how.masks)), Stopwatch()))


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(ODD, ODD, st.sampled_from(RECIPES), st.floats(0, 1), st.booleans())
def test_odd_landmarks_are_samples_or_rejects(
    one: Any, another: Any, how: Recipe, weight: float, swapped: bool
) -> None:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        first, second = (odd(one), odd(another)) if swapped else (POINTS, odd(another))
        face = planned(DATA, first, (0, 1, 2, 3))
        other = planned(DATA, second, (), uri="b.png", identity="B")
        morph = PlannedMorph(other, 1, 0.1, 0.1, 0.1, weight, 1 - weight)
        results = made([face, replace(face, face=1, morph=morph)], other, how)
    assert len(results) == 8
    codes = {result.code for result in results if isinstance(result, Reject)}
    expected = {"degenerate_points", "crop_outside", "mask_fit", "mask_outside_crop", "mask_too_small", "morph_folds"}
    assert codes <= expected


@settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow])
@given(ODD)
def test_textures_of_odd_landmarks_are_pictures_or_rejects(one: Any) -> None:
    crop = np.zeros((64, 64, 3), np.uint8)
    with np.errstate(all="ignore"):
        try:
            assert (
                mean_shape_texture(crop, (odd(one) / 6).astype(np.float32), landmarks((32, 28), 18)).shape == crop.shape
            )
        except PhotoError as error:
            assert error.code in ("morph_folds", "degenerate_points")


@pytest.mark.parametrize("form", [same, lambda points: points * np.nan])
def test_points_without_extent_make_no_morph(form: Any) -> None:
    other = planned(DATA, form(POINTS).astype(np.float32), (), uri="b.png", identity="B")
    morph = PlannedMorph(other, 1, 0.1, 0.1, 0.1, 0.5, 0.5)
    for how in RECIPES:
        (result,) = made([planned(DATA, POINTS, (), morph=morph)], other, how)
        assert isinstance(result, Reject) and result.code == "degenerate_points"
