"""The labels of a face lie on its pixels, in crop and working picture, drawn or made by a parser."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from faceloom.schemas.errors import PhotoError
from faceloom.schemas.guide import PARTS
from faceloom.schemas.parser import Parser
from faceloom.schemas.recipe import Recipe, parse_recipe
from faceloom.transforms.align import warp_image
from faceloom.transforms.geometry import apply_affine, compose, invert
from faceloom.transforms.guide.label_map import LabelMap, bit_of
from faceloom.transforms.parser import load_parser
from faceloom.transforms.sample.face_labels import labels_in_crop, labels_in_picture, parse_face, with_front
from faceloom.transforms.sample.working import Working, crop_matrix, cut_working
from tests.transforms.onnx_models import BY_COLOUR, face_parser

SIZE = (400, 380)
MASKS = {"masks": [{"kind": "template", "template": "surgical"}]}


def recipe(**changes: Any) -> Recipe:
    return parse_recipe({"name": "x", "align": {"mode": "face_box", "size": 96, "margin": 0.4}, **changes})


def laid(synthetic: SimpleNamespace, how: Recipe, photo: np.ndarray) -> Working:
    face = synthetic.planned(b"", synthetic.landmarks((190, 160), 60, 0.2), width=SIZE[0], height=SIZE[1])
    return cut_working(photo, face, crop_matrix(how, face), 1, how)


def noisy(parts: tuple[str, ...] = PARTS) -> LabelMap:
    """A map of half the photo's size in which neighbouring pixels differ."""
    drawn = np.random.default_rng(0).integers(0, len(parts), (SIZE[1] // 2, SIZE[0] // 2))
    return LabelMap(np.uint32(1) << drawn.astype(np.uint32), frozenset(PARTS), "parts")


def test_labels_of_the_working_picture_lie_where_the_photo_has_them(synthetic: SimpleNamespace) -> None:
    how, labels = recipe(), noisy()
    working = laid(synthetic, how, synthetic.picture(*SIZE, 1))
    whole = np.repeat(np.repeat(labels.bits, 2, axis=0), 2, axis=1)
    to_picture = compose(invert(working.matrix), working.matrix_photo)
    left, top = (-to_picture[:, 2]).round().astype(int)
    height, width = working.image.shape[:2]
    assert np.array_equal(labels_in_picture(labels, working), whole[top : top + height, left : left + width])


def test_labels_of_a_morph_move_with_their_pixels(synthetic: SimpleNamespace) -> None:
    working = laid(synthetic, recipe(), synthetic.picture(*SIZE, 1))
    plain = labels_in_picture(noisy(), working)
    y, x = np.mgrid[: working.image.shape[0], : working.image.shape[1]].astype(np.float32)
    moved = labels_in_picture(noisy(), replace(working, read_from=(x + 3, y)))
    assert np.array_equal(moved[:, :-3], plain[:, 3:])


@pytest.mark.parametrize("moved", [False, True])
def test_a_parser_labels_the_pixels_of_the_crop(synthetic: SimpleNamespace, moved: bool) -> None:
    """Also in a morph: the network saw the mixed face, so its labels move no further."""
    photo = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
    photo[:, :, 0] = 255
    photo[100:180, 120:160] = (0, 255, 0)
    how = recipe()
    working = laid(synthetic, how, photo)
    if moved:
        grid = np.zeros(working.image.shape[:2], np.float32)
        working = replace(working, read_from=(grid, grid))
    settings = Parser(onnx="x", size=256, label_order=("skin", "hair", "hat"), mean=(0, 0, 0), std=(1, 1, 1))
    labels = parse_face(working, load_parser(face_parser(BY_COLOUR), settings))
    crop = warp_image(working.image, working.matrix, (96, 96), border="replicate")
    green = labels_in_crop(labels, working, (96, 96)) == bit_of("hair")
    assert green.any() and (green != (crop[..., 1] > 127)).mean() < 0.01
    picture = labels_in_picture(labels, working) == bit_of("hair")
    assert (picture != (working.image[..., 1] > 127)).mean() < 0.01


def over(working: Working, spot: int, part: str = "") -> LabelMap:
    """Skin everywhere, and a square around a landmark with a part or with nothing."""
    bits = np.full(SIZE[::-1], bit_of("skin"), np.uint32)
    photo = apply_affine(invert(working.matrix_photo), working.landmarks_crop.astype(np.float64))  # type: ignore[union-attr]
    x, y = photo[spot].round().astype(int)
    bits[y - 25 : y + 25, x - 40 : x + 40] = bit_of(part) if part else 0
    return LabelMap(bits, frozenset(PARTS), "parts")


def test_a_covered_mouth_is_flagged_and_stays_in_front_or_is_rejected(synthetic: SimpleNamespace) -> None:
    how = recipe(**MASKS)
    working = laid(synthetic, how, synthetic.picture(*SIZE, 1))
    labels = over(working, 62)
    kept = with_front(working, labels, how)
    x, y = kept.landmarks[62].round().astype(int)  # type: ignore[index]
    assert kept.front is not None and kept.front[y, x] == 255
    assert kept.labelling is not None and kept.labelling["occluded"] > 0.2  # type: ignore[operator]
    with pytest.raises(PhotoError, match="covers nose or mouth") as caught:
        with_front(working, labels, recipe(faces={"occluded": "reject"}, **MASKS))
    assert caught.value.code == "occluded"
    free = with_front(working, over(working, 62, "mouth"), recipe(faces={"occluded": "reject"}, **MASKS))
    assert free.front is None and free.labelling == {
        "name": "labels", "from": "labels", "label_order": "parts", "occluded": 0.0,
    }  # fmt: skip


def test_nothing_stays_in_front_of_masks_that_lie_over_everything(synthetic: SimpleNamespace) -> None:
    how = recipe(faces={"occluded": "reject"}, masks=[{"kind": "polygon", "shape": "A"}])
    working = laid(synthetic, how, synthetic.picture(*SIZE, 1))
    assert with_front(working, over(working, 2, "hair"), how).front is None


def test_without_landmarks_nothing_is_found(synthetic: SimpleNamespace) -> None:
    how = recipe(**MASKS)
    working = replace(laid(synthetic, how, synthetic.picture(*SIZE, 1)), landmarks=None)
    assert with_front(working, noisy(), how) is working
