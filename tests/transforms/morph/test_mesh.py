"""Meshes: they cover the picture once, in one way only, and it shows where another shape would fold them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceloom.schemas.errors import PhotoError
from faceloom.transforms.morph.mesh import (
    SLACK,
    close_lips,
    eye_distance,
    folded_triangles,
    signed_areas,
    triangulate,
    with_border,
)

Person = Callable[..., np.ndarray]
SIZE = (224, 224)


@st.composite
def meshes(draw: st.DrawFn) -> np.ndarray:
    """Vertices anywhere, also on a grid, at one place, or outside the picture."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    points = (rng.random((68, 2)) * draw(st.sampled_from([3, 60, 224, 900]))).astype(np.float32)
    if draw(st.booleans()):
        points = np.rint(points)
    if draw(st.booleans()):
        points[rng.integers(68, size=20)] = points[rng.integers(68, size=20)]
    return with_border(points, SIZE)[0]


@given(meshes())
def test_a_mesh_covers_its_box_exactly_once(mesh: np.ndarray) -> None:
    areas = signed_areas(mesh, triangulate(mesh))
    assert (areas > 0).all()
    width, height = np.ptp(mesh, axis=0)
    assert areas.sum() == pytest.approx(width * height, rel=1e-4)


@given(meshes())
def test_the_same_vertices_give_the_same_triangles(mesh: np.ndarray) -> None:
    assert np.array_equal(triangulate(mesh), triangulate(mesh.copy()))


@given(meshes())
def test_every_place_is_a_corner_of_some_triangle(mesh: np.ndarray) -> None:
    used = {tuple(point) for point in mesh[np.unique(triangulate(mesh))].tolist()}
    assert used == {tuple(point) for point in mesh.tolist()}


@pytest.mark.parametrize("seed", range(4))
def test_no_vertex_lies_in_the_circle_around_a_triangle(person: Person, seed: int) -> None:
    mesh, _ = with_border(person(seed), SIZE)
    for triangle in triangulate(mesh):
        a, b, c = mesh[triangle].astype(np.float64)
        centre = np.linalg.solve(2 * np.array([b - a, c - a]), [b @ b - a @ a, c @ c - a @ a])
        radius = np.linalg.norm(a - centre)
        assert (np.linalg.norm(mesh - centre, axis=1) > radius * (1 - 1e-3) - 1e-2).all()


def test_the_border_is_shared_and_lies_around_both_faces(person: Person) -> None:
    first, second = with_border(person(1), SIZE, person(2) + np.array((300, -90), np.float32))
    assert len(first) == len(second) == 76
    assert np.array_equal(first[68:], second[68:])
    assert np.array_equal(first[:68], person(1))
    everything = np.concatenate([first[:68], second[:68], [(0, 0), SIZE]])
    assert (first[68:].min(axis=0) < everything.min(axis=0)).all()
    assert (first[68:].max(axis=0) > everything.max(axis=0)).all()


def test_a_face_folds_nothing_in_its_own_mesh(person: Person) -> None:
    mesh, _ = with_border(person(3), SIZE)
    assert len(folded_triangles(mesh, triangulate(mesh))) == 0


@pytest.mark.parametrize("seed", range(6))
def test_alike_faces_do_not_fold(person: Person, seed: int) -> None:
    first, second = with_border(person(seed), SIZE, person(seed + 100))
    triangles = triangulate(((first + second) / 2).astype(np.float32))
    assert len(folded_triangles(first, triangles)) == len(folded_triangles(second, triangles)) == 0


def test_a_nose_across_the_cheek_is_a_fold(person: Person) -> None:
    bent = person(4)
    bent[30] = bent[2]
    mesh, other = with_border(person(4), SIZE, bent)
    triangles = triangulate(mesh)
    folded = folded_triangles(other, triangles)
    assert len(folded)
    assert (triangles[folded] == 30).any(axis=1).all()


def test_what_is_folded_by_less_than_landmarks_are_exact_is_let_pass() -> None:
    mesh = np.zeros((68, 2), np.float32)
    mesh[36:42], mesh[42:48] = (0, 0), (100, 0)
    assert eye_distance(mesh) == 100
    mesh[0], mesh[1] = (0, 50), (80, 50)
    triangle = np.array([[0, 1, 2]])
    for depth, folded in ((SLACK * 100 - 0.1, 0), (SLACK * 100 + 0.1, 1)):
        mesh[2] = (40, 50 - depth)
        assert signed_areas(mesh, triangle)[0] < 0
        assert len(folded_triangles(mesh, triangle)) == folded


def test_crossed_lips_are_shut_and_open_ones_left_alone(person: Person) -> None:
    mouth = person(5)
    mouth[[61, 62, 63]], mouth[[67, 66, 65]] = mouth[[67, 66, 65]] + (0, 3), mouth[[61, 62, 63]]
    shut = close_lips(mouth)
    assert np.array_equal(shut[[61, 62, 63]], shut[[67, 66, 65]])
    assert np.allclose(shut[62], (mouth[62] + mouth[66]) / 2)
    rest = np.delete(np.arange(68), [61, 62, 63, 65, 66, 67])
    assert np.array_equal(shut[rest], mouth[rest])
    assert np.array_equal(close_lips(shut), shut)
    opened = person(5)
    opened[65:68] += (0, 9)
    assert np.array_equal(close_lips(opened), opened)


def test_lips_of_a_face_upside_down_are_known_by_its_chin(person: Person) -> None:
    turned = (224 - person(6)).astype(np.float32)
    assert np.allclose(close_lips(turned), 224 - close_lips(person(6)), atol=1e-4)


def test_the_landmarks_given_are_left_alone(person: Person) -> None:
    mouth = person(7)
    mouth[62] += (0, 40)
    before = mouth.copy()
    close_lips(mouth)
    assert np.array_equal(mouth, before)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e7])
def test_vertices_that_are_not_finite_or_far_away_make_no_mesh(value: float) -> None:
    mesh = np.random.default_rng(0).uniform(0, 99, (76, 2)).astype(np.float32)
    mesh[5, 1] = value
    with pytest.raises(PhotoError) as caught:
        triangulate(mesh)
    assert caught.value.code == "morph_folds"


def test_vertices_at_one_place_make_no_mesh() -> None:
    with pytest.raises(PhotoError) as caught:
        triangulate(np.full((76, 2), 7, np.float32))
    assert caught.value.code == "morph_folds"
