"""Landmark masks: the area is the area of the shape, and the shapes are those of NISTIR 8311, head tilted or not."""

from __future__ import annotations

import math
from typing import get_args

import cv2
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from faceloom.schemas.masks import PolygonMask, PolygonShape
from faceloom.transforms.geometry import apply_affine, rotate, similarity
from faceloom.transforms.masks.polygon import (
    fill_outline,
    fill_outlines,
    outline,
    outline_region,
    paint_polygon,
    polygon_coverage,
)

SHAPES: tuple[PolygonShape, ...] = get_args(PolygonShape)
SIZE = (220, 200)


def frontal_face() -> np.ndarray:
    """An upright, symmetric face: jaw, brows, nose, eyes and mouth at plain places, 68 points in a 200x220 picture."""
    face = np.zeros((68, 2))
    jaw = np.linspace(math.pi, 0, 17)
    face[:17] = np.column_stack([100 + 70 * np.cos(jaw), 90 + 100 * np.sin(jaw)])
    for first, x in ((17, 45), (22, 110)):
        face[first : first + 5] = np.column_stack([np.linspace(x, x + 45, 5), np.full(5, 70)])
    face[27:31] = np.column_stack([np.full(4, 100), np.linspace(90, 132, 4)])
    face[31:36] = np.column_stack([np.linspace(86, 114, 5), np.full(5, 142)])
    ring = np.radians([180, 240, 300, 0, 60, 120])
    for first, x in ((36, 70), (42, 130)):
        face[first : first + 6] = np.column_stack([x + 13 * np.cos(ring), 92 + 6 * np.sin(ring)])
    mouth = np.linspace(math.pi, 3 * math.pi, 20, endpoint=False)
    face[48:] = np.column_stack([100 + 25 * np.cos(mouth), 162 + 9 * np.sin(mouth)])
    return face.astype(np.float32)


def area(corners: np.ndarray) -> float:
    x, y = corners.T
    return 0.5 * abs(float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))))


# --------------------------------------------------------------------------------------------------------- coverage


@st.composite
def convex_outlines(draw: st.DrawFn) -> np.ndarray:
    angles = np.sort(np.array(draw(st.lists(st.floats(0, 2 * math.pi), min_size=3, max_size=12))))
    radius, x, y = draw(st.floats(0.3, 28)), draw(st.floats(30, 33)), draw(st.floats(30, 33))
    corners = np.column_stack([x + radius * np.cos(angles), y + radius * np.sin(angles)])
    return corners[::-1] if draw(st.booleans()) else corners


def test_pieces_that_overlap_cover_their_union_but_for_pixels_on_crossing_edges() -> None:
    upright, level = (np.array([[x, y], [x + w, y], [x + w, y + h], [x, y + h]]) for x, y, w, h in (
        (10.25, 5.0, 4.5, 20.0), (5.0, 10.25, 20.0, 4.5),
    ))  # fmt: skip
    one, other, both = fill_outlines([upright, level, np.array([upright, level])], (32, 32))
    union = one + other - one * other  # of the two rectangles, whose sides lie along the axes
    crossing = (one % 1 > 0) & (other % 1 > 0)
    assert np.count_nonzero(crossing) == 4
    assert np.allclose(both[~crossing], union[~crossing], atol=1e-6)
    assert (both[crossing] >= union[crossing]).all() and both.max() <= 1


def test_no_outlines_have_no_coverage() -> None:
    assert fill_outlines([], (4, 5)).shape == (0, 4, 5)


@given(convex_outlines())
def test_the_covered_area_is_the_area_of_the_outline(corners: np.ndarray) -> None:
    coverage = fill_outline(corners, (64, 64))
    assert coverage.dtype == np.float32
    assert coverage.min() >= 0 and coverage.max() <= 1
    assert float(coverage.sum(dtype=np.float64)) == pytest.approx(area(corners), abs=0.01)


@given(convex_outlines())
def test_the_covered_area_lies_where_the_outline_lies(corners: np.ndarray) -> None:
    assume(area(corners) > 20)
    fine = 16
    samples = np.zeros((64 * fine, 64 * fine), np.uint8)
    cv2.fillPoly(samples, [np.round((corners + 0.5) * fine * 16 - 8).astype(np.int32)], 255, cv2.LINE_8, 4)
    sampled = cv2.resize(samples, (64, 64), interpolation=cv2.INTER_AREA) / 255
    assert np.abs(fill_outline(corners, (64, 64)) - sampled).max() < 0.15


