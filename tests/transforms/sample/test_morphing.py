"""A morph's working picture: between two faces in shape and looks, aligned by its own landmarks, labels with it."""

from __future__ import annotations

import io
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from faceloom.schemas.errors import PhotoError
from faceloom.schemas.guide import PARTS
from faceloom.schemas.labels import LabelFiles
from faceloom.schemas.plan import PlannedFace, PlannedMorph
from faceloom.schemas.recipe import Recipe, parse_recipe
from faceloom.transforms.align import arcface_matrix
from faceloom.transforms.geometry import apply_affine
from faceloom.transforms.guide.guide_mask import iou
from faceloom.transforms.guide.label_map import decode_labels, mask_of
from faceloom.transforms.morph.blend import face_hull
from faceloom.transforms.sample.crops import bare_crop
from faceloom.transforms.sample.face_labels import labels_in_crop
from faceloom.transforms.sample.morphing import morph_record, morph_working
from faceloom.transforms.sample.working import Working, crop_matrix, cut_working
from tests.known import known

SIZE = (400, 380)
BOX: dict[str, Any] = {"align": {"mode": "face_box", "size": 128, "margin": 0.2}}
Mix = Callable[..., "Mixed"]


def recipe(**changes: Any) -> Recipe:
    return parse_recipe({"name": "x", "morph": {}, **changes})


class Mixed(SimpleNamespace):
    """A planned morph, the working picture before and after, and the other face's own."""

    face: PlannedFace
    before: Working
    after: Working
    other: Working


