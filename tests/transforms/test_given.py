"""Faces that the user gives: boxes of any kind and five points lead to the same landmarks as the detector's box."""

from __future__ import annotations

import math

import numpy as np
import pytest

from faceloom.pipelines.analyse.model_files import find_landmark_model, load_detector, load_predictor
from faceloom.schemas.errors import PhotoError
from faceloom.transforms.align import five_points, warp_image
from faceloom.transforms.analyse import analyse_photo
from faceloom.transforms.decode import decode_grey
from faceloom.transforms.detect import FaceBox, coarse_to_fine, detect_at_scale, predict_landmarks
from faceloom.transforms.geometry import apply_affine, rotate
from faceloom.transforms.given import box_of_five, given_face, predict_from_five, predict_in_loose_box
from faceloom.transforms.types import Grey, Landmarks
from tests.transforms.pictures import open_sample


@pytest.fixture(scope="module")
def grey() -> Grey:
    with open_sample("grace_hopper.jpg") as file:
        return decode_grey(file.read())


@pytest.fixture(scope="module")
def box(grey: Grey) -> FaceBox:
    height, width = grey.shape
    return coarse_to_fine(lambda by: detect_at_scale(grey, load_detector(), by), width, height, "largest")[0]


@pytest.fixture(scope="module")
def seen(grey: Grey, box: FaceBox) -> Landmarks:
    return predict_landmarks(grey, box, load_predictor(find_landmark_model(None)))


def off(one: Landmarks, other: Landmarks) -> float:
    """Mean distance in eye distances."""
    eyes = math.dist(*five_points(other)[:2].tolist())
    return float(np.linalg.norm(one - other, axis=1).mean()) / eyes


def test_five_points_give_the_box_of_the_detector(seen: Landmarks, box: FaceBox) -> None:
    assert box_of_five(five_points(seen)).iou(box) > 0.7


@pytest.mark.parametrize("turn", [0, 30, 90, 180])
def test_the_search_from_five_points_finds_turned_faces(grey: Grey, seen: Landmarks, turn: int) -> None:
    matrix = rotate(math.radians(turn), (grey.shape[1] / 2, grey.shape[0] / 2))
    turned = warp_image(grey, matrix, (grey.shape[1], grey.shape[0]))
    truth = apply_affine(matrix, seen)
    found = predict_from_five(turned, five_points(truth), load_predictor(find_landmark_model(None))).points
    assert found.dtype == np.float32 and off(found, truth) < 0.06


@pytest.mark.parametrize("grow", [(-0.1, -0.1), (0.3, 0.3), (0.3, 0.4)])
def test_boxes_that_are_no_detectors_lead_to_the_face(
    grey: Grey, box: FaceBox, seen: Landmarks, grow: tuple[float, float]
) -> None:
    across, up = (share * box.width for share in grow)
    box = FaceBox(box.left - across, box.top - up, box.right + across, box.bottom + across)
    predictor = load_predictor(find_landmark_model(None))
    loose = off(predict_in_loose_box(grey, box, predictor).points, seen)
    assert loose < 0.06


def test_what_is_given_is_used_as_it_is(box: FaceBox, seen: Landmarks) -> None:
    assert given_face(box, None).box == box and given_face(box, None).loose
    both = given_face(box, seen)
    assert both.box == box and both.landmarks is seen and not both.loose
    five = given_face(None, five_points(seen))
    assert five.landmarks is None and five.five is not None
    with pytest.raises(ValueError, match="box or points"):
        given_face(None, None)


def test_five_equal_points_make_no_face() -> None:
    fault = given_face(None, np.ones((5, 2), np.float32)).fault
    assert fault is not None and "coincide" in str(fault)


@pytest.mark.parametrize(
    "edges",
    [(5e3, 10, 5.1e3, 110), (10, 5e3, 110, 5.1e3), (-110, 10, -10, 110), (10, 10, 10.001, 10.001), (-1e6, 0, 1e6, 9)],
)
def test_a_box_that_can_hold_no_face_is_a_reject(edges: tuple[float, float, float, float]) -> None:
    with open_sample("grace_hopper.jpg") as file:
        data = file.read()
    given = [given_face(FaceBox(*edges), None)]
    with pytest.raises(PhotoError) as caught:
        analyse_photo(data, predictor=None, detector=None, given=given)
    assert caught.value.code == "degenerate_points" and caught.value.value


def test_a_long_box_at_the_edge_is_searched(grey: Grey) -> None:
    """Its square begins beyond the picture."""
    right = grey.shape[1] - 1
    found = predict_in_loose_box(grey, FaceBox(right, 10, right + 100, 12), load_predictor(find_landmark_model(None)))
    assert np.isfinite(found.points).all()


def test_one_face_that_cannot_be_one_does_not_cost_the_others(seen: Landmarks, box: FaceBox) -> None:
    with open_sample("grace_hopper.jpg") as file:
        data = file.read()
    models = {"predictor": load_predictor(find_landmark_model(None)), "detector": None}
    far = given_face(None, (seen + 1e6).astype(np.float32))
    good, bad = analyse_photo(data, given=[given_face(box, seen), far], **models).faces
    assert np.array_equal(good.landmarks, seen) and good.box == box and len(bad.landmarks) == 0
    same = [given_face(None, np.ones((count, 2), np.float32)) for count in (5, 68)]
    *both, good = analyse_photo(data, given=[*same, given_face(box, seen)], **models).faces
    assert np.array_equal(good.landmarks, seen) and [len(one.landmarks) for one in both] == [0, 0]
    with pytest.raises(PhotoError, match="outside"):
        analyse_photo(data, given=[far, far], **models)
    with pytest.raises(PhotoError, match="outside"):
        analyse_photo(data, given=[far], **models)
