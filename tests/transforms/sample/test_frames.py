"""Frames: where the photo, its boxes and its masks lie."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest

from faceloom.schemas.errors import PhotoError
from faceloom.schemas.plan import FrameFace, PlannedFace, PlannedFrame
from faceloom.schemas.recipe import Recipe, parse_recipe
from faceloom.transforms.geometry import apply_affine
from faceloom.transforms.masks.painted import PaintedMask
from faceloom.transforms.sample.frames import Frame, compose_frame, cut_frame, frame_matrix, frame_size
from faceloom.transforms.sample.working import Working

WIDTH, HEIGHT = 400, 300


def recipe(max_side: int = 200, **changes: Any) -> Recipe:
    align = {"mode": "frame", "max_side": max_side}
    return parse_recipe({"name": "f", "masks": [{"kind": "polygon", "shape": "A"}], "align": align, **changes})


def a_face(number: int, left: float, top: float, side: float, masks: tuple[int, ...] = (0,)) -> FrameFace:
    rng = np.random.default_rng(number)
    points = (rng.uniform(0, side, (68, 2)) + np.array([left, top])).astype(np.float32)
    box = (left, top, left + side, top + side)
    return FrameFace(number, f"p{number}", box, points.tobytes(), "hog", 1.0, 0, masks, True)


def planned(*faces: FrameFace) -> PlannedFace:
    frame = PlannedFrame(faces, tuple(face.identity for face in faces))
    return PlannedFace(
        "s", "a.png", "ab" * 32, 0, "p0", "train", None, None, (), WIDTH, HEIGHT, b"", (0.0, 0.0, 9.0, 9.0), (0,), 0,
        frame=frame,
    )  # fmt: skip


def cover(working: Working, face: FrameFace, mask: int) -> PaintedMask:
    """Paint the box of a face in the grey level of its number."""
    image, alpha = working.image.copy(), np.zeros(working.image.shape[:2], np.float32)
    box = working.box
    part = slice(round(box.top + 0.5), round(box.bottom + 0.5)), slice(round(box.left + 0.5), round(box.right + 0.5))
    image[part], alpha[part] = 100 + face.face, 1
    return PaintedMask(image, alpha, None, {"drawn": mask})


def composed(plan: PlannedFace, how: Recipe | None = None, paint: Any = cover) -> Frame:
    how = how or recipe()
    return compose_frame(np.zeros((150, 200, 3), np.uint8), plan, 0, how, paint)


def records(frame: Frame) -> list[Any]:
    """The records of the faces."""
    return frame.faces


@pytest.mark.parametrize(("photo", "size"), [((400, 300), (200, 150)), ((100, 50), (100, 50)), ((9, 4000), (1, 200))])
def test_a_photo_is_shrunk_to_the_longest_side_and_never_enlarged(
    photo: tuple[int, int], size: tuple[int, int]
) -> None:
    assert frame_size(photo, 200) == size
    edges = apply_affine(frame_matrix(photo, 200), np.array([(-0.5, -0.5), (photo[0] - 0.5, photo[1] - 0.5)]))
    assert np.allclose(edges, [(-0.5, -0.5), (size[0] - 0.5, size[1] - 0.5)])


@pytest.mark.parametrize("reduction", [1, 2])
def test_the_frame_shows_the_whole_photo(reduction: int) -> None:
    ramp = np.linspace(0, 250, WIDTH // reduction)[None, :, None] * np.ones((HEIGHT // reduction, 1, 3))
    frame = cut_frame(ramp.astype(np.uint8), planned(a_face(0, 10, 10, 50)), reduction, recipe())
    assert frame.shape == (150, 200, 3)
    assert np.abs(frame[75, :, 0] - np.linspace(0, 250, 200)).max() < 4


def test_a_photo_of_its_own_size_keeps_its_pixels() -> None:
    photo = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    assert np.array_equal(cut_frame(photo, planned(), 1, recipe(1024)), photo)


def test_boxes_landmarks_and_instances_are_in_pixels_of_the_frame() -> None:
    faces = a_face(0, 19.5, 39.5, 80), a_face(1, 239.5, 99.5, 100)
    frame = composed(planned(*faces))
    first, second = records(frame)
    assert first["box"] == [9.5, 19.5, 49.5, 59.5] and second["box"] == [119.5, 49.5, 169.5, 99.5]
    assert frame.instances is not None and frame.crops.masked is not None
    assert np.array_equal(np.unique(frame.instances), [0, 1, 2])
    for number, record in enumerate(records(frame)):
        assert record["instance"] == number + 1 and record["mask_box"] == record["box"]
        left, top, right, bottom = (round(value + 0.5) for value in record["box"])
        assert (frame.instances[top:bottom, left:right] == number + 1).all()
        assert (frame.crops.masked[top:bottom, left:right] == 100 + number).all()
        points = np.frombuffer(faces[number].landmarks, np.float32).reshape(68, 2)
        assert np.allclose(record["landmarks"], (points + 0.5) / 2 - 0.5, atol=0.01)
    assert np.array_equal(frame.crops.mask > 0, frame.instances > 0)
    assert not frame.crops.face.any()
    assert frame.labels == (recipe().masks[0].label,)


def test_the_mask_of_the_larger_face_is_in_front() -> None:
    frame = composed(planned(a_face(0, 99.5, 99.5, 120), a_face(1, 99.5, 99.5, 60)))
    assert frame.instances is not None
    assert set(np.unique(frame.instances)) == {0, 1}
    assert records(frame)[1]["mask_box"] == []


def test_edges_and_shadows_of_a_mask_show_the_mask_behind_it() -> None:
    def paint(working: Working, face: FrameFace, mask: int) -> PaintedMask:
        image, alpha = working.image.copy(), np.zeros(working.image.shape[:2], np.float32)
        rows = slice(round(working.box.top + 0.5), round(working.box.bottom + 0.5))
        column = round(working.box.left + 0.5)
        if face.face == 1:
            image[rows, column:], alpha[rows, column:] = 90, 1
            return PaintedMask(image, alpha, None, {})
        image[rows, column], alpha[rows, column] = 0.5 * 200 + 0.5 * 30, 0.5  # a soft edge
        image[rows, column + 1] = 20  # its shadow
        image[rows, column + 2 : column + 9], alpha[rows, column + 2 : column + 9] = 200, 1
        return PaintedMask(image, alpha, None, {})

    photo = np.full((150, 200, 3), 30, np.uint8)
    plan = planned(a_face(0, 119.5, 99.5, 120), a_face(1, 99.5, 119.5, 60))
    frame = compose_frame(photo, plan, 0, recipe(), paint)
    assert frame.crops.masked is not None
    assert frame.crops.masked[75, 58:70, 0].tolist() == [90, 90, 145, 80, *[200] * 7, 90]
    assert frame.crops.masked[52, 58:70, 0].tolist() == [30, 30, 115, 20, *[200] * 7, 30], "above the mask behind"


def test_bare_and_unused_faces_and_faults_are_recorded() -> None:
    def fails(working: Working, face: FrameFace, mask: int) -> PaintedMask:
        if face.face == 1:
            raise PhotoError("mask_fit", "no mask fits")
        return cover(working, face, mask)

    unused = replace(a_face(3, 300, 20, 20, ()), landmarks=b"", used=False, fault="low_score")
    far = a_face(4, 5000, 5000, 30)
    plan = planned(a_face(0, 10, 10, 50, (-1,)), a_face(1, 100, 10, 50), a_face(2, 200, 10, 50), unused, far)
    frame = composed(plan, paint=fails)
    assert [bool(face["mask"]) for face in records(frame)] == [False, False, True, False, False]
    assert [face["fault"] for face in records(frame)] == ["", "mask_fit", "", "low_score", "crop_outside"]
    assert [face["used"] for face in records(frame)] == [True, True, True, False, True]
    assert records(frame)[3]["landmarks"] == []
    assert [operation["instance"] for operation in cast(list[Any], frame.operations)] == [3]


def test_without_masks_there_is_nothing_but_the_photo() -> None:
    frame = composed(planned(a_face(0, 10, 10, 50, ())), recipe(masks=[]))
    assert frame.instances is None and frame.crops.masked is None and len(frame.faces) == 1
