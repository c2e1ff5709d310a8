"""Warps: vertices land on vertices, what is between them follows, and nothing aliases."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from faceloom.transforms.geometry import apply_affine, compose, invert, similarity, translate
from faceloom.transforms.morph.mesh import triangulate, with_border
from faceloom.transforms.morph.warp import remap_coordinates, sample, shrink_to_frame, triangle_map

Person = Callable[..., np.ndarray]
SIZE = (224, 224)


def smooth(seed: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(30, 220, (9, 9, 3), dtype=np.uint8)
    return cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC)


def grid(points: np.ndarray) -> np.ndarray:
    mesh, _ = with_border(points, SIZE)
    return mesh


def test_each_pixel_gets_a_triangle_that_it_lies_in(person: Person) -> None:
    mesh = grid(person(1))
    triangles = triangulate(mesh)
    labels = triangle_map(mesh, triangles, SIZE)
    assert labels.shape == (224, 224) and labels.dtype == np.uint8
    away = 0
    for y in range(3, 224, 17):
        for x in range(2, 224, 13):
            a, b, c = mesh[triangles[labels[y, x]]].astype(np.float64)
            u, v = np.linalg.solve(np.array([b - a, c - a]).T, (x, y) - a)
            away += min(u, v, 1 - u - v) * np.ptp([a, b, c]) < -1.5
    assert away == 0


def test_a_mesh_onto_itself_reads_every_pixel_where_it_is(person: Person) -> None:
    mesh = grid(person(2))
    triangles = triangulate(mesh)
    where = remap_coordinates(triangle_map(mesh, triangles, SIZE), triangles, mesh, mesh)
    y, x = np.mgrid[:224, :224]
    assert np.abs(where[0] - x).max() < 1e-2 and np.abs(where[1] - y).max() < 1e-2
    assert np.abs(sample(smooth(2), where).astype(int) - smooth(2)).max() <= 1


def test_landmarks_are_read_at_landmarks(person: Person) -> None:
    mesh, source = with_border(np.rint(person(3)).astype(np.float32), SIZE, person(4))
    triangles = triangulate(mesh)
    where = remap_coordinates(triangle_map(mesh, triangles, SIZE), triangles, mesh, source)
    x, y = mesh[:68].astype(int).T
    inside = (y >= 0) & (y < 224)
    found = np.column_stack([where[0][y[inside], x[inside]], where[1][y[inside], x[inside]]])
    assert np.abs(found - source[:68][inside]).max() < 0.05


def test_the_map_has_no_jumps(person: Person) -> None:
    mesh, source = with_border(person(5), SIZE, person(6))
    between = ((mesh + source) / 2).astype(np.float32)
    triangles = triangulate(between)
    where = remap_coordinates(triangle_map(between, triangles, SIZE), triangles, between, source)
    for axis in (0, 1):
        for part in where:
            assert np.abs(np.diff(part, axis=axis)).max() < 4


def test_an_affine_move_of_all_vertices_is_that_affine_warp(person: Person) -> None:
    mesh = grid(person(7))
    triangles, matrix = triangulate(mesh), similarity(1.1, 0.1, (112, 112), (110, 115))
    source = apply_affine(matrix, mesh)
    where = remap_coordinates(triangle_map(mesh, triangles, SIZE), triangles, mesh, source)
    warped = cv2.warpAffine(smooth(7), matrix, SIZE, flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP)
    middle = np.s_[40:180, 40:180]
    assert np.abs(sample(smooth(7), where)[middle].astype(int) - warped[middle]).max() <= 3


def test_a_part_is_that_part_of_the_whole(person: Person) -> None:
    mesh, source = with_border(person(8), SIZE, person(9))
    triangles = triangulate(mesh)
    labels = triangle_map(mesh, triangles, SIZE)
    whole = remap_coordinates(labels, triangles, mesh, source)
    part = remap_coordinates(labels[50:120, 30:200], triangles, mesh, source, corner=(30, 50))
    for all_of_it, piece in zip(whole, part):
        assert np.abs(all_of_it[50:120, 30:200] - piece).max() < 1e-2


def test_the_image_may_have_a_frame_of_its_own(person: Person) -> None:
    mesh, source = with_border(person(10), SIZE, person(11))
    triangles = triangulate(mesh)
    labels = triangle_map(mesh, triangles, SIZE)
    to_frame = similarity(0.8, 0.2, (60, 60), (40, 70))
    x, y = remap_coordinates(labels, triangles, mesh, source)
    own_x, own_y = remap_coordinates(labels, triangles, mesh, source, to_image=invert(to_frame))
    back = apply_affine(to_frame, np.column_stack([own_x.ravel(), own_y.ravel()]))
    assert np.abs(back - np.column_stack([x.ravel(), y.ravel()])).max() < 1e-2


def test_slivers_do_not_spoil_their_surroundings() -> None:
    mesh = np.array([(0, 0), (50, 0.01), (100, 0), (100, 100), (0, 100)], np.float32)
    source = mesh + np.array((0, 0), np.float32)
    source[1] = (50, -20)
    triangles = np.array([[0, 1, 2], [0, 2, 3], [0, 3, 4]])
    where = remap_coordinates(triangle_map(mesh, triangles, (101, 101)), triangles, mesh, source)
    assert np.abs(where[1][5:] - np.arange(5, 101)[:, None]).max() < 1e-3


@pytest.mark.parametrize("scale", [1.0, 1.7, 0.9])
def test_pictures_of_about_the_right_size_are_left_as_they_are(scale: float) -> None:
    image, matrix = smooth(12), similarity(scale, 0.1)
    small, to_frame = shrink_to_frame(image, matrix, SIZE)
    assert small is image and to_frame is matrix


@pytest.mark.parametrize("scale", [0.7, 0.4, 0.13])
def test_large_pictures_are_shrunk_and_stay_in_place(scale: float) -> None:
    image = smooth(13, (1000, 800))
    matrix = similarity(scale, 0.15, (520, 410), (112, 112))
    small, to_frame = shrink_to_frame(image, matrix, SIZE)
    assert small.size < image.size * scale
    view = cv2.warpAffine(small, to_frame, SIZE, borderMode=cv2.BORDER_REPLICATE).astype(float)
    middle = np.s_[60:164, 60:164]
    exact = cv2.warpAffine(image, matrix, SIZE, borderMode=cv2.BORDER_REPLICATE)
    error = np.abs(view - exact)[middle].mean()
    assert error < 1.5
    for nudge in ((0.4, 0), (-0.4, 0), (0, 0.4), (0, -0.4)):
        moved = cv2.warpAffine(image, compose(translate(*nudge), matrix), SIZE, borderMode=cv2.BORDER_REPLICATE)
        assert error < np.abs(view - moved)[middle].mean()


def test_shrinking_averages_noise_away() -> None:
    noise = np.random.default_rng(14).integers(0, 256, (900, 900, 3), dtype=np.uint8)
    matrix = similarity(0.25, 0, (450, 450), (112, 112))
    small, to_frame = shrink_to_frame(noise, matrix, SIZE)
    view = cv2.warpAffine(small, to_frame, SIZE)[40:180, 40:180]
    assert view.std() < 0.4 * noise.std()
