"""ArcFace crops of two public-domain portraits are not taken for the portraits, nor for anything else."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from skimage.data import astronaut

from faceloom.pipelines.analyse.model_files import find_landmark_model, load_detector, load_predictor
from faceloom.transforms.align import ARCFACE_POINTS, arcface_matrix, warp_image
from faceloom.transforms.aligned import have_crop_shape, template_distance, template_iou
from faceloom.transforms.analyse import analyse_photo
from faceloom.transforms.decode import decode_rgb
from tests.transforms.pictures import open_sample


def hopper() -> np.ndarray:
    with open_sample("grace_hopper.jpg") as file:
        return decode_rgb(file.read())


def png(picture: np.ndarray) -> bytes:
    return cv2.imencode(".png", picture[..., ::-1])[1].tobytes()


def points_at(five: np.ndarray) -> np.ndarray:
    """68 landmarks whose eyes, nose tip and mouth corners lie at five places."""
    points = np.zeros((68, 2))
    points[36:42], points[42:48], points[[30, 48, 54]] = five[0], five[1], five[2:]
    return points


def crop(portrait: np.ndarray, width: int, height: int) -> np.ndarray:
    found = analyse_photo(png(portrait), predictor=load_predictor(find_landmark_model()), detector=load_detector())
    matrix = arcface_matrix(found.faces[0].landmarks, height, width=width)
    return warp_image(portrait, matrix, (width, height))


def overlap(picture: np.ndarray) -> float | None:
    return template_iou(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), load_detector())


@pytest.mark.parametrize(("width", "height"), [(112, 112), (96, 112), (224, 224)])
@pytest.mark.parametrize("portrait", [astronaut, hopper])
def test_a_crop_has_its_face_where_the_template_says(portrait: object, width: int, height: int) -> None:
    assert (overlap(crop(portrait(), width, height)) or 0) > 0.7  # type: ignore[operator]


@pytest.mark.parametrize("portrait", [astronaut, hopper])
def test_a_portrait_has_it_elsewhere(portrait: object) -> None:
    found = overlap(portrait())  # type: ignore[operator]
    assert found is not None and found < 0.5


def test_where_no_face_is_nothing_is_said() -> None:
    assert overlap(np.full((112, 112, 3), 128, np.uint8)) is None


def test_of_a_crop_with_a_bystander_the_better_face_counts() -> None:
    face = crop(astronaut(), 160, 160)
    small = cv2.resize(face, (64, 64), interpolation=cv2.INTER_AREA)
    both = cv2.resize(face, (416, 416), interpolation=cv2.INTER_CUBIC)
    both[:64, :64] = small
    assert (overlap(both) or 0) > 0.7


@pytest.mark.parametrize(("size", "factor"), [((112, 112), 1), ((96, 112), 1), ((224, 224), 2), ((192, 224), 2)])
def test_points_on_the_template_are_at_no_distance_whatever_the_size(size: tuple[int, int], factor: float) -> None:
    five = ARCFACE_POINTS * factor + ((size[0] - size[1]) / 2, 0)
    assert template_distance(points_at(five), *size) == pytest.approx(0)
    moved = points_at(np.add(five, (0.1 * size[1], 0)))
    assert template_distance(moved, *size) == pytest.approx(0.1)


def test_landmarks_found_in_crops_lie_nearer_to_the_template_than_those_of_portraits() -> None:
    def distance(picture: np.ndarray) -> float:
        predictor = load_predictor(find_landmark_model())
        found = analyse_photo(png(picture), predictor=predictor, detector=None, assume="aligned")
        return template_distance(found.faces[0].landmarks, found.width, found.height)

    for portrait in (astronaut(), hopper()):
        assert distance(crop(portrait, 112, 112)) < 0.05 < distance(portrait)


@pytest.mark.parametrize(
    ("width", "height", "fits"),
    [(112, 112, True), (96, 112, True), (250, 250, True), (113, 112, True), (112, 96, False), (178, 218, False),
     (640, 480, False), (1, 1000, False)],
)  # fmt: skip
def test_shapes(width: int, height: int, fits: bool) -> None:
    assert have_crop_shape(np.array([width]), np.array([height])).tolist() == [fits]
