"""Detection: real portraits of two astronauts of computing and of space, at many sizes and places."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from itertools import pairwise

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.data import astronaut

from faceloom.pipelines.analyse.model_files import find_landmark_model, load_detector, load_predictor
from faceloom.transforms import detect
from faceloom.transforms.align import arcface_matrix, five_points, warp_image
from faceloom.transforms.decode import decode_grey
from faceloom.transforms.detect import (
    FaceBox,
    Select,
    box_for_aligned,
    box_of_landmarks,
    coarse_to_fine,
    detect_at_scale,
    factors_for_all_faces,
    predict_landmarks,
    search_factors,
    select_faces,
    suppress_duplicates,
    tiles,
)
from faceloom.transforms.geometry import apply_affine
from faceloom.transforms.types import Grey
from tests.transforms.pictures import open_sample


@lru_cache(maxsize=1)
def collins() -> Grey:
    """Eileen Collins, 512x512: her face is about 100 pixels wide around (225, 115)."""
    return cv2.cvtColor(astronaut(), cv2.COLOR_RGB2GRAY)


@lru_cache(maxsize=1)
def hopper() -> Grey:
    """Grace Hopper, 512x600: her face is about 220 pixels wide."""
    with open_sample("grace_hopper.jpg") as file:
        return decode_grey(file.read())


def two_faces() -> Grey:
    """Hopper at the left, Collins, smaller, at the right and at the bottom of a 1100x700 picture."""
    picture = np.full((700, 1100), 128, np.uint8)
    picture[:600, :512] = hopper()
    picture[150:662, 560:1072] = collins()
    return picture


def landmarks_of(grey: Grey, box: FaceBox) -> np.ndarray:
    return predict_landmarks(grey, box, load_predictor(find_landmark_model()))


def find(grey: Grey, select: Select = "largest") -> tuple[FaceBox, ...]:
    height, width = grey.shape
    return coarse_to_fine(lambda factor: detect_at_scale(grey, load_detector(), factor), width, height, select)


def deviation(first: np.ndarray, second: np.ndarray, start: int = 0) -> float:
    """Mean distance of the landmarks from `start` on, in eye distances."""
    return float(np.linalg.norm(first - second, axis=1)[start:].mean() / math.dist(*five_points(second)[:2]))


# ----------------------------------------------------------------------------------------------------------- scales


@given(st.integers(1, 60_000), st.integers(1, 60_000))
def test_scales_grow_and_stay_within_the_limit(width: int, height: int) -> None:
    factors = search_factors(width, height)
    assert factors and list(factors) == sorted(set(factors))
    assert all(width * height * factor**2 <= detect.MAX_SEARCHED_PIXELS * 1.001 for factor in factors)
    assert all(later / earlier >= 1.17 for earlier, later in pairwise(factors))


@pytest.mark.parametrize(
    ("width", "height", "sides"),
    [
        (112, 112, [112, 224]),
        (250, 250, [208, 250, 500]),
        (512, 400, [208, 512, 1024]),
        (1350, 1350, [208, 416, 832, 1350, 2700]),
        (3000, 4000, [208, 416, 832, 1664, 4000]),
    ],
)
def test_small_pictures_are_searched_at_once_large_ones_step_by_step(width: int, height: int, sides: list[int]) -> None:
    assert [round(factor * max(width, height)) for factor in search_factors(width, height)] == sides


@given(st.integers(1, 60_000), st.integers(1, 60_000))
def test_scales_for_every_face_leave_no_size_out(width: int, height: int) -> None:
    factors = factors_for_all_faces(width, height)
    assert factors[-1] == 2 and list(factors) == sorted(factors)
    assert width * height * factors[0] ** 2 <= detect.MAX_SEARCHED_PIXELS * 1.001 or len(factors) == 1
    assert len(factors) == 1 or width * height * factors[1] ** 2 > detect.MAX_SEARCHED_PIXELS
    for coarse, fine in pairwise(factors):
        seen_whole = detect.OVERLAP * math.sqrt(detect.MAX_SEARCHED_PIXELS) / fine
        assert detect.SMALLEST / coarse <= seen_whole * 0.67


@pytest.mark.parametrize(
    ("width", "height", "sides"),
    [(250, 250, [500]), (2000, 2000, [4000]), (3000, 4000, [960, 8000]), (12_000, 8_000, [2880, 24_000])],
)
def test_every_face_is_searched_for_at_twice_the_size(width: int, height: int, sides: list[int]) -> None:
    assert [round(factor * max(width, height)) for factor in factors_for_all_faces(width, height)] == sides


@given(st.integers(1, 100_000), st.floats(4, 5_000))
def test_tiles_cover_all_evenly_and_overlap(length: int, side: float) -> None:
    pieces = tiles(length, side)
    assert pieces[0][0] == 0 and pieces[-1][1] == length
    assert len({end - start for start, end in pieces}) == 1
    assert all(end - start <= side for start, end in pieces)
    assert all(later[0] > earlier[0] for earlier, later in pairwise(pieces))
    assert all(earlier[1] - later[0] >= detect.OVERLAP * side - 3 for earlier, later in pairwise(pieces))
    assert len(pieces) == 1 or length > side


# -------------------------------------------------------------------------------------------------------- detection


@pytest.mark.parametrize("photo", [collins, hopper])
def test_one_portrait_one_face(photo: object) -> None:
    (face,) = find(photo())  # type: ignore[operator]
    assert face.score > 0
    assert face.width == pytest.approx(face.height, rel=0.05)


def test_the_box_is_around_the_face() -> None:
    (face,) = find(hopper())
    points = landmarks_of(hopper(), face)
    eyes = five_points(points)[:2]
    assert face.left < eyes[0, 0] < eyes[1, 0] < face.right
    assert face.top < eyes[:, 1].min() and points[57, 1] < face.bottom


@pytest.mark.parametrize("scale", [0.5, 1, 2, 4])
def test_a_face_is_found_at_any_size(scale: float) -> None:
    # Enlarged, her suit looks a little like a face at a coarse scale: that must not end the search.
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    (face,) = find(cv2.resize(collins(), None, fx=scale, fy=scale, interpolation=method))
    assert FaceBox.iou(face.scaled(1 / scale), find(collins())[0]) > 0.6


def test_a_small_face_is_found_by_enlarging() -> None:
    picture = np.full((600, 900), 128, np.uint8)
    small = cv2.resize(collins(), (230, 230), interpolation=cv2.INTER_AREA)
    picture[200:430, 500:730] = small
    (face,) = find(picture)
    assert 30 < face.width < 70
    assert math.dist(face.centre, (500 + 225 * 0.45, 200 + 115 * 0.45)) < 15


def test_largest_all_and_centre() -> None:
    picture = two_faces()
    (largest,) = find(picture, select="largest")
    assert largest.centre[0] < 512
    every = find(picture, select="all")
    assert len(every) == 2
    assert every[0].width > every[1].width
    assert FaceBox.iou(every[0], largest) > 0.5 and every[1].centre[0] > 560


def head(width: int) -> Grey:
    """Collins's head, her face about this many pixels wide."""
    factor = width / 105
    return cv2.resize(collins()[5:225, 125:325], None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)


