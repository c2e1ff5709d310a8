"""The working picture: what of a photo a crop is made from, and where the crop lies."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faceloom.schemas.errors import PhotoError
from faceloom.schemas.recipe import Recipe, parse_recipe
from faceloom.transforms.align import five_points, warp_image
from faceloom.transforms.geometry import apply_affine
from faceloom.transforms.sample.working import MASK_REACH, MORPH_SLACK, crop_matrix, cut_working, landmarks_of
from tests.known import known


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
    assert np.array_equal(known(landmarks_of(synthetic.planned(b"", points))), points)


def aligned(width: int, height: int, size: object) -> tuple[Recipe, Any]:
    how = recipe(faces={"assume": "aligned"}, align={"mode": "arcface", "size": size})
    return how, SimpleNamespace(width=width, height=height, landmarks=np.zeros((68, 2), np.float32).tobytes(), five=b"")


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
    assert known(working.landmarks).dtype == known(working.landmarks_crop).dtype == np.float32
    assert apply_affine(working.matrix, known(working.landmarks)) == pytest.approx(working.landmarks_crop, abs=1e-3)
    assert apply_affine(matrix, points) == pytest.approx(working.landmarks_crop, abs=1e-3)
    assert working.alignment["matrix"] == pytest.approx(matrix, abs=1e-6)
    assert working.alignment["beyond"] == 0


def test_it_reaches_as_far_as_a_mask_may(synthetic: SimpleNamespace) -> None:
    """The chin lies outside an ArcFace crop, and a strap ends beyond it."""
    points = synthetic.landmarks((500, 500), 80)
    face, how = synthetic.planned(b"", points), recipe()
    working = cut_working(synthetic.picture(1000, 1000), face, crop_matrix(how, face), 1, how)
    reach = MASK_REACH * np.ptp(points, axis=0).max()
    left, top = known(working.landmarks).min(axis=0)
    assert min(left, top) >= reach - 1
    assert working.image.shape[0] - known(working.landmarks)[:, 1].max() >= reach - 1
    assert working.image.size < 1000 * 1000 * 3 / 4, "and not much further"


def test_a_crop_far_from_its_photo_is_refused(synthetic: SimpleNamespace) -> None:
    face, how = synthetic.planned(b"", synthetic.landmarks((5000, 5000), 60)), recipe()
    with pytest.raises(PhotoError) as caught:
        cut_working(synthetic.picture(400, 380), face, crop_matrix(how, face), 1, how)
    assert caught.value.code == "crop_outside"


@given(
    st.sampled_from([1, 2, 4, 8]),
    st.sampled_from([{}, {"mode": "eye_level", "size": [90, 64]}, {"mode": "face_box", "size": 64, "margin": 0.4}]),
    st.floats(200, 600), st.floats(200, 600), st.floats(30, 250), st.floats(-0.6, 0.6),
)  # fmt: skip
@settings(max_examples=60)
def test_the_crop_lies_in_the_same_place_however_small_the_photo_was_decoded(
    synthetic: SimpleNamespace, reduction: int, align: Any, x: float, y: float, eyes: float, roll: float
) -> None:
    how = recipe(align=align)
    points = synthetic.landmarks((x, y), eyes, roll)
    face = synthetic.planned(b"", points, width=800, height=800)
    matrix = crop_matrix(how, face)
    small = np.zeros((800 // reduction, 800 // reduction, 3), np.uint8)
    working = cut_working(small, face, matrix, reduction, how)
    assert apply_affine(working.matrix, known(working.landmarks)) == pytest.approx(
        apply_affine(matrix, points), abs=0.05
    )
    corners = np.array([(working.box.left, working.box.top), (working.box.right, working.box.bottom)])
    offset = corners - ((np.array([face.box[:2], face.box[2:]]) + 0.5) / reduction - 0.5)
    assert np.allclose(offset, np.round(offset), atol=1e-3), "moved by whole pixels of the piece"
    assert working.photo_size == (800, 800) and working.matrix_photo is matrix


def as_morph(face: Any) -> Any:
    """The row of a morph, as far as cutting looks at it."""
    return replace(face, morph=SimpleNamespace())


def test_a_morph_gets_room_for_a_crop_that_lies_a_little_elsewhere(synthetic: SimpleNamespace) -> None:
    """A crop much larger than the reach of a mask: only the slack of a morph goes beyond what the crop reads."""
    face = synthetic.planned(b"", synthetic.landmarks((500, 500), 60))
    how = recipe(align={"mode": "face_box", "size": 64, "margin": 2})
    photo = synthetic.picture(1000, 1000)
    plain, mixed = (cut_working(photo, one, crop_matrix(how, one), 1, how) for one in (face, as_morph(face)))
    for axis in (0, 1):
        more = mixed.image.shape[axis] - plain.image.shape[axis]
        assert more == pytest.approx(2 * MORPH_SLACK * plain.image.shape[axis], abs=2)
    assert np.array_equal(known(mixed.landmarks_crop), known(plain.landmarks_crop))
    crops = [warp_image(one.image, one.matrix, (64, 64), border="reflect") for one in (plain, mixed)]
    assert np.array_equal(crops[0], crops[1])


def test_the_piece_ends_where_the_photo_does(synthetic: SimpleNamespace) -> None:
    face = synthetic.planned(b"", synthetic.landmarks((60, 60), 60))
    how = recipe(align={"mode": "face_box", "size": 64, "margin": 0.2})
    photo = synthetic.picture(200, 180)
    for one in (face, as_morph(face)):
        working = cut_working(photo, one, crop_matrix(how, one), 1, how)
        height, width = working.image.shape[:2]
        assert 0 < height <= 180 and 0 < width <= 200
        assert np.array_equal(working.image, photo[:height, :width]), "it begins in the photo's corner"


def test_a_photo_without_a_face_is_taken_whole(synthetic: SimpleNamespace) -> None:
    face = synthetic.planned(b"", synthetic.landmarks((50, 50), 20), width=300, height=200)
    face = replace(face, landmarks=b"", box=(0, 0, 300, 200))
    how = recipe(align={"size": 96, "mode": "eye_level"})
    photo = synthetic.picture(300, 200, 3)
    working = cut_working(photo, face, crop_matrix(how, face), 1, how)
    assert landmarks_of(face) is None and working.landmarks is None and working.landmarks_crop is None
    assert working.alignment["mode"] == "whole_photo"
    assert (working.box.right - working.box.left, working.box.bottom - working.box.top) == (300, 200)
    crop = warp_image(working.image, working.matrix, (96, 96), border="constant")
    assert np.array_equal(crop, warp_image(photo, crop_matrix(how, face), (96, 96), border="constant"))


@pytest.mark.parametrize("mode", ["arcface", "eye_level", "face_box"])
def test_a_face_with_unsure_landmarks_is_cut_by_its_box_and_turned_upright(
    mode: str, synthetic: SimpleNamespace
) -> None:
    face = synthetic.planned(b"", synthetic.landmarks((150, 100), 20), width=300, height=200)
    face = replace(face, landmarks=b"", box=(120, 70, 180, 130), detector="yunet", landmarks_unsure=True)
    photo, how = synthetic.picture(300, 200, 3), recipe(align={"size": 96, "mode": mode})
    upright = cut_working(photo, face, crop_matrix(how, face), 1, how)
    assert upright.landmarks is None and not upright.whole
    assert upright.alignment["mode"] == ("face_box" if mode == "face_box" else "box")
    assert upright.image.shape[1] > 60 * (1 + MASK_REACH), "room for a learned mask"
    brow, chin = apply_affine(crop_matrix(how, face), np.array([[150, 75], [150, 125]], np.float64))
    turned = replace(face, turn=90)  # the top of the head points to the right
    ear, other = apply_affine(crop_matrix(how, turned), np.array([[175, 100], [125, 100]], np.float64))
    np.testing.assert_allclose((ear, other), (brow, chin), atol=1e-6)
    assert 0 < brow[1] < chin[1] and chin[1] - brow[1] > 40


def test_an_aligned_crop_with_unsure_landmarks_stays_as_it_is() -> None:
    how, face = aligned(112, 112, 112)
    unsure: Any = SimpleNamespace(**{**vars(face), "landmarks": b"", "landmarks_unsure": True})
    np.testing.assert_array_equal(crop_matrix(how, unsure), crop_matrix(how, face))


@pytest.mark.parametrize("mode", ["arcface", "eye_level"])
def test_five_points_of_the_source_align_and_landmarks_stay(synthetic: SimpleNamespace, mode: str) -> None:
    points = synthetic.landmarks((200, 180), 90)
    how = parse_recipe({"name": "x", "align": {"mode": mode, "size": 112}})
    moved = points + np.array([12, -7], np.float32)
    five = five_points(moved).astype(np.float32)
    face = synthetic.planned(b"x", points)
    aligned = replace(face, five=five.tobytes())
    assert np.allclose(crop_matrix(how, aligned), crop_matrix(how, synthetic.planned(b"x", moved)), atol=1e-4)
    assert not np.allclose(crop_matrix(how, aligned), crop_matrix(how, face), atol=0.1)
    kept = landmarks_of(aligned)
    assert kept is not None and np.array_equal(kept, points)
