"""A face parser of the user's labels the pixels of a face, in its own crop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from faceloom.schemas.parser import Parser
from faceloom.transforms.detect import FaceBox
from faceloom.transforms.geometry import apply_affine
from faceloom.transforms.guide.label_map import OTHER, mask_of
from faceloom.transforms.parser import load_parser, parser_crop
from faceloom.transforms.types import Landmarks
from tests.transforms.onnx_models import BY_COLOUR, face_parser

BOX = FaceBox(80, 70, 170, 160)


def settings(**changes: Any) -> Parser:
    plain: dict[str, Any] = {"onnx": "x", "size": 64, "label_order": ("skin", "hair", "teeth"), "mean": (0, 0, 0)}
    return Parser(**{**plain, "std": (1, 1, 1), **changes})


def picture() -> np.ndarray:
    """Red skin, with green hair to the left and blue teeth."""
    drawn = np.zeros((250, 250, 3), np.uint8)
    drawn[60:200, 70:180, 0] = 255
    drawn[60:200, 70:90] = (0, 255, 0)
    drawn[150:160, 110:140] = (0, 0, 255)
    return drawn


def test_the_parts_of_a_face_lie_where_the_picture_shows_them(landmarks: Callable[..., Landmarks]) -> None:
    labels, to_labels = load_parser(face_parser(BY_COLOUR), settings()).parse(picture(), landmarks(), BOX)
    assert labels.known == {"skin", "hair"} and labels.made_by == "parser" and labels.order == "given"

    def at(x: int, y: int) -> int:
        column, row = np.rint(apply_affine(to_labels, np.array([(x, y)], np.float64))[0]).astype(int)
        return int(labels.bits[row, column])

    skin, hair = (labels.bits[mask_of(labels.bits, [part])].max() for part in ("skin", "hair"))
    assert (at(125, 110), at(80, 110), at(125, 155), at(125, 40)) == (skin, hair, OTHER, 0), (
        "teeth are no part, and no background"
    )


@pytest.mark.parametrize("roll", [0.0, 0.7, -2.0])
def test_the_crop_is_that_of_celeba_hq(landmarks: Callable[..., Landmarks], roll: float) -> None:
    """A quarter of the crop between the eyes, a little above its middle, whatever the tilt."""
    points = landmarks(roll=roll)
    seen = apply_affine(parser_crop(points, BOX, 512), points)
    eyes = seen[36:48].reshape(2, 6, 2).mean(axis=1)
    assert eyes[1, 1] == pytest.approx(eyes[0, 1], abs=8) and eyes[1, 0] > eyes[0, 0]
    assert 0.2 < (eyes[1, 0] - eyes[0, 0]) / 512 < 0.26 and 0.42 < eyes[:, 1].mean() / 512 < 0.5
    assert seen.min() > 0 and seen.max() < 511


def test_a_face_without_landmarks_is_cut_by_its_box() -> None:
    corners = apply_affine(parser_crop(None, BOX, 100), np.array([(80.0, 70), (170, 160)]))
    assert corners == pytest.approx(np.array([(23.2, 23.2), (75.8, 75.8)]), abs=0.1)


def test_colours_are_normalised_as_the_recipe_has_it(landmarks: Callable[..., Landmarks]) -> None:
    """Red minus one is below the background; times minus one is refused by the schema."""
    parser = load_parser(face_parser(BY_COLOUR), settings(mean=(1, 0, 0)))
    labels, _ = parser.parse(picture(), landmarks(), BOX)
    assert not mask_of(labels.bits, ["skin"]).any() and mask_of(labels.bits, ["hair"]).any()
    halved = load_parser(face_parser(BY_COLOUR), settings(std=(1, 4, 1)))
    assert not mask_of(halved.parse(picture(), landmarks(), BOX)[0].bits, ["hair"]).any()


def test_one_of_several_outputs_is_named() -> None:
    model = face_parser(BY_COLOUR, ("main", "aside"))
    with pytest.raises(ValueError, match=r"several outputs \((main, aside|aside, main)\)"):
        load_parser(model, settings())
    with pytest.raises(ValueError, match="no output 'other'"):
        load_parser(model, settings(output="other"))
    assert load_parser(model, settings(output="main")).output == "main"


@pytest.mark.parametrize("model", [b"", b"no model", face_parser(BY_COLOUR)[:60]])
def test_another_file_is_refused(model: bytes) -> None:
    with pytest.raises(ValueError, match="OpenCV"):
        load_parser(model, settings())


def test_classes_that_are_not_those_of_the_label_order_are_refused() -> None:
    with pytest.raises(ValueError, match=r"gives 4 classes, .* are 19"):
        load_parser(face_parser(BY_COLOUR), settings(label_order="face_parsing"))