def mosaic() -> Grey:
    """56 faces of 52 pixels in 8 columns and 7 rows of 104 and 114 pixels: wherever a tile ends, it cuts some."""
    return np.pad(np.tile(head(52), (7, 8)), 10, constant_values=128)


def test_small_faces_of_a_large_picture_are_found_tile_by_tile_and_once(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = find(mosaic(), "all")
    monkeypatch.setattr(detect, "MAX_SEARCHED_PIXELS", 700_000)
    assert len(factors_for_all_faces(*mosaic().shape[::-1])) > 1
    tiled = find(mosaic(), "all")
    assert len(tiled) >= len(whole) >= 50
    for face in whole:
        (same,) = (other for other in tiled if other.iou(face) > 0.3)
        assert same.iou(face) > 0.6
    assert len([face for face in tiled if 40 < face.width < 70]) == len(whole)


def test_a_face_larger_than_the_tiles_is_found_beside_small_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    picture = np.full((900, 1200), 128, np.uint8)
    picture[20:620, 300:812] = hopper()
    for top, left in ((700, 100), (760, 640), (30, 1000)):
        small = head(52)
        picture[top : top + small.shape[0], left : left + small.shape[1]] = small
    monkeypatch.setattr(detect, "MAX_SEARCHED_PIXELS", 600_000)
    faces = [face for face in find(picture, "all") if face.score > 0.2]
    assert len(faces) == 4
    assert faces[0].width > 150 and 300 < faces[0].centre[0] < 812
    assert [30 < face.width < 70 for face in faces] == [False, True, True, True]


def test_tiles_bound_what_is_searched_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []

    class Detector:
        def run(self, grey: Grey, *_: object) -> tuple[list[object], list[float], list[int]]:
            sizes.append(grey.size)
            assert grey.flags.c_contiguous
            return [], [], []

    monkeypatch.setattr(detect, "MAX_SEARCHED_PIXELS", 10_000)
    for factor in (0.5, 1, 2):
        detect_at_scale(np.zeros((300, 470), np.uint8), Detector(), factor)
    assert max(sizes) <= 10_400, "but for rounding to whole pixels"
    assert sum(sizes) < 2.2 * 300 * 470 * (0.25 + 1 + 4)


def test_of_boxes_of_one_face_the_surest_remains() -> None:
    face, again, other = FaceBox(0, 0, 100, 100, 0.9), FaceBox(20, 5, 110, 95, 1.1), FaceBox(95, 0, 195, 100, 0.2)
    assert suppress_duplicates([face, other, again]) == (again, other)
    assert suppress_duplicates([]) == ()


@given(st.lists(st.tuples(*[st.floats(-50, 50)] * 2, st.floats(1, 60), st.floats(0, 2)), max_size=8))
def test_once_each_keeps_no_pair_and_forgets_no_face(rows: list[tuple[float, ...]]) -> None:
    faces = [FaceBox(x, y, x + side, y + side, score) for x, y, side, score in rows]
    kept = suppress_duplicates(faces)
    assert all(a.iou(b) <= detect.SAME_FACE for a in kept for b in kept if a is not b)
    assert all(
        any(face is k or (face.iou(k) > detect.SAME_FACE and k.score >= face.score) for k in kept) for face in faces
    )
    assert set(suppress_duplicates(faces[::-1])) == set(kept)


def test_overlap_of_boxes() -> None:
    box = FaceBox(0, 0, 10, 20)
    assert box.iou(box) == 1
    assert box.iou(box.moved(5, 0)) == pytest.approx(1 / 3)
    assert box.iou(box.moved(10, 0)) == box.iou(box.moved(-30, 40)) == 0


def test_nearest_to_the_centre() -> None:
    faces = FaceBox(0, 0, 300, 300), FaceBox(450, 300, 550, 400), FaceBox(800, 0, 1000, 200)
    assert select_faces(faces, "centre", 1000, 700) == (faces[1],)
    assert select_faces(faces, "largest", 1000, 700) == (faces[0],)
    assert select_faces(faces, "all", 1000, 700) == (faces[0], faces[2], faces[1])


def scales(found: dict[float, tuple[FaceBox, ...]], asked: list[float]) -> Callable[[float], tuple[FaceBox, ...]]:
    """A look that finds the given faces at the given longest sides of a 1000x1000 picture, and notes what was asked."""

    def look(factor: float) -> tuple[FaceBox, ...]:
        asked.append(round(factor * 1000))
        return found.get(asked[-1], ())

    return look


def test_the_search_ends_at_the_first_sure_face() -> None:
    asked: list[float] = []
    sure = FaceBox(0, 0, 300, 300, 1.2)
    assert coarse_to_fine(scales({416: (sure,)}, asked), 1000, 1000, "largest") == (sure,)
    assert asked == [208, 416]


def test_a_weak_face_yields_to_a_sure_one() -> None:
    weak, sure = FaceBox(0, 0, 500, 500, 0.1), FaceBox(600, 600, 700, 700, 1.5)
    assert coarse_to_fine(scales({208: (weak,), 1000: (sure,)}, []), 1000, 1000, "largest") == (sure,)
    assert coarse_to_fine(scales({208: (weak, sure)}, []), 1000, 1000, "largest") == (sure,)


def test_without_a_sure_face_the_strongest_weak_one_counts_and_nothing_is_enlarged() -> None:
    asked: list[float] = []
    weak, weaker = FaceBox(0, 0, 100, 100, 0.3), FaceBox(600, 600, 900, 900, 0.1)
    assert coarse_to_fine(scales({208: (weaker,), 416: (weak,)}, asked), 1000, 1000, "centre") == (weak,)
    assert asked == [208, 416, 1000]


def test_the_picture_is_enlarged_only_when_nothing_was_found() -> None:
    asked: list[float] = []
    assert coarse_to_fine(scales({}, asked), 1000, 1000, "largest") == ()
    assert asked == [208, 416, 1000, 2000]


def test_equal_faces_have_a_fixed_order() -> None:
    faces = FaceBox(300, 0, 400, 100), FaceBox(0, 0, 100, 100)
    assert select_faces(faces, "all", 500, 100) == select_faces(faces[::-1], "all", 500, 100)


@pytest.mark.parametrize("shape", [(1, 1), (3, 700), (700, 3), (60, 60), (300, 400)])
def test_no_face_no_box(shape: tuple[int, int]) -> None:
    for select in ("largest", "all", "centre"):
        assert find(np.full(shape, 100, np.uint8), select=select) == ()


def test_a_search_at_one_scale_answers_in_the_pictures_pixels() -> None:
    coarse, full = (detect_at_scale(hopper(), load_detector(), factor) for factor in (0.5, 1.0))
    assert FaceBox.iou(coarse[0], full[0]) > 0.6


# -------------------------------------------------------------------------------------------------------- landmarks


def test_landmarks_lie_where_the_face_is() -> None:
    points = landmarks_of(hopper(), find(hopper())[0])
    assert points.shape == (68, 2) and points.dtype == np.float32
    left, right, nose, mouth_left, mouth_right = five_points(points)
    assert left[0] < nose[0] < right[0] and max(left[1], right[1]) < nose[1] < mouth_left[1]
    assert mouth_left[0] < mouth_right[0]
    assert points[8, 1] == points[:, 1].max()  # the chin
    dark, bright = (
        float(np.median([hopper()[int(y), int(x)] for x, y in part])) for part in (points[36:48], points[1:4])
    )
    assert dark < bright


@pytest.mark.parametrize("reduction", [2, 4])
def test_landmarks_of_a_smaller_photo_agree(reduction: int) -> None:
    large = cv2.resize(hopper(), None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
    (face,) = find(large)
    small = cv2.resize(large, (large.shape[1] // reduction, large.shape[0] // reduction), interpolation=cv2.INTER_AREA)
    points = landmarks_of(small, face.scaled(1 / reduction))
    assert deviation((points + 0.5) * reduction - 0.5, landmarks_of(large, face)) < 0.04


def test_landmarks_of_small_faces_are_finer_than_pixels() -> None:
    small = cv2.resize(hopper(), None, fx=0.3, fy=0.3, interpolation=cv2.INTER_AREA)
    (face,) = find(hopper())
    points = landmarks_of(small, face.scaled(0.3))
    assert (np.abs(points - points.round()) > 0.1).mean() > 0.5
    assert deviation((points + 0.5) / 0.3 - 0.5, landmarks_of(hopper(), face)) < 0.04


def test_a_box_across_the_border_is_no_trouble() -> None:
    (face,) = find(hopper())
    cut = np.ascontiguousarray(hopper()[:, round(face.centre[0]) :])
    shifted = FaceBox(face.left - round(face.centre[0]), face.top, face.right - round(face.centre[0]), face.bottom)
    points = landmarks_of(cut, shifted)
    assert np.isfinite(points).all()
    assert math.dist(points.mean(axis=0), shifted.centre) < face.width


@pytest.mark.parametrize("photo", [collins, hopper])
def test_aligned_crops_need_no_detector(photo: object) -> None:
    grey = photo()  # type: ignore[operator]
    points = landmarks_of(grey, find(grey)[0])
    matrix = arcface_matrix(points, 112)
    crop = warp_image(grey, matrix, (112, 112))
    aligned = landmarks_of(crop, box_for_aligned(112, 112))
    assert deviation(aligned, apply_affine(matrix, points), start=17) < 0.04  # the jaw is partly outside the crop


# ------------------------------------------------------------------------------------------------------------ boxes


@given(st.floats(0.1, 10))
def test_scaling_a_box_keeps_its_place(factor: float) -> None:
    box = FaceBox(10.5, 20.5, 109.5, 121.5, 0.7)
    back = box.scaled(factor).scaled(1 / factor)
    assert (back.left, back.top, back.right, back.bottom) == pytest.approx((10.5, 20.5, 109.5, 121.5))
    assert back.score == 0.7
    assert box.scaled(factor).width == pytest.approx(99 * factor)


def test_a_whole_picture_scales_to_a_whole_picture() -> None:
    assert FaceBox(-0.5, -0.5, 99.5, 49.5).scaled(2) == FaceBox(-0.5, -0.5, 199.5, 99.5)


def test_box_of_landmarks_is_square_and_holds_them() -> None:
    points = landmarks_of(hopper(), find(hopper())[0])
    box = box_of_landmarks(points)
    assert box.width == pytest.approx(box.height)
    assert (points >= (box.left - 1e-3, box.top - 1e-3)).all() and (
        points <= (box.right + 1e-3, box.bottom + 1e-3)
    ).all()
    assert FaceBox.iou(box, find(hopper())[0]) > 0.4


def test_the_aligned_box_follows_the_size_of_the_crop() -> None:
    small, large = box_for_aligned(112, 112), box_for_aligned(224, 224)
    assert large.left == pytest.approx(small.scaled(2).left) and large.bottom == pytest.approx(small.scaled(2).bottom)
