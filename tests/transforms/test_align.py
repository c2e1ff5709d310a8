"""Alignment: landmarks land where the template says, and crops are averages of the photo, not samples of it."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceloom.schemas.errors import PhotoError
from faceloom.transforms.align import (
    ARCFACE_POINTS,
    arcface_matrix,
    blur_beyond,
    crop_reduction,
    eye_level_matrix,
    face_box_matrix,
    five_points,
    from_reduced,
    source_region,
    warp_alpha,
    warp_image,
)
from faceloom.transforms.decode import to_reduced_frame
from faceloom.transforms.detect import FaceBox
from faceloom.transforms.geometry import (
    apply_affine,
    compose,
    invert,
    rotate,
    scale_about_corner,
    scale_of,
    similarity,
    translate,
)
from faceloom.transforms.types import Border, Matrix


def template_face(height: int = 112) -> np.ndarray:
    """68 landmarks that hold the five template points and lie on a circle elsewhere."""
    angles = np.linspace(0, 2 * math.pi, 68, endpoint=False)
    face = 56 + 40 * np.column_stack([np.cos(angles), np.sin(angles)])
    for first, last, point in zip((36, 42, 30, 48, 54), (41, 47, 30, 48, 54), ARCFACE_POINTS):
        face[first : last + 1] = point
    return (face * height / 112).astype(np.float32)


def moved_face(scale: float = 3.7, angle: float = 0.3) -> np.ndarray:
    return apply_affine(similarity(scale, angle, dst=(200, 90)), template_face())


def smooth_picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 256, (height // 20 + 2, width // 20 + 2, 3), dtype=np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def exact_crop(image: np.ndarray, matrix: Matrix, size: tuple[int, int], fine: int = 16) -> np.ndarray:
    """Average over fine x fine samples in each crop pixel, with the photo mirrored at its border: slow and right."""
    finer = compose(scale_about_corner(fine), matrix)
    samples = cv2.warpAffine(
        image.astype(np.float32), finer, (size[0] * fine, size[1] * fine), borderMode=cv2.BORDER_REFLECT_101
    )
    return samples.reshape(size[1], fine, size[0], fine, -1).mean(axis=(1, 3))


def rms(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.sqrt(((first.astype(float) - second) ** 2).mean()))


def test_five_points_are_eyes_nose_and_mouth() -> None:
    assert np.allclose(five_points(template_face()), ARCFACE_POINTS, atol=1e-4)


@given(st.floats(0.2, 20), st.floats(-math.pi, math.pi), st.sampled_from([56, 112, 224]))
def test_arcface_brings_the_five_points_to_the_template(scale: float, angle: float, size: int) -> None:
    face = moved_face(scale, angle).astype(np.float64)
    crop = apply_affine(arcface_matrix(face, size), face)
    assert np.allclose(five_points(crop), ARCFACE_POINTS * size / 112, atol=1e-2)


def test_the_96_wide_arcface_crop_is_8_pixels_to_the_left() -> None:
    face = moved_face()
    wide, narrow = arcface_matrix(face, 112), arcface_matrix(face, 112, width=96)
    assert np.allclose(narrow, compose(translate(-8, 0), wide))
    assert np.allclose(arcface_matrix(face, 224, width=192), compose(translate(-16, 0), arcface_matrix(face, 224)))


@pytest.mark.parametrize(("size", "width", "height"), [(64, 64, 64), ((96, 112), 96, 112)])
def test_eye_level_puts_the_eyes_on_one_line(size: int | tuple[int, int], width: int, height: int) -> None:
    face = moved_face()
    left, right = five_points(apply_affine(eye_level_matrix(face, size), face))[:2]
    assert left[1] == pytest.approx(right[1], abs=1e-3)
    assert right[0] - left[0] == pytest.approx(0.315 * width, abs=1e-3)
    assert (left + right) / 2 == pytest.approx([0.499 * width, 0.461 * height], abs=1e-3)


def test_eye_level_geometry_is_a_choice() -> None:
    face = moved_face()
    matrix = eye_level_matrix(face, 100, eye_distance=0.5, eye_midpoint=(0.4, 0.3))
    assert np.allclose(five_points(apply_affine(matrix, face))[:2], [(15, 30), (65, 30)], atol=1e-3)


def test_face_box_fills_the_crop_edge_to_edge() -> None:
    box = FaceBox(10.5, 20.5, 110.5, 120.5)
    matrix = face_box_matrix(box, template_face(), 224)
    corners = apply_affine(matrix, np.array([[10.5, 20.5], [110.5, 120.5]]))
    assert np.allclose(corners, [[-0.5, -0.5], [223.5, 223.5]])


def test_face_box_margin_is_in_box_sides() -> None:
    box = FaceBox(0, 0, 100, 80)
    corners = apply_affine(face_box_matrix(box, template_face(), 200, margin=0.5), np.array([[0.0, 0], [100, 80]]))
    assert np.allclose(corners, [[49.5, 59.5], [149.5, 139.5]])


def test_a_level_face_box_turns_about_its_centre() -> None:
    face, box = moved_face(angle=0.4), FaceBox(100, 100, 300, 300)
    matrix = face_box_matrix(box, face, 224, level=True)
    left, right = five_points(apply_affine(matrix, face))[:2]
    assert abs(right[1] - left[1]) < abs(right[0] - left[0]) * 0.01
    assert np.allclose(apply_affine(matrix, np.array([[200.0, 200]])), 111.5)


def test_alignment_of_one_point_is_refused() -> None:
    with pytest.raises(PhotoError) as caught:
        arcface_matrix(np.ones((68, 2), np.float32), 112)
    assert caught.value.code == "degenerate_points"


@pytest.mark.parametrize(
    ("shrink", "reduction"), [(0.5, 1), (1, 1), (3.9, 1), (4, 2), (7.9, 2), (8, 4), (16, 8), (100, 8)]
)
def test_reduced_photos_keep_two_pixels_per_crop_pixel(shrink: float, reduction: int) -> None:
    assert crop_reduction(similarity(1 / shrink, 0.2)) == reduction


@pytest.mark.parametrize("angle", [0, 0.1, 0.7, 2.0])
@pytest.mark.parametrize("shrink", [1.3, 2.0, 2.7, 3.9, 4.5, 9.3])
def test_shrinking_averages_over_areas(shrink: float, angle: float) -> None:
    image = noise(600, 700)
    matrix = similarity(1 / shrink, angle, (350, 300), (23.5, 23.5))
    crop, exact = warp_image(image, matrix, (48, 48)), exact_crop(image, matrix, (48, 48))
    sampled = cv2.warpAffine(image, matrix, (48, 48))
    assert rms(crop, exact) < 0.5 * rms(sampled, exact)
    assert 0.8 < crop.std() / exact.std() < 1.3  # noise is averaged away, and details are not


@pytest.mark.parametrize("shrink", [1.0, 1.5, 2.9, 3.1, 7.0])
def test_shrinking_keeps_positions(shrink: float) -> None:
    image = smooth_picture(600, 700)
    matrix = similarity(1 / shrink, 0.35, (350.3, 300.7), (30.2, 30.6))
    crop = warp_image(image, matrix, (60, 60))
    error = rms(crop, exact_crop(image, matrix, (60, 60)))
    assert error < 3
    for nudge in ((0.1, 0), (-0.1, 0), (0, 0.1), (0, -0.1)):
        assert error < rms(crop, exact_crop(image, compose(translate(*nudge), matrix), (60, 60)))


def test_enlarging_is_sharp_and_in_place() -> None:
    image = smooth_picture(90, 90)
    matrix = similarity(3, 0.2, (45, 45), (50, 50))
    crop = warp_image(image, matrix, (100, 100))
    assert rms(crop, cv2.warpAffine(image, matrix, (100, 100), flags=cv2.INTER_LANCZOS4)) < 1


def test_the_identity_changes_nothing() -> None:
    image = noise(40, 50)
    assert np.array_equal(warp_image(image, similarity(1, 0), (50, 40)), image)


def test_a_whole_shift_cuts_out() -> None:
    image = noise(40, 50)
    assert np.array_equal(warp_image(image, translate(-7, -5), (20, 10)), image[5:15, 7:27])


def test_halving_is_the_mean_of_four() -> None:
    image = noise(64, 64)
    means = image.reshape(32, 2, 32, 2, 3).mean(axis=(1, 3))
    assert np.abs(warp_image(image, scale_about_corner(0.5), (32, 32)) - means).max() <= 1


@pytest.mark.parametrize("shift", [(-260, 0), (260, 120), (0, -180), (150, 190)])
def test_outside_the_photo_lies_its_mirror_image(shift: tuple[int, int]) -> None:
    image = smooth_picture(300, 400)
    matrix = compose(similarity(0.3, 0.2, (200, 150), (28, 28)), translate(*shift))
    crop = warp_image(image, matrix, (56, 56))
    mirrored = cv2.copyMakeBorder(image, 280, 280, 380, 380, cv2.BORDER_REFLECT_101)
    assert np.array_equal(crop, warp_image(mirrored, compose(matrix, translate(-380, -280)), (56, 56)))


def test_or_black_if_so_wished() -> None:
    image = np.full((50, 50, 3), 200, np.uint8)
    crop = warp_image(image, translate(25, 0), (50, 50), border="constant")
    assert crop[:, :24].max() == 0
    assert crop[:, 26:].min() == 200


@pytest.mark.parametrize("matrix", [translate(1e5, 0), translate(0, -1e5), similarity(1e-4, 0)])
def test_a_crop_that_misses_the_photo_is_refused(matrix: Matrix) -> None:
    with pytest.raises(PhotoError) as caught:
        warp_image(noise(50, 50), matrix, (112, 112))
    assert caught.value.code == "crop_outside"


@given(st.floats(0.05, 4), st.floats(-math.pi, math.pi), st.floats(-100, 200), st.floats(-100, 200))
def test_any_crop_has_its_size_and_range(scale: float, angle: float, x: float, y: float) -> None:
    alpha = np.ones((90, 110), np.float32)
    try:
        crop = warp_alpha(alpha, similarity(scale, angle, (x, y), (16, 16)), (31, 33))
    except PhotoError as error:
        assert error.code == "crop_outside"
    else:
        assert crop.shape == (33, 31) and crop.dtype == np.float32
        assert crop.min() >= 0 and crop.max() <= 1 + 1e-6


@pytest.mark.parametrize("shrink", [0.5, 1.0, 1.7, 3.3, 7.0])
def test_alpha_keeps_its_area(shrink: float) -> None:
    alpha = np.zeros((400, 400), np.float32)
    cv2.circle(alpha, (200, 180), 90, 1.0, -1)
    side = round(600 / shrink)
    crop = warp_alpha(alpha, similarity(1 / shrink, 0.3, (200, 200), (side / 2, side / 2)), (side, side))
    assert crop.sum() * shrink**2 == pytest.approx(alpha.sum(), rel=2e-3)


def test_alpha_and_image_stay_on_top_of_each_other() -> None:
    alpha = np.zeros((400, 400), np.float32)
    alpha[130:270, 100:310] = 1
    image = np.repeat((alpha * 255).astype(np.uint8)[..., None], 3, axis=2)
    for scale in (0.15, 0.4, 0.8, 1.6):
        matrix = compose(rotate(0.2, (40, 40)), similarity(scale, 0, (200, 200), (40, 40)))
        crops = warp_image(image, matrix, (80, 80))[..., 0] / 255, warp_alpha(alpha, matrix, (80, 80))
        assert np.abs(crops[0] - crops[1]).mean() < 0.01


@given(
    st.tuples(st.floats(-200, 3000), st.floats(-200, 3000)),
    st.sampled_from([1, 2, 4, 8]),
    st.floats(0.05, 4),
    st.floats(-3, 3),
)
def test_a_reduced_photo_goes_where_the_full_one_goes(
    point: tuple[float, float], reduction: int, scale: float, angle: float
) -> None:
    matrix, points = similarity(scale, angle, (100.0, 50.0), (30.0, -20.0)), np.array([point])
    there = apply_affine(from_reduced(matrix, reduction), to_reduced_frame(points, reduction))
    np.testing.assert_allclose(there, apply_affine(matrix, points), atol=1e-6)


def test_warping_a_reduced_photo_gives_the_same_crop() -> None:
    image = smooth_picture(800, 800)
    matrix = similarity(0.1, 0.4, (400, 400), (28, 28))
    reduction = crop_reduction(matrix)
    assert reduction == 4
    small = cv2.resize(image, (200, 200), interpolation=cv2.INTER_AREA)
    reduced = warp_image(small, compose(matrix, scale_about_corner(reduction)), (56, 56))
    assert rms(reduced, warp_image(image, matrix, (56, 56))) < 1


@given(
    scale=st.floats(0.03, 4),
    angle=st.floats(-3, 3),
    x=st.floats(-60, 200),
    y=st.floats(-60, 200),
    border=st.sampled_from(["reflect", "replicate", "constant"]),
)
def test_the_region_read_is_all_that_a_crop_needs(
    scale: float, angle: float, x: float, y: float, border: Border
) -> None:
    photo, matrix, size = noise(90, 110), similarity(scale, angle, (x, y), (16, 16)), (31, 33)
    try:
        left, top, right, bottom = source_region((110, 90), matrix, size)
    except PhotoError as error:
        assert error.code == "crop_outside"
        return
    assert 0 <= left < right <= 110 and 0 <= top < bottom <= 90
    piece = warp_image(photo[top:bottom, left:right], compose(matrix, translate(left, top)), size, border=border)
    assert np.abs(piece.astype(int) - warp_image(photo, matrix, size, border=border)).max() <= 1


def test_the_photo_is_left_alone() -> None:
    image = noise(60, 60)
    before = image.copy()
    warp_image(image, similarity(0.4, 0.1), (20, 20))
    assert np.array_equal(image, before)
    assert scale_of(invert(similarity(0.4, 0.1))) == pytest.approx(2.5)


def test_nothing_outside_the_photo_is_mask_with_a_black_border() -> None:
    alpha = np.ones((60, 60), np.float32)
    marked = warp_alpha(alpha, translate(0, -30), (60, 60)) >= 0.5
    assert marked[:30].all() and not marked[31:].any()


def test_a_crop_that_only_moves_whole_pixels_is_those_pixels() -> None:
    photo = np.random.default_rng(5).integers(0, 256, (40, 50, 3), np.uint8)
    assert np.array_equal(warp_image(photo, translate(-7, -4), (20, 30)), photo[4:34, 7:27])
    outside = warp_image(photo, translate(3, 0), (20, 30), border="constant")
    assert not outside[:, :3].any() and np.array_equal(outside[:, 3:], photo[:30, :17])


@pytest.mark.parametrize("box", [FaceBox(5, 5, 5, 5), FaceBox(0, 0, float("inf"), 9), FaceBox(9, 9, 3, 3)])
def test_a_box_without_size_is_no_face(box: FaceBox) -> None:
    with pytest.raises(PhotoError) as caught:
        face_box_matrix(box, np.zeros((68, 2)), 112)
    assert caught.value.code == "degenerate_points"


def test_beyond_the_photo_the_mirror_image_is_blurred_more_and_more() -> None:
    photo = np.random.default_rng(0).integers(0, 256, (64, 128, 3)).astype(np.uint8)
    matrix = np.array([[1.0, 0, 0], [0, 1, 32]])
    size = (128, 160)  # 32 rows of mirror image above, 64 below
    crop = warp_image(photo, matrix, size, border="blur")
    assert np.array_equal(crop, warp_image(photo, matrix, size, border="reflect"))
    outside = np.ones((160, 128), bool)
    outside[32:96] = False
    blurred = blur_beyond(crop, matrix, (128, 64), outside)
    assert np.array_equal(blurred[32:96], photo)
    near, far, farther = (float(blurred[rows].std()) for rows in (slice(96, 98), slice(106, 112), slice(140, 160)))
    assert 0.4 * photo.std() < near and far < 0.25 * near and farther < 0.5 * far
    assert abs(float(blurred[140:160].mean()) - 127.5) < 6, "the level stays"
