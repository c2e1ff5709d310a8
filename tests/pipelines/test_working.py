"""The working picture: what of a photo a crop is made from, and where the crop lies."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from faceloom.pipelines.working import MASK_REACH, crop_matrix, cut_working, landmarks_of
from faceloom.schemas.errors import PhotoError
from faceloom.schemas.recipe import Recipe, parse_recipe
from faceloom.transforms.align import warp_image
from faceloom.transforms.geometry import apply_affine


def recipe(**changes: Any) -> Recipe:
    return parse_recipe({"name": "x", **changes})


@pytest.mark.parametrize("border", ["reflect", "replicate", "constant"])
@pytest.mark.parametrize(
    "align",
    [
        {},
        {"size": 16},
        {"size": 500},
        {"mode": "eye_level", "size": [90, 30]},
        {"mode": "face_box", "size": 64, "margin": 1},
        {"mode": "face_box", "size": 20, "margin": 0.1},
    ],
)
@pytest.mark.parametrize(("middle", "eyes"), [((190, 160), 90), ((30, 300), 70), ((380, 20), 120), ((200, 200), 8)])
def test_cutting_the_working_piece_changes_no_pixel(
    synthetic: SimpleNamespace, align: Any, border: str, middle: tuple[float, float], eyes: float
) -> None:
    """Wherever the face lies, at whatever scale, with a second face that keeps the photo from being reduced."""
    how = recipe(align={**align, "border": border})
    rgb = synthetic.picture(400, 380, 1, blob=5)
    face = synthetic.planned(b"", synthetic.landmarks(middle, eyes, 0.2))
    matrix = crop_matrix(how, face)
    working = cut_working(rgb, face, matrix, 1, how)
    size, edge = how.align.width_height, how.align.border
    crop = warp_image(working.image, working.matrix, size, border=edge)
    assert np.array_equal(crop, warp_image(rgb, matrix, size, border=edge))


def test_landmarks_of_a_row(synthetic: SimpleNamespace) -> None:
    points = synthetic.landmarks((190, 160), 90)
    assert np.array_equal(landmarks_of(synthetic.planned(b"", points)), points)


def aligned(width: int, height: int, size: object) -> tuple[Recipe, Any]:
    how = recipe(faces={"assume": "aligned"}, align={"mode": "arcface", "size": size})
    return how, SimpleNamespace(width=width, height=height, landmarks=np.zeros((68, 2), np.float32).tobytes())


def test_an_aligned_crop_is_not_aligned_again() -> None:
    assert np.allclose(crop_matrix(*aligned(112, 112, 112)), [[1, 0, 0], [0, 1, 0]])
    picture = np.random.default_rng(1).integers(0, 256, (112, 112, 3), np.uint8)
    assert np.array_equal(warp_image(picture, crop_matrix(*aligned(112, 112, 112)), (112, 112)), picture)


def test_an_aligned_crop_is_scaled_about_its_edges() -> None:
    matrix = crop_matrix(*aligned(112, 112, 224))
    assert np.allclose(matrix @ [-0.5, -0.5, 1], [-0.5, -0.5])
    assert np.allclose(matrix @ [111.5, 111.5, 1], [223.5, 223.5])


def test_the_narrow_variant_cuts_both_sides_of_an_aligned_crop() -> None:
    assert np.allclose(crop_matrix(*aligned(112, 112, [96, 112])), [[1, 0, -8], [0, 1, 0]])


def test_landmarks_are_known_in_both_frames(synthetic: SimpleNamespace) -> None:
    points = synthetic.landmarks((190, 160), 60, 0.2)
    face, how = synthetic.planned(b"", points), recipe()
    matrix = crop_matrix(how, face)
    working = cut_working(synthetic.picture(400, 380), face, matrix, 1, how)
    assert working.landmarks.dtype == working.landmarks_crop.dtype == np.float32
    assert apply_affine(working.matrix, working.landmarks) == pytest.approx(working.landmarks_crop, abs=1e-3)
    assert apply_affine(matrix, points) == pytest.approx(working.landmarks_crop, abs=1e-3)
    assert working.alignment["matrix"] == pytest.approx(matrix, abs=1e-6)


def test_it_reaches_as_far_as_a_mask_may(synthetic: SimpleNamespace) -> None:
    """The chin lies outside an ArcFace crop, and a strap ends beyond it."""
    points = synthetic.landmarks((500, 500), 80)
    face, how = synthetic.planned(b"", points), recipe()
    working = cut_working(synthetic.picture(1000, 1000), face, crop_matrix(how, face), 1, how)
    reach = MASK_REACH * np.ptp(points, axis=0).max()
    left, top = working.landmarks.min(axis=0)
    assert min(left, top) >= reach - 1
    assert working.image.shape[0] - working.landmarks[:, 1].max() >= reach - 1
    assert working.image.size < 1000 * 1000 * 3 / 4, "and not much further"


def test_a_crop_far_from_its_photo_is_refused(synthetic: SimpleNamespace) -> None:
    face, how = synthetic.planned(b"", synthetic.landmarks((5000, 5000), 60)), recipe()
    with pytest.raises(PhotoError) as caught:
        cut_working(synthetic.picture(400, 380), face, crop_matrix(how, face), 1, how)
    assert caught.value.code == "crop_outside"
