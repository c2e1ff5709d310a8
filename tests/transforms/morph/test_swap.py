"""A bare face put on a masked photo: features arrive, the mask goes, the rest is the photo's own."""

from __future__ import annotations

import re
from collections.abc import Callable

import cv2
import numpy as np
import pytest

from faceloom.schemas.errors import PhotoError
from faceloom.transforms.morph.blend import face_hull
from faceloom.transforms.morph.swap import hidden_part, matched, swap_face
from faceloom.transforms.types import Image, Landmarks

Person = Callable[..., np.ndarray]
Portrait = Callable[..., np.ndarray]
SIZE = (224, 224)


def with_mouth(image: Image, points: Landmarks) -> Image:
    """The portrait with a red mouth."""
    drawn = image.copy()
    cv2.fillPoly(drawn, [points[48:60].astype(np.int32)], (170, 20, 30), cv2.LINE_AA)
    return drawn


def with_mask(image: Image, points: Landmarks) -> Image:
    """The portrait with a blue mask up to the bridge of the nose."""
    drawn = image.copy()
    cv2.fillPoly(drawn, [np.concatenate([points[1:16], points[28:29]]).astype(np.int32)], (60, 110, 220))
    return drawn


@pytest.fixture
def photos(landmarks: Person, portrait: Portrait) -> tuple[Image, Landmarks, Image, Landmarks]:
    here, there = landmarks((112, 90), 40), landmarks((130, 105), 48, roll=0.2)
    masked = with_mask(portrait(here, SIZE), here)
    bare = with_mouth(portrait(there, (260, 260), (150, 110, 90), (30, 90, 40)), there)
    return masked, here, bare, there


def redness(image: Image, at: np.ndarray) -> float:
    x, y = np.rint(at).astype(int)
    red, green, blue = image[y - 1 : y + 2, x - 1 : x + 2].reshape(-1, 3).mean(0)
    return float(red - (green + blue) / 2)


def test_the_mouth_comes_and_the_mask_goes(photos: tuple[Image, Landmarks, Image, Landmarks]) -> None:
    photo, here, face, there = photos
    made = swap_face(photo, here, face, there)
    middle = here[[62, 66]].mean(0)
    assert redness(photo, middle) < 0 < 60 < redness(made, middle)
    cheek = (here[4] + here[48]) / 2
    assert photo[tuple(np.rint(cheek[::-1]).astype(int))][2] > 200  # the blue of the mask
    # Skin of the photo, not the darker skin of the other picture.
    assert np.abs(made[tuple(np.rint(cheek[::-1]).astype(int))].astype(int) - (205, 160, 135)).max() < 25


def test_pixels_outside_the_face_are_the_photos(photos: tuple[Image, Landmarks, Image, Landmarks]) -> None:
    photo, here, face, there = photos
    made = swap_face(photo, here, face, there)
    outside = face_hull(here, SIZE) == 0
    assert np.array_equal(made[outside], photo[outside]) and made.shape == photo.shape
    assert not np.array_equal(made, photo)


def test_a_face_on_itself_is_itself(photos: tuple[Image, Landmarks, Image, Landmarks]) -> None:
    face, there = photos[2:]
    made = swap_face(face, there, face, there, np.zeros(face.shape[:2], bool))
    assert np.abs(made.astype(int) - face).mean() < 1


def test_only_the_known_mask_is_replaced_whole(photos: tuple[Image, Landmarks, Image, Landmarks]) -> None:
    photo, here, face, there = photos
    known = (photo == (60, 110, 220)).all(2)
    made = swap_face(photo, here, face, there, known)
    inner = cv2.erode((known & (face_hull(here, SIZE) > 0)).astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    assert (made[inner][:, 2] > made[inner][:, 0]).mean() < 0.02  # blue skin


def test_the_hidden_part_is_that_of_a_mask(landmarks: Person) -> None:
    points = landmarks((112, 90), 40)
    hidden = hidden_part(points, SIZE)
    inside = [bool(hidden[tuple(np.rint(points[number][::-1]).astype(int))]) for number in range(68)]
    assert all(inside[number] for number in (*range(2, 15), *range(29, 36), *range(48, 68)))
    assert not any(inside[17:27]) and not any(inside[36:40]) and not any(inside[42:46])


def test_colours_are_matched_where_both_are_seen() -> None:
    texture, photo = np.full((40, 40, 3), 100, np.uint8), np.full((40, 40, 3), (150, 100, 50), np.uint8)
    photo[20:] = (0, 0, 255)
    seen = np.zeros((40, 40), bool)
    seen[:20] = True
    made = matched(texture, photo, seen, 8)
    assert np.abs(made.astype(int) - (150, 100, 50)).max() <= 2
    assert matched(texture, photo, np.zeros_like(seen), 8) is texture


def test_profiles_of_two_sides_are_refused(landmarks: Person, portrait: Portrait) -> None:
    here, there = landmarks((112, 90), 40, yaw=0.9), landmarks((112, 90), 40, yaw=-0.9)
    with pytest.raises(PhotoError) as refused:
        swap_face(portrait(here, SIZE), here, portrait(there, SIZE), there)
    assert refused.value.code == "morph_folds"
    stated = re.search(r"got yaw (-?\d+)° and pitch -?\d+° on the photo, yaw (-?\d+)° and pitch", str(refused.value))
    assert stated and int(stated[1]) > 20 and int(stated[2]) < -20, "positive towards the right edge"


def test_a_face_outside_its_picture_is_refused(photos: tuple[Image, Landmarks, Image, Landmarks]) -> None:
    photo, here, face, there = photos
    with pytest.raises(PhotoError) as refused:
        swap_face(photo, here + 500, face, there)
    assert refused.value.code == "crop_outside" and "the tip of the nose is at x 6" in str(refused.value)
