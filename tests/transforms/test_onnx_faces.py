"""Models of the user's give boxes as dlib draws them, whatever the size of the picture."""

from __future__ import annotations

import numpy as np
import pytest

from faceloom.transforms.onnx_faces import load_network
from faceloom.transforms.yunet import SHIFT_X, SHIFT_Y, WIDTH
from tests.transforms.onnx_models import centerface, face_yn


def spot(width: int, height: int, left: int, top: int, side: int) -> np.ndarray:
    picture = np.zeros((height, width, 3), np.uint8)
    picture[top : top + side, left : left + side] = 255
    return picture


@pytest.mark.parametrize("size", [(64, 64), (128, 96), (256, 64)])
def test_centerface_gives_the_box_around_a_middle(size: tuple[int, int]) -> None:
    (face,) = load_network(centerface(40, 20)).find(spot(*size, 24, 36, 4))
    side = 30
    assert face.centre == pytest.approx((25.5 + SHIFT_X * side, 37.5 + SHIFT_Y * side), abs=0.1)
    assert (face.width, face.height) == pytest.approx((WIDTH * side, WIDTH * side), rel=0.01)
    assert face.score == pytest.approx(1, abs=0.01) and face.detector == "onnx"


def test_a_picture_of_any_size_is_fitted_to_the_blocks_of_centerface() -> None:
    (face,) = load_network(centerface(40, 40)).find(spot(120, 90, 60, 45, 4))
    assert face.centre == pytest.approx((61.5, 46.5), abs=5)


@pytest.mark.parametrize("side", [8, 16, 32])
def test_models_for_face_detector_yn_are_run(side: int) -> None:
    faces = load_network(face_yn()).find(spot(128, 96, 32, 64 - side % 32, side))
    face = max((one for one in faces if one.score > 0.9), key=lambda one: one.width)  # smaller cells are bright too
    assert face.width == pytest.approx(WIDTH * side, rel=0.01) and face.detector == "onnx"


def test_a_dark_picture_has_no_face() -> None:
    for model in (centerface(40, 40), face_yn()):
        assert load_network(model).find(np.zeros((70, 100, 3), np.uint8)) == ()


@pytest.mark.parametrize("model", [b"", b"no model", centerface(40, 40)[:200]])
def test_another_file_is_refused(model: bytes) -> None:
    with pytest.raises(ValueError, match="neither a model"):
        load_network(model)