def test_whole_pixels_are_covered_wholly() -> None:
    square = np.array([(9.5, 9.5), (19.5, 9.5), (19.5, 14.5), (9.5, 14.5)])
    expected = np.zeros((30, 30), np.float32)
    expected[10:15, 10:20] = 1
    assert np.array_equal(fill_outline(square, (30, 30)), expected)


def test_a_shift_of_a_quarter_pixel_shows() -> None:
    square = np.array([(9.75, 9.5), (19.75, 9.5), (19.75, 14.5), (9.75, 14.5)])
    coverage = fill_outline(square, (30, 30))
    assert np.allclose(coverage[12, 9:22], [0, 0.75, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0.25, 0])


def test_a_diagonal_halves_its_pixels() -> None:
    triangle = np.array([(-0.5, -0.5), (9.5, -0.5), (-0.5, 9.5)])
    coverage = fill_outline(triangle, (10, 10))
    assert np.allclose(np.diag(coverage[:, ::-1]), 0.5)
    assert coverage[0, 0] == 1 and coverage[9, 9] == 0


@pytest.mark.parametrize("shift", [(-40, 0), (40, 0), (0, -40), (0, 40), (-45, 45), (0, 0)])
def test_an_outline_across_the_border_is_cut_off_there(shift: tuple[int, int]) -> None:
    angles = np.linspace(0, 2 * math.pi, 40, endpoint=False)
    circle = np.column_stack([30 + 25 * np.cos(angles), 30 + 25 * np.sin(angles)]) + shift
    inside = fill_outline(circle, (60, 60))
    whole = fill_outline(circle + 100, (260, 260))[100:160, 100:160]
    assert np.allclose(inside, whole, atol=1e-5)


@pytest.mark.parametrize("shift", [(-500, 0), (500, 0), (0, 500), (1e6, 1e6)])
def test_an_outline_outside_covers_nothing(shift: tuple[float, float]) -> None:
    corners = np.array([(0.0, 0), (10, 0), (0, 10)]) + shift
    assert fill_outline(corners, (60, 60)).max() == 0
    assert outline_region(corners, (60, 60)) is None


def test_an_outline_around_the_picture_covers_it() -> None:
    corners = np.array([(-100.0, -100), (300, -100), (300, 300), (-100, 300)])
    assert fill_outline(corners, (50, 60)).min() == 1


# ----------------------------------------------------------------------------------------------------------- shapes


@pytest.mark.parametrize("shape", SHAPES)
def test_the_coverage_is_that_of_the_outline(shape: PolygonShape) -> None:
    coverage = polygon_coverage(frontal_face(), shape, SIZE)
    assert coverage.shape == SIZE
    assert coverage.sum() == pytest.approx(area(outline(frontal_face(), shape)), abs=0.05)


@pytest.mark.parametrize(
    ("shape", "top"), [("A", 90), ("C", 109.5), ("E", 109.5), ("B", 97), ("D", 118), ("F", 118 + 0.33 * 60)]
)
def test_each_shape_reaches_from_its_landmark_to_the_chin(shape: PolygonShape, top: float) -> None:
    corners = outline(frontal_face(), shape)
    assert corners[:, 1].min() == pytest.approx(top, abs=0.1)
    assert corners[:, 1].max() == pytest.approx(190, abs=0.1)


def test_polygons_run_along_the_jaw() -> None:
    face = frontal_face()
    for shape in ("A", "C", "E"):
        assert np.allclose(outline(face, shape)[:15], face[1:16], atol=1e-6)


def test_a_closes_above_the_eyes_inner_corners() -> None:
    face = frontal_face()
    closing = outline(face, "A")[15:]
    assert np.allclose(closing, [(face[42, 0], face[15, 1]), face[27], (face[39, 0], face[1, 1])], atol=1e-6)


def test_c_and_e_close_on_the_nose() -> None:
    face = frontal_face()
    assert np.allclose(outline(face, "C")[15:], face[[29]], atol=1e-6)
    assert np.allclose(outline(face, "E")[15:], face[[35, 34, 33, 32, 31]], atol=1e-6)


