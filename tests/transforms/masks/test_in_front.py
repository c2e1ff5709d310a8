"""Hair, hat and glasses stay in front of a mask, as does a hand; beards and the neck do not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest

from faceloom.schemas.guide import PARTS
from faceloom.transforms.guide.label_map import OTHER, bit_of
from faceloom.transforms.masks.in_front import COVERED, InFront, find_in_front, put_in_front
from faceloom.transforms.masks.painted import PaintedMask
from faceloom.transforms.types import Landmarks

ALL = ("hair", "hat", "eye_g")
KNOWN = frozenset(PARTS)


def labelled(points: Landmarks, **parts: list[tuple[float, float]] | np.ndarray) -> np.ndarray:
    """Labels (250, 250): a face of skin, and each part as a convex polygon over it."""
    bits = np.zeros((250, 250), np.uint32)
    face = np.concatenate([points[:17], points[17:27] - (0, 30)])
    for name, corners in {"skin": face, **parts}.items():
        drawn = np.zeros(bits.shape, np.uint8)
        cv2.fillConvexPoly(drawn, cv2.convexHull(np.rint(np.array(corners, np.float32)).astype(np.int32)), 1)
        bits[drawn > 0] = bit_of(name) if name in PARTS else OTHER if name == "teeth" else 0
    return bits


def found(bits: np.ndarray, points: Landmarks, parts: Any = ALL, known: frozenset[str] = KNOWN) -> InFront:
    return find_in_front(bits, known, points, parts)


@pytest.mark.parametrize("part", ALL)
def test_a_part_that_reaches_over_the_mask_stays_in_front(landmarks: Callable[..., Landmarks], part: str) -> None:
    points = landmarks()
    x, y = points[2]
    strand = [(x, 20), (x + 14, 20), (x + 14, y + 20), (x, y + 20)]
    result = found(labelled(points, **{part: strand}), points)
    assert result.share is not None and result.share[int(y), int(x) + 7] == 255
    assert result.share[int(points[30, 1]), int(points[30, 0])] == 0
    assert found(labelled(points, **{part: strand}), points, tuple(p for p in ALL if p != part)).share is None


def test_beards_are_below_the_cloth(landmarks: Callable[..., Landmarks]) -> None:
    points = landmarks()
    beard = np.concatenate([points[5:12], points[[48, 54]]])
    assert found(labelled(points, hair=beard), points).share is None
    moustache = points[[31, 35, 54, 48]]
    assert found(labelled(points, hair=moustache), points).share is None


@pytest.mark.parametrize("roll", [0.0, 0.8, -0.8, 3.0])
def test_hair_hangs_from_above_the_ears_whatever_the_tilt(landmarks: Callable[..., Landmarks], roll: float) -> None:
    points = landmarks(roll=roll)
    down, across = points[8] - points[27], points[16] - points[0]
    top, end = points[0] - 0.2 * down, points[3] + 0.03 * across
    strand = [top, top + 0.12 * across, end + 0.12 * across, end]
    result = found(labelled(points, hair=strand), points)
    x, y = np.rint(points[2] + 0.08 * across).astype(int)
    assert result.share is not None and result.share[y, x] == 255


def test_a_hand_over_the_mouth_stays_in_front(landmarks: Callable[..., Landmarks]) -> None:
    points = landmarks()
    x, y = points[62]
    hand = [(x - 12, y - 12), (250, y - 12), (250, y + 30), (x - 12, y + 30)]
    result = found(labelled(points, hand=hand), points)
    assert result.occluded is not None and result.occluded > COVERED
    assert result.share is not None and result.share[int(y), int(x)] == 255 == result.share[int(y), int(x) + 20]
    assert result.share[int(points[27, 1]), int(points[27, 0])] == 0
    beside = int(points[12, 0]) + 6
    assert result.share[int(y), beside] == 255, "beyond the outline, where straps and edges of masks reach"
    assert result.share[int(y), 245] == 0, "far from the face"


def test_what_a_label_order_names_otherwise_hides_no_mask(landmarks: Callable[..., Landmarks]) -> None:
    points = landmarks()
    result = found(labelled(points, teeth=points[48:60]), points)
    assert result.share is None and result.occluded == 0


@pytest.mark.parametrize("part", ["neck", "l_ear", "ear_r"])
def test_neck_and_ears_hide_no_mask(landmarks: Callable[..., Landmarks], part: str) -> None:
    points = landmarks()
    chin = [points[6], points[10], points[8] + (0, 30)]
    result = found(labelled(points, **{part: chin}), points)
    assert result.share is None and result.occluded == 0


def test_what_does_not_reach_nose_and_mouth_is_the_edge_of_the_face(landmarks: Callable[..., Landmarks]) -> None:
    points = landmarks()
    edge = [points[0], points[3], points[3] + (12, 0), points[0] + (12, 0)]
    result = found(labelled(points, background=edge), points)
    assert result.share is None and result.occluded == 0


def test_labels_without_skin_do_not_show_what_is_covered(landmarks: Callable[..., Landmarks]) -> None:
    points = landmarks()
    result = found(np.zeros((250, 250), np.uint32), points, known=frozenset({"hair"}))
    assert result.occluded is None and result.share is None


def test_a_face_that_the_labels_leave_out_is_not_covered(landmarks: Callable[..., Landmarks]) -> None:
    """A label map of another person in the photo."""
    points = landmarks()
    result = found(labelled(points - (200, 0)), points)
    assert result.occluded is None and result.share is None


def painted(straps: bool = True) -> tuple[np.ndarray, PaintedMask]:
    photo = np.random.default_rng(0).integers(0, 255, (40, 50, 3), np.uint8)
    alpha = np.zeros((40, 50), np.float32)
    alpha[20:] = 1
    lines = np.zeros_like(alpha)
    lines[15] = 1
    image = np.where((alpha + lines)[..., None] > 0, np.uint8(77), photo)
    return photo, PaintedMask(image, alpha, lines if straps else None, {"template": "x"})


def test_pixels_in_front_are_those_of_the_photo_and_no_truth() -> None:
    photo, mask = painted()
    share = np.zeros((40, 50), np.uint8)
    share[:, :10] = 255
    share[:, 10] = 128
    result = put_in_front(photo, mask, share)
    assert np.array_equal(result.image[:, :10], photo[:, :10])
    assert np.array_equal(result.image[:, 11:], mask.image[:, 11:])
    assert result.straps is not None and mask.straps is not None
    for truth, before in ((result.alpha, mask.alpha), (result.straps, mask.straps)):
        assert not truth[:, :10].any() and np.array_equal(truth[:, 11:], before[:, 11:])
        assert np.allclose(truth[:, 10], before[:, 10] * (1 - 128 / 255))
    assert result.parameters == {"template": "x", "in_front": pytest.approx(10.5 / 50, abs=1e-3)}
    assert mask.alpha[30, 0] == 1, "the mask itself is left alone"


def test_what_lies_beside_the_mask_changes_nothing() -> None:
    photo, mask = painted(straps=False)
    share = np.zeros((40, 50), np.uint8)
    share[:14] = 255
    result = put_in_front(photo, mask, share)
    assert np.array_equal(result.image, mask.image) and np.array_equal(result.alpha, mask.alpha)
    assert result.straps is None and result.parameters["in_front"] == 0
