"""A network finds faces upright, then turned; HOG's faces keep their places."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceloom.transforms.detect import FaceBox, Select
from faceloom.transforms.face_search import (
    SIDE_FOR_ALL,
    SIDES,
    TURNS,
    Network,
    find_by_network,
    find_turned,
    merged,
    moved_by,
    righted,
    search_sides,
    turned_back,
)
from faceloom.transforms.geometry import apply_affine, invert
from faceloom.transforms.types import Image

LENGTHS, ANGLES = st.integers(20, 4000), st.integers(-180, 180)


def box(left: float, top: float, width: float, score: float = 0.9, detector: str = "yunet") -> FaceBox:
    return FaceBox(left, top, left + width, top + width, score, detector)  # type: ignore[arg-type]


def white_square(picture: Image) -> tuple[FaceBox, ...]:
    """The bounding box of white pixels, if they fill it: an upright white square."""
    rows, columns = np.nonzero(picture[..., 0] > 250)
    if not len(rows):
        return ()
    edges = float(columns.min()), float(rows.min()), float(columns.max()), float(rows.max())
    area = (edges[2] - edges[0] + 1) * (edges[3] - edges[1] + 1)
    fill = len(rows) / area
    return (FaceBox(edges[0] - 0.5, edges[1] - 0.5, edges[2] + 0.5, edges[3] + 0.5, fill, "yunet"),)


SQUARES = Network(white_square, sure=0.95, sure_turned=0.95)


def drawn(turn: int, width: int = 400, height: int = 300) -> Image:
    picture = np.zeros((height, width, 3), np.uint8)
    corners = cv2.boxPoints(((250.0, 120.0), (80.0, 80.0), float(turn))).astype(np.int32)
    cv2.fillPoly(picture, [corners], (255, 255, 255))
    return picture


def resized(picture: Image, side: int) -> Image:
    factor = side / max(picture.shape)
    return cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_NEAREST)


def search(picture: Image, select: Select = "largest", network: Network = SQUARES) -> tuple[FaceBox, ...]:
    height, width = picture.shape[:2]
    return find_by_network(lambda side: resized(picture, side), network, width, height, select)


@pytest.mark.parametrize("turn", [0, *TURNS])
def test_a_turned_face_is_found_with_its_place_and_angle(turn: int) -> None:
    (found,) = search(drawn(turn))
    upright = turn % 90 == 0  # a square does not show quarter turns
    assert found.turn == (0 if upright else turn) or found.turn % 90 == turn % 90
    assert found.centre == pytest.approx((250, 120), abs=1.5)
    assert found.width == pytest.approx(81, abs=3)


def test_a_turned_face_needs_a_higher_score() -> None:
    (seen,) = find_turned(drawn(30), 30, SQUARES)
    strict = Network(white_square, sure=0.95, sure_turned=seen.score + 0.001)
    assert find_turned(drawn(30), 30, strict) == ()


def test_of_all_turns_the_one_with_the_best_score_counts() -> None:
    upright = iter([(), *((box(100, 100, 50, score),) for score in (0.86, 0.97, 0.9, 0.88, 0.87))])
    network = Network(lambda picture: next(upright), sure=0.8, sure_turned=0.85)
    (found,) = search(np.zeros((300, 600, 3), np.uint8), network=network)
    assert (found.score, found.turn) == (0.97, TURNS[1])


def test_a_picture_with_an_upright_face_is_only_compared_with_itself_upside_down() -> None:
    asked = []

    def find(picture: Image) -> tuple[FaceBox, ...]:
        asked.append(picture.shape)
        return (box(10, 10, 50, 0.8),)

    search(np.zeros((300, 600, 3), np.uint8), network=Network(find, 0.8, 0.85))
    assert asked == [(320, 640, 3)] * 2


@pytest.mark.parametrize(("upright", "turned", "turn"), [(0.85, 0.95, 180), (0.95, 0.85, 0), (0.85, 0.84, 0)])
def test_a_face_that_is_seen_upright_and_upside_down_has_the_turn_of_the_higher_score(
    upright: float, turned: float, turn: int
) -> None:
    """Networks see many faces that are upside down as if they were upright."""
    seen = iter([(box(100, 100, 50, upright),), (box(489, 169, 50, turned), box(10, 10, 50, 0.99))])
    network = Network(lambda picture: next(seen), 0.8, 0.85)
    (found,) = search(np.zeros((300, 600, 3), np.uint8), network=network)
    assert found.turn == turn and found.centre == pytest.approx((117, 117), abs=3)


def test_faces_below_the_limit_do_not_count() -> None:
    faces = box(0, 0, 90, 0.79), box(200, 0, 50, 0.8), box(100, 0, 60, 0.9)
    network = Network(lambda picture: faces, 0.8, 2.0)
    found = search(np.zeros((640, 640, 3), np.uint8), "all", network)
    assert [face.score for face in found] == [0.9, 0.8]


@given(LENGTHS, LENGTHS)
def test_small_pictures_are_enlarged_twice_at_most_and_large_ones_searched_again(width: int, height: int) -> None:
    longest = max(width, height)
    for select in ("largest", "centre", "all"):
        sides = search_sides(width, height, select)
        assert sides and list(sides) == sorted(set(sides))
        assert all(side <= min(2 * longest, max(SIDES)) for side in sides)
        assert (len(sides) == 2) == (longest < SIDE_FOR_ALL if select == "all" else longest > SIDES[0])
    assert search_sides(width, height, "all")[0] == min(SIDE_FOR_ALL, longest)


@given(ANGLES, st.integers(8, 60), st.integers(8, 60), st.floats(0, 1), st.floats(0, 1))
def test_every_pixel_of_a_turned_picture_stays_in_it(turn: int, width: int, height: int, x: float, y: float) -> None:
    picture = np.zeros((height, width, 3), np.uint8)
    turned, matrix = turned_back(picture, turn)
    point = np.array([[x * (width - 1), y * (height - 1)]])
    (across, down), (high, wide) = apply_affine(matrix, point)[0], turned.shape[:2]
    assert -1 <= across <= wide and -1 <= down <= high
    assert apply_affine(invert(matrix), apply_affine(matrix, point)) == pytest.approx(point, abs=1e-6)


@given(ANGLES, st.floats(0, 100), st.floats(0, 100), st.floats(1, 50))
def test_a_box_keeps_its_size_and_its_middle_through_a_turn(turn: int, left: float, top: float, width: float) -> None:
    _, matrix = turned_back(np.zeros((100, 150, 3), np.uint8), turn)
    there = moved_by(box(left, top, width), matrix, turn)
    back = moved_by(there, invert(matrix), 0)
    assert there.turn == turn and there.width == pytest.approx(width)
    assert back.centre == pytest.approx(box(left, top, width).centre, abs=1e-6)


def test_one_look_suffices_where_another_detector_found_faces() -> None:
    asked: list[tuple[int, ...]] = []

    def find(picture: Image) -> tuple[FaceBox, ...]:
        asked.append(picture.shape)
        return ()

    network = Network(find, 0.8, 0.85)
    picture = np.zeros((300, 600, 3), np.uint8)
    assert find_by_network(lambda side: resized(picture, side), network, 600, 300, "all", thorough=False) == ()
    assert asked == [(300, 600, 3)]
    find_by_network(lambda side: resized(picture, side), network, 600, 300, "all")
    assert len(asked) == 1 + 2 + len(TURNS)


def test_merged_faces_keep_the_places_of_the_first_detector() -> None:
    hog = box(0, 0, 50, 1.2, "hog"), box(300, 0, 90, 1.0, "hog")
    others = box(290, 5, 95), box(600, 0, 200), box(3, 3, 50)
    assert merged(hog, others) == (*hog, others[1])
    assert merged((), others) == others
    assert merged(hog, ()) == hog


def test_two_upright_faces_that_are_one_upside_down_become_one() -> None:
    upright = box(0, 0, 100, 0.7), box(20, 0, 100, 0.6), box(500, 0, 90, 0.9)
    turned = (box(10, 0, 100, 0.95),)
    assert righted(upright, turned) == (*turned, upright[2])