@pytest.mark.parametrize("shape", ["B", "D", "F"])
def test_round_shapes_are_ellipses_on_the_nose_line(shape: PolygonShape) -> None:
    face = frontal_face()
    corners = outline(face, shape)
    width, height = np.ptp(corners, axis=0)
    assert width == pytest.approx(0.8 * (face[13, 0] - face[3, 0]), rel=1e-3)
    assert corners[:, 0].mean() == pytest.approx(face[28, 0], abs=1e-3)
    assert area(corners) == pytest.approx(math.pi / 4 * width * height, rel=1e-3)


def test_high_shapes_cover_more_than_low_ones() -> None:
    cover = {shape: polygon_coverage(frontal_face(), shape, SIZE).sum() for shape in SHAPES}
    assert cover["A"] > cover["C"] > cover["E"]
    assert cover["B"] > cover["D"] > cover["F"]


@given(st.sampled_from(SHAPES), st.floats(-1.2, 1.2), st.floats(0.3, 5))
def test_masks_turn_and_grow_with_the_head(shape: PolygonShape, angle: float, scale: float) -> None:
    face = frontal_face().astype(np.float64)
    motion = similarity(scale, angle, (100, 100), (321, 123))
    assert np.allclose(
        outline(apply_affine(motion, face), shape), apply_affine(motion, outline(face, shape)), atol=1e-6
    )


# --------------------------------------------------------------------------------------------------------- painting


def portrait() -> np.ndarray:
    return np.random.default_rng(3).integers(60, 200, (*SIZE, 3), dtype=np.uint8)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("angle", [0, 0.4])
def test_painting_is_solid_inside_and_nothing_outside(shape: PolygonShape, angle: float) -> None:
    face = apply_affine(rotate(angle, (100, 120)), frontal_face())
    image = portrait()
    painted = paint_polygon(image, face, PolygonMask(kind="polygon", shape=shape, colour=(10, 250, 30)))
    assert (painted.image[painted.alpha == 1] == (10, 250, 30)).all()
    assert np.array_equal(painted.image[painted.alpha == 0], image[painted.alpha == 0])
    assert (painted.alpha == 1).sum() > 0.9 * painted.alpha.sum() > 1000
    assert painted.straps is None


def test_the_edge_is_a_mixture() -> None:
    image = np.zeros((*SIZE, 3), np.uint8)
    painted = paint_polygon(
        image, frontal_face(), PolygonMask.model_validate({"kind": "polygon", "shape": "B", "colour": "white"})
    )
    assert np.abs(painted.image[..., 0] / 255 - painted.alpha).max() < 0.003
    assert ((painted.alpha > 0.1) & (painted.alpha < 0.9)).sum() > 100


def test_the_default_colour_is_the_light_blue_of_the_report() -> None:
    painted = paint_polygon(portrait(), frontal_face(), PolygonMask(kind="polygon", shape="A"))
    assert tuple(painted.image[170, 100]) == (110, 207, 254)


def test_what_was_painted_is_recorded() -> None:
    painted = paint_polygon(
        portrait(), frontal_face(), PolygonMask.model_validate({"kind": "polygon", "shape": "D", "colour": "black"})
    )
    assert painted.parameters == {"shape": "D", "colour": [0, 0, 0]}


def test_a_face_half_outside_is_painted_as_far_as_it_is_inside() -> None:
    face = frontal_face() + np.array([-100, 60], np.float32)
    painted = paint_polygon(portrait(), face, PolygonMask(kind="polygon", shape="C"))
    assert painted.alpha.shape == SIZE
    assert 0 < painted.alpha.sum() < polygon_coverage(frontal_face(), "C", SIZE).sum() / 2


def test_what_an_outline_goes_round_twice_is_covered_once() -> None:
    square = np.array([(3.0, 3.0), (17.0, 3.0), (17.0, 17.0), (3.0, 17.0)])
    once, twice = (fill_outline(np.tile(square, (turns, 1)), (20, 20)) for turns in (1, 2))
    assert twice.max() == 1 and (twice >= once).all()
    assert np.array_equal(twice[5:16, 5:16], once[5:16, 5:16])
