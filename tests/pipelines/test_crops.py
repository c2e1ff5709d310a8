"""The aligned pictures of a sample: face, masked face and coverage agree pixel by pixel."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from faceloom.pipelines.crops import COVERED, Crops, bare_crop, masked_crops
from faceloom.pipelines.working import Working, crop_matrix, cut_working
from faceloom.schemas.recipe import Recipe, parse_recipe
from faceloom.transforms.masks.painted import PaintedMask

RED = (220, 10, 30)


def recipe(**changes: Any) -> Recipe:
    return parse_recipe({"name": "x", **changes})


def laid(synthetic: SimpleNamespace, how: Recipe, middle: tuple[float, float] = (190, 160)) -> Working:
    face = synthetic.planned(b"", synthetic.landmarks(middle, 60, 0.1))
    return cut_working(synthetic.picture(400, 380, 2), face, crop_matrix(how, face), 1, how)


def red_below(working: Working, straps_above: bool = False) -> PaintedMask:
    """Red from the nose down; straps from the eyes up, if asked."""
    alpha = np.zeros(working.image.shape[:2], np.float32)
    alpha[int(working.landmarks[30, 1]) :] = 1
    image = np.where(alpha[..., None] > 0, np.array(RED, np.uint8), working.image)
    straps = np.zeros_like(alpha)
    straps[: int(working.landmarks[37, 1])] = 1
    return PaintedMask(image, alpha, straps if straps_above else None)


def test_masked_differs_from_face_exactly_where_there_is_coverage(synthetic: SimpleNamespace) -> None:
    how = recipe(align={"mode": "eye_level", "size": 64})
    working = laid(synthetic, how)
    bare = bare_crop(working, how)
    crops = masked_crops(bare, working, red_below(working), "red", how)
    assert crops.masked is not None and crops.alpha is not None
    assert crops.face.shape == crops.masked.shape == (64, 64, 3)
    assert np.array_equal(crops.face[crops.alpha == 0], crops.masked[crops.alpha == 0])
    assert (crops.masked[crops.alpha > 0.999] == RED).all()
    assert 0.2 < (crops.alpha > 0.999).mean() < 0.8
    assert crops.landmarks is working.landmarks_crop


def test_the_ground_truth_is_one_half_of_coverage() -> None:
    alpha = np.array([[0, COVERED - 0.01, COVERED, 1]], np.float32)
    picture = np.zeros((1, 4, 3), np.uint8)
    crops = Crops(picture, np.zeros((68, 2), np.float32), picture, alpha)
    assert crops.mask.tolist() == [[0, 0, 255, 255]]
    assert crops.mask.dtype == np.uint8


@pytest.mark.parametrize("straps", [False, True])
def test_straps_are_truth_only_if_asked(synthetic: SimpleNamespace, straps: bool) -> None:
    how = recipe(align={"mode": "eye_level", "size": 64}, output={"straps": straps})
    working = laid(synthetic, how)
    crops = masked_crops(bare_crop(working, how), working, red_below(working, straps_above=True), "red", how)
    assert crops.alpha is not None
    assert (crops.alpha[5].mean() > 0.9) == straps


@pytest.mark.parametrize("border", ["constant", "reflect", "replicate"])
def test_beyond_the_photo_both_pictures_show_the_same(synthetic: SimpleNamespace, border: str) -> None:
    how = recipe(align={"mode": "eye_level", "size": 64, "border": border})
    working = laid(synthetic, how, (190, 330))
    bare = bare_crop(working, how)
    assert bare.outside is not None and 0 < bare.outside.mean() < 0.5
    crops = masked_crops(bare, working, red_below(working), "red", how)
    assert crops.masked is not None and crops.alpha is not None
    assert np.array_equal(crops.masked[bare.outside], crops.face[bare.outside])
    assert not crops.alpha[bare.outside].any()
    assert crops.alpha.any()


def test_nothing_is_outside_in_a_crop_that_lies_inside(synthetic: SimpleNamespace) -> None:
    how = recipe()
    assert bare_crop(laid(synthetic, how), how).outside is None