@pytest.fixture
def mix(synthetic: SimpleNamespace) -> Mix:
    """A function that morphs two synthetic faces, the other one smaller, turned, and with a long chin."""
    own_points, other_points = synthetic.landmarks((190, 150), 80), synthetic.landmarks((210, 140), 64, 0.15)
    other_points[4:13, 1] += 12
    own_rgb, other_rgb = synthetic.picture(*SIZE, 1), synthetic.picture(*SIZE, 2)

    def run(
        how: Recipe, shape: float = 0.5, texture: float = 0.5, scale: int = 1, own: np.ndarray = own_rgb, **changes: Any
    ) -> Mixed:
        points = changes.get("other_points", other_points)
        large = cv2.resize(other_rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
        data = changes.get("data", synthetic.encoded(large))
        sized = {"width": SIZE[0] * scale, "height": SIZE[1] * scale}
        there = synthetic.planned(data, ((points + 0.5) * scale - 0.5).astype(np.float32), (), uri="b.png",
                                  identity="Bob", licence="CC BY", **sized)  # fmt: skip
        mixed = PlannedMorph(other=there, rank=2, distance=31.5, landmark_distance=3.0, texture_distance=1.5,
                             shape_weight=shape, texture_weight=texture)  # fmt: skip
        here = {"width": SIZE[0], "height": SIZE[1], "identity": "Ada+Bob"}
        face = synthetic.planned(synthetic.encoded(own), own_points, (), morph=mixed, **here)
        before = cut_working(own, face, crop_matrix(how, face), 1, how)
        other = cut_working(large, there, crop_matrix(how, there), 1, how)
        return Mixed(face=face, before=before, after=morph_working(before, face, data, how), other=other)

    return run


@pytest.mark.parametrize("weight", [0.0, 0.3, 0.5, 1.0])
def test_the_shape_lies_between_the_two_as_the_weight_says(mix: Mix, weight: float) -> None:
    """Laid over each other as aligned crops: that is also how the distance compares them."""
    mixed = mix(recipe(**BOX), shape=weight)
    here, there = mixed.before.landmarks_crop, mixed.other.landmarks_crop
    assert here is not None and there is not None and np.abs(there - here).max() > 5
    assert np.allclose(known(mixed.after.landmarks_crop), here + weight * (there - here), atol=0.05)


def test_without_the_other_it_is_the_face_itself(mix: Mix) -> None:
    mixed = mix(recipe(**BOX), shape=0.0, texture=0.0)
    difference = np.abs(mixed.after.image.astype(int) - mixed.before.image)
    assert difference.max() <= 1


def test_looks_come_from_the_other_inside_the_face_alone(mix: Mix) -> None:
    none, all_ = mix(recipe(**BOX), texture=0.0), mix(recipe(**BOX), texture=1.0)
    changed = (none.after.image != all_.after.image).any(axis=2)
    inside = face_hull(known(none.after.landmarks), (changed.shape[1], changed.shape[0])) > 0
    assert changed[inside].mean() > 0.8
    assert not changed[~inside].any()


@pytest.mark.parametrize("align", [{"mode": "arcface"}, {"mode": "eye_level", "size": 96}])
def test_the_crop_is_aligned_by_the_morphs_own_landmarks(mix: Mix, align: dict[str, Any]) -> None:
    mixed = mix(recipe(align=align))
    own = mixed.after.landmarks_crop
    assert own is not None
    if align["mode"] == "arcface":
        assert np.allclose(arcface_matrix(own, 112), [[1, 0, 0], [0, 1, 0]], atol=0.01), "there is nothing to mend"
    else:
        right, left = own[36:42].mean(axis=0), own[42:48].mean(axis=0)
        assert abs(left[1] - right[1]) < 0.01, "eyes are level"
    inside = apply_affine(mixed.after.matrix, known(mixed.after.landmarks))
    assert np.allclose(inside, own, atol=1e-3)


def test_an_aligned_crop_stays_where_it_is(mix: Mix) -> None:
    how = recipe(faces={"assume": "aligned"}, align={"mode": "arcface", "size": 112})
    mixed = mix(how)
    assert np.array_equal(mixed.after.matrix, mixed.before.matrix)


@pytest.mark.parametrize("align", [{"mode": "arcface"}, BOX["align"]])
def test_the_record_holds_the_way_from_the_photo_to_the_crop(mix: Mix, align: dict[str, Any]) -> None:
    mixed = mix(recipe(align=align))
    assert np.allclose(np.array(mixed.after.alignment["matrix"]), mixed.after.matrix_photo, atol=1e-6)
    corner = np.array([[0.0, 0.0], [50.0, 20.0]])
    photo = apply_affine(np.linalg.inv(np.vstack([mixed.before.matrix_photo, [0, 0, 1]]))[:2], corner)
    piece = apply_affine(np.linalg.inv(np.vstack([mixed.before.matrix, [0, 0, 1]]))[:2], corner)
    there, here = apply_affine(mixed.after.matrix_photo, photo), apply_affine(mixed.after.matrix, piece)
    assert np.allclose(there, here, atol=1e-6)


def test_a_larger_photo_of_the_neighbour_makes_the_same_morph(mix: Mix) -> None:
    small, large = mix(recipe(**BOX)), mix(recipe(**BOX), scale=3)
    assert np.allclose(known(small.after.landmarks), known(large.after.landmarks), atol=0.05)
    assert np.abs(small.after.image.astype(int) - large.after.image).mean() < 2


def test_a_mesh_that_folds_is_refused(mix: Mix, synthetic: SimpleNamespace) -> None:
    points = synthetic.landmarks((210, 140), 64)
    points[[17, 21]] = points[[21, 17]]
    with pytest.raises(PhotoError, match="the mesh between two faces folds over") as caught:
        mix(recipe(**BOX), other_points=points)
    assert caught.value.code == "morph_folds"


@pytest.mark.parametrize("data", [b"", b"no picture"])
def test_a_neighbour_that_cannot_be_decoded_is_refused(mix: Mix, data: bytes) -> None:
    with pytest.raises(PhotoError):
        mix(recipe(**BOX), data=data)


def test_the_record_tells_what_was_mixed(mix: Mix) -> None:
    how = recipe(morph={"lambda": 10.0, "texture_units": "levels", "background": "gradient"})
    record = morph_record(mix(how, shape=0.25, texture=0.75).face, how)
    assert record == {
        "name": "morph", "neighbour": neighbour_key(mix, how), "rank": 2, "distance": 31.5, "landmark_distance": 3.0,
        "texture_distance": 1.5, "lambda": 10.0, "texture": "crop", "texture_size": 224, "texture_units": "levels",
        "shape_weight": 0.25, "texture_weight": 0.75, "background": "gradient",
    }  # fmt: skip


def neighbour_key(mix: Mix, how: Recipe) -> str:
    face = mix(how).face
    return face.morph.other.key if face.morph else ""


def label_map(where: np.ndarray) -> LabelFiles:
    """A label map of the photo's size with a mouth where it is said, and skin everywhere else."""
    values = np.full(SIZE[::-1], PARTS.index("skin") + 1, np.uint8)
    values[where] = PARTS.index("mouth") + 1
    data = io.BytesIO()
    Image.fromarray(values).save(data, "PNG")
    return LabelFiles("celebamask_hq", PARTS, (("", data.getvalue()),))


@pytest.mark.parametrize("align", [{"mode": "arcface"}, BOX["align"], {"mode": "eye_level", "size": 96}])
@pytest.mark.parametrize("shape", [0.0, 0.5, 1.0])
def test_labels_move_with_the_pixels_that_they_speak_of(
    mix: Mix, synthetic: SimpleNamespace, align: dict[str, Any], shape: float
) -> None:
    """A mouth painted red, and labelled: in the morph the label lies on what is red, wherever that has gone."""
    mouth = np.zeros(SIZE[::-1], np.uint8)
    cv2.fillPoly(mouth, [np.rint(synthetic.landmarks((190, 150), 80)[48:60]).astype(np.int32)], 1)
    red = np.full((SIZE[1], SIZE[0], 3), (20, 120, 120), np.uint8)
    red[mouth > 0] = (250, 20, 20)
    how = recipe(align=align, guide={"parts": ["mouth"]})
    mixed = mix(how, shape=shape, texture=0.0, own=red)
    size = how.align.width_height
    labels = decode_labels(label_map(mouth > 0))
    crop = bare_crop(mixed.after, how, labels).crops
    shown = crop.face[..., 0].astype(int) - crop.face[..., 1] > 50
    found = mask_of(labels_in_crop(labels, mixed.after, size), ["mouth"])
    assert found.sum() > 40 and iou(found, shown) > 0.8
    assert crop.guide is not None and np.array_equal(crop.guide > 0, found)
    middle, wanted = np.argwhere(found).mean(axis=0)[::-1], known(mixed.after.landmarks_crop)[48:60].mean(axis=0)
    assert np.abs(middle - wanted).max() < 1.5, "the middle of the mouth is where the landmarks say"


def test_without_a_guide_nothing_is_kept_to_move_labels(mix: Mix) -> None:
    assert mix(recipe(**BOX)).after.read_from is None
    assert mix(recipe(guide={"parts": ["mouth"]}, **BOX)).after.read_from is not None
