"""Landmarks are predicted in the frame of the face, and marked where they are probably wrong."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceloom.pipelines.analyse.model_files import find_landmark_model, load_detector, load_predictor
from faceloom.transforms import landmarks as module
from faceloom.transforms.align import ARCFACE_POINTS
from faceloom.transforms.detect import FaceBox, box_for_aligned, detect_at_scale, predict_landmarks
from faceloom.transforms.face_search import moved_by, turned_back
from faceloom.transforms.geometry import apply_affine, invert
from faceloom.transforms.landmarks import find_landmarks, is_frontal, is_impossible, spread
from faceloom.transforms.types import Grey
from tests.transforms.pictures import hopper


@lru_cache(maxsize=1)
def grey() -> Grey:
    return cv2.cvtColor(hopper(), cv2.COLOR_RGB2GRAY)


@lru_cache(maxsize=1)
def face() -> FaceBox:
    (found,) = detect_at_scale(grey(), load_detector(), 1.0)
    return found


def predictor() -> Any:
    return load_predictor(find_landmark_model())


@lru_cache(maxsize=1)
def points() -> np.ndarray:
    return predict_landmarks(grey(), face(), predictor())


def test_a_frontal_face_is_predicted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def predict(*_: Any) -> np.ndarray:
        asked.append(1)
        return points()

    monkeypatch.setattr(module, "predict_landmarks", predict)
    monkeypatch.setattr(module, "SURE_YAW", 90.0)
    found = find_landmarks(grey(), FaceBox(0, 0, 200, 200, 1.5, "hog"), None)
    assert not found.unsure and len(asked) == 1
    asked.clear()
    find_landmarks(grey(), FaceBox(0, 0, 200, 200, 0.9, "yunet"), None)
    assert len(asked) == 2, "two predictions that agree suffice"


@pytest.mark.parametrize(("detector", "asks"), [("hog", 2), ("yunet", 3)])
def test_a_face_that_hog_sees_aside_is_predicted_twice(
    detector: Any, asks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter((0.0, 0.03, -0.03))
    moved = lambda *_: points() + np.float32(next(answers) * face().width)  # noqa: E731
    monkeypatch.setattr(module, "predict_landmarks", moved)
    assert find_landmarks(grey(), replace(face(), detector=detector, score=0.3, frontal=False), None).unsure
    assert len(list(answers)) == 3 - asks


@pytest.mark.parametrize(("frontal", "yaw", "expected"), [(True, 29, True), (True, 31, False), (False, 29, False)])
def test_a_face_in_the_frontal_view_of_hog_is_frontal(
    frontal: bool, yaw: float, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "head_pose", lambda _: (-yaw, 0.0, 0.0))
    assert is_frontal(FaceBox(0, 0, 9, 9, 0.1, "hog", frontal=frontal), points()) == expected


@pytest.mark.parametrize("size", [(112, 112), (96, 112), (250, 250)])
@pytest.mark.parametrize(("off", "yaw", "expected"), [(0.02, 29, True), (0.04, 29, False), (0.02, 31, False)])
def test_an_arcface_crop_with_landmarks_near_the_template_is_frontal(
    size: tuple[int, int], off: float, yaw: float, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    width, height = size
    five = ARCFACE_POINTS * (height / 112) + ((width - height) / 2 + off * height, 0)
    landmarks = np.zeros((68, 2))
    landmarks[36:42], landmarks[42:48], landmarks[[30, 48, 54]] = five[0], five[1], five[2:]
    monkeypatch.setattr(module, "head_pose", lambda _: (yaw, 0.0, 0.0))
    assert is_frontal(box_for_aligned(width, height), landmarks) == expected


def test_hog_states_its_view_of_a_face() -> None:
    assert face().frontal and face().scaled(2).moved(1, 1).frontal
    turned, _ = turned_back(hopper(), 25)
    assert not any(
        one.frontal for one in detect_at_scale(cv2.cvtColor(turned, cv2.COLOR_RGB2GRAY), load_detector(), 1.0)
    )


@pytest.mark.parametrize(("moves", "unsure"), [((0.005, 0), False), ((0.02, 0.0), False), ((0.03, 0.06), True)])
def test_predictions_that_differ_mark_the_landmarks(
    moves: tuple[float, ...], unsure: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    width, answers = face().width, iter((0.0, *moves))
    moved = lambda *_: (points() + np.array([next(answers) * width, 0], np.float32)).astype(np.float32)  # noqa: E731
    monkeypatch.setattr(module, "predict_landmarks", moved)
    found = find_landmarks(grey(), replace(face(), detector="yunet"), None)
    assert found.unsure == unsure
    np.testing.assert_array_equal(found.points, points())


def test_a_face_has_the_landmarks_of_the_predictor() -> None:
    found = find_landmarks(grey(), face(), predictor())
    assert not found.unsure
    np.testing.assert_array_equal(found.points, points())


def test_landmarks_off_the_face_are_unsure() -> None:
    width = face().width
    background = FaceBox(5, 5, 5 + width / 2, 5 + width / 2, 0.9, "yunet")
    assert find_landmarks(grey(), background, predictor()).unsure


@pytest.mark.parametrize("turn", [-90, -30, 30, 90])
def test_a_turned_head_has_the_landmarks_of_the_upright_one(turn: int) -> None:
    picture, matrix = turned_back(hopper(), -turn)  # the head is now turned clockwise by `turn`
    box = moved_by(face(), matrix, turn)
    found = find_landmarks(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), box, predictor())
    back = apply_affine(invert(matrix), found.points)
    assert not found.unsure
    assert np.linalg.norm(back - points(), axis=1).mean() < 0.02 * face().width


@given(st.floats(-50, 50), st.floats(-50, 50), st.floats(0.2, 5))
def test_the_spread_is_a_share_of_the_box(x: float, y: float, size: float) -> None:
    rng = np.random.default_rng(3)
    predictions = [rng.normal(size=(68, 2)).astype(np.float32) for _ in range(3)]
    one = spread(predictions, FaceBox(0, 0, 10, 10))
    moved = [(size * prediction + (x, y)).astype(np.float32) for prediction in predictions]
    assert spread(moved, FaceBox(0, 0, 10 * size, 10 * size)) == pytest.approx(one, rel=1e-3)
    assert spread([predictions[0]] * 3, FaceBox(0, 0, 10, 10)) == pytest.approx(0, abs=1e-9)


@given(st.floats(-3, 3), st.floats(0.5, 2))
def test_a_face_is_possible_at_any_angle_and_size(angle: float, size: float) -> None:
    cos, sin = size * np.cos(angle), size * np.sin(angle)
    middle = points().mean(axis=0)
    turned = ((points() - middle) @ np.array([[cos, sin], [-sin, cos]]) + middle).astype(np.float32)
    half = size * face().width / 2
    box = FaceBox(float(middle[0]) - half, float(middle[1]) - half, float(middle[0]) + half, float(middle[1]) + half)
    assert not is_impossible(turned, box)


def test_impossible_shapes_are_seen() -> None:
    upside_down = points() * (1, -1)
    swapped = points().copy()
    swapped[48:68], swapped[27:36] = swapped[48:68] - (0, 200), swapped[27:36]
    assert is_impossible(swapped, face())
    assert is_impossible(upside_down, face())
    assert is_impossible(points() * 0.3, face())
    assert is_impossible(np.zeros((68, 2), np.float32), face())
    assert not is_impossible(points(), face())


@pytest.mark.parametrize(
    ("detector", "score", "frontal"),
    [("hog", 1.2, True), ("hog", 0.7, False), ("yunet", 0.95, False), ("onnx", 0.99, False), ("aligned", 0.0, True)],
)
def test_only_sure_faces_of_hog_and_aligned_ones_are_frontal(detector: Any, score: float, frontal: bool) -> None:
    looking_ahead = (points() + (points() * (-1, 1) + (2 * points()[:, 0].mean(), 0))[_MIRRORED]) / 2
    assert is_frontal(FaceBox(0, 0, 9, 9, score, detector), looking_ahead) == frontal


_MIRRORED = [
    *range(16, -1, -1), *range(26, 16, -1), *range(27, 31), *range(35, 30, -1), 45, 44, 43, 42, 47, 46, 39, 38, 37, 36,
    41, 40, *range(54, 47, -1), *range(59, 54, -1), *range(64, 59, -1), *range(67, 64, -1),
]  # fmt: skip
"""The landmark that each one becomes in a mirrored picture."""
