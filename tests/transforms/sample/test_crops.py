"""The aligned pictures of a sample: face, masked face and coverage agree pixel by pixel."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from faceloom.schemas.errors import PhotoError
from faceloom.schemas.recipe import Recipe, parse_recipe
from faceloom.transforms.guide.label_map import LabelMap, bit_of
from faceloom.transforms.masks.painted import PaintedMask
from faceloom.transforms.sample.beyond_photo import extended
from faceloom.transforms.sample.crops import COVERED, Crops, bare_crop, masked_crops, refuse_uncovered
from faceloom.transforms.sample.face_labels import labels_in_crop
from faceloom.transforms.sample.working import Working, crop_matrix, cut_working
from tests.known import known

RED = (220, 10, 30)


def recipe(**changes: Any) -> Recipe:
    return parse_recipe({"name": "x", **changes})


def laid(synthetic: SimpleNamespace, how: Recipe, middle: tuple[float, float] = (190, 160)) -> Working:
    face = synthetic.planned(b"", synthetic.landmarks(middle, 60, 0.1), height=380)
    return cut_working(synthetic.picture(400, 380, 2), face, crop_matrix(how, face), 1, how)


def red_below(working: Working, straps_above: bool = False) -> PaintedMask:
    """Red from the nose down; straps from the eyes up, if asked."""
    alpha = np.zeros(working.image.shape[:2], np.float32)
    alpha[int(known(working.landmarks)[30, 1]) :] = 1
    image = np.where(alpha[..., None] > 0, np.array(RED, np.uint8), working.image)
    straps = np.zeros_like(alpha)
    straps[: int(known(working.landmarks)[37, 1])] = 1
    return PaintedMask(image, alpha, straps if straps_above else None)


def test_masked_differs_from_face_exactly_where_there_is_coverage(synthetic: SimpleNamespace) -> None:
    how = recipe(align={"mode": "eye_level", "size": 64})
    working = laid(synthetic, how)
    bare = bare_crop(working, how)
    crops = masked_crops(bare, working, red_below(working), how)
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
    crops = masked_crops(bare_crop(working, how), working, red_below(working, straps_above=True), how)
    assert crops.alpha is not None
    assert (crops.alpha[5].mean() > 0.9) == straps


@pytest.mark.parametrize("border", ["constant", "reflect", "replicate", "blur"])
def test_beyond_the_photo_both_pictures_show_the_same(synthetic: SimpleNamespace, border: str) -> None:
    how = recipe(align={"mode": "eye_level", "size": 64, "border": border})
    working = laid(synthetic, how, (190, 330))
    bare = bare_crop(working, how)
    assert bare.outside is not None and 0 < bare.outside.mean() < 0.5
    crops = masked_crops(bare, working, red_below(working), how)
    assert crops.masked is not None and crops.alpha is not None
    assert np.array_equal(crops.masked[bare.outside], crops.face[bare.outside])
    assert not crops.alpha[bare.outside].any()
    assert crops.alpha.any()


@pytest.mark.parametrize("straps", [False, True])
def test_a_mask_at_the_edge_of_the_photo_goes_on_beyond_it(synthetic: SimpleNamespace, straps: bool) -> None:
    how = recipe(align={"mode": "eye_level", "size": 64, "border": "blur"}, output={"straps": straps})
    working = laid(synthetic, how, (190, 330))
    bare = bare_crop(working, how)
    assert bare.outside is not None and 0 < bare.outside.mean() < 0.5
    larger = extended(working, (64, 64))
    crops = masked_crops(bare, larger, red_below(larger), how)
    assert crops.masked is not None and crops.alpha is not None
    bare_there = (crops.alpha == 0) & bare.outside
    assert np.array_equal(crops.face[bare_there], crops.masked[bare_there])
    assert (crops.masked[crops.alpha > 0.999] == RED).all()
    edge = np.argmax(bare.outside, axis=0)  # first row outside, of the columns that have one
    columns = np.flatnonzero(bare.outside.any(0) & (edge > 0))
    last, first = crops.alpha[edge[columns] - 1, columns], crops.alpha[edge[columns], columns]
    assert (last > 0.9).any() and (first[last > 0.9] > 0.9).all(), "no straight end at the edge of the photo"


def test_nothing_is_outside_in_a_crop_that_lies_inside(synthetic: SimpleNamespace) -> None:
    how = recipe()
    assert bare_crop(laid(synthetic, how), how).outside is None


def test_a_mask_that_does_not_show_is_refused() -> None:
    picture, points = np.zeros((4, 4, 3), np.uint8), np.zeros((68, 2), np.float32)
    refuse_uncovered(Crops(picture, points), "", 1)
    refuse_uncovered(Crops(picture, points, picture, np.full((4, 4), COVERED, np.float32)), "red", 1)
    with pytest.raises(PhotoError, match="red") as caught:
        refuse_uncovered(Crops(picture, points, picture, np.full((4, 4), 0.4, np.float32)), "red", 0)
    assert caught.value.code == "mask_outside_crop"


def test_a_mask_that_hardly_shows_is_refused() -> None:
    picture, points = np.zeros((10, 10, 3), np.uint8), np.zeros((68, 2), np.float32)
    alpha = np.zeros((10, 10), np.float32)
    alpha[0, :3] = COVERED
    refuse_uncovered(Crops(picture, points, picture, alpha), "red", 0.03)
    with pytest.raises(PhotoError, match=r"red covers 3.00% .* at least 4.00% \(min_mask_area\)") as caught:
        refuse_uncovered(Crops(picture, points, picture, alpha), "red", 0.04)
    assert caught.value.code == "mask_too_small"


def test_labels_of_a_morph_do_not_spread_beyond_the_photo(synthetic: SimpleNamespace) -> None:
    """The photo's corner is hair; outside the photo there is nothing."""
    how = recipe(align={"mode": "face_box", "size": 64, "margin": 1.0})
    working = laid(synthetic, how, (60, 60))
    bits = np.full((380, 400), bit_of("hair"), np.uint32)
    labels = LabelMap(bits, frozenset({"hair"}), "parts")
    plain = labels_in_crop(labels, working, (64, 64))
    y, x = np.mgrid[: working.image.shape[0], : working.image.shape[1]].astype(np.float32)
    moved = labels_in_crop(labels, replace(working, read_from=(x, y)), (64, 64))
    assert 0.1 < (plain > 0).mean() < 0.9
    assert ((plain > 0) != (moved > 0)).mean() < 0.03
