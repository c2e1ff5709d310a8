"""Trouble in rendering: a fault of the photo is a reject and spoils no other sample; any other error fails the part."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from faceloom.pipelines.render import render_photos as render
from faceloom.pipelines.render.sample import Sample
from faceloom.schemas.errors import PhotoError, StorageError, WorkerError
from faceloom.schemas.keys import sample_key
from faceloom.schemas.masks import Mask
from faceloom.schemas.photos import Reject
from faceloom.transforms.masks.painted import PaintedMask
from tests.pipelines.rendering import paint, recipe, run


def test_a_mask_outside_the_crop_is_a_reject_that_says_what_to_do(
    scene: SimpleNamespace, synthetic: SimpleNamespace
) -> None:
    def low(image: np.ndarray, landmarks: np.ndarray, mask: Mask, rng: np.random.Generator) -> PaintedMask:
        if mask.label == "polygon-C":
            return paint(image, landmarks, mask, rng)
        return PaintedMask(image, np.zeros(image.shape[:2], np.float32))

    face = synthetic.planned(scene.data, scene.points, (0, 1))
    reject, sample = run(scene.data, [face], painter=low)
    assert isinstance(sample, Sample)
    assert sample.mask == "polygon-C"
    assert isinstance(reject, Reject)
    assert (reject.stage, reject.source, reject.uri, reject.code) == ("render", "s", "a.png", "mask_outside_crop")
    assert reject.key == sample_key(face.photo_sha256, 0, 0)
    assert "polygon-A" in reject.message
    assert "larger or looser crop" in reject.message


def test_a_mask_that_cannot_be_painted_spoils_its_own_sample_alone(
    scene: SimpleNamespace, synthetic: SimpleNamespace
) -> None:
    def picky(image: np.ndarray, landmarks: np.ndarray, mask: Mask, rng: np.random.Generator) -> PaintedMask:
        if mask.label == "polygon-C":
            raise PhotoError("mask_fit", "does not fit")
        return paint(image, landmarks, mask, rng)

    results = run(scene.data, [synthetic.planned(scene.data, scene.points, (0, 1, 2))], painter=picky)
    assert [type(result) for result in results] == [Sample, Reject, Sample]
    assert isinstance(results[1], Reject)
    assert (results[1].code, results[1].message) == ("mask_fit", "does not fit")


UNFORESEEN = [
    cv2.error("bad argument"), RuntimeError("why"), ValueError("shapes"), MemoryError(), OverflowError("too large"),
    ZeroDivisionError("division by zero"), np.linalg.LinAlgError("singular"), IndexError("beyond the end"),
]  # fmt: skip


def failing(error: Exception) -> Any:
    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


@pytest.mark.parametrize("error", UNFORESEEN, ids=lambda error: type(error).__name__)
def test_an_unforeseen_error_is_no_reject_and_names_its_sample(
    scene: SimpleNamespace, synthetic: SimpleNamespace, error: Exception
) -> None:
    def picky(image: np.ndarray, landmarks: np.ndarray, mask: Mask, rng: np.random.Generator) -> PaintedMask:
        if mask.label == "polygon-C":
            raise error
        return paint(image, landmarks, mask, rng)

    with pytest.raises(WorkerError) as caught:
        run(scene.data, [synthetic.planned(scene.data, scene.points, (0, 1, 2))], painter=picky)
    assert caught.value.where == f"s/a.png, sample {sample_key(scene.face.photo_sha256, 0, 1)}"
    assert caught.value.__cause__ is error and type(error).__name__ in caught.value.trace


@pytest.mark.parametrize("step", ["decode_rgb", "crop_matrix", "cut_working", "bare_crop", "face_files"])
def test_an_unforeseen_error_of_a_step_names_its_photo(
    scene: SimpleNamespace, synthetic: SimpleNamespace, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(render, step, failing(MemoryError("no room")))
    faces = [scene.face, synthetic.planned(scene.data, scene.points, (0, 1), face=1)]
    with pytest.raises(WorkerError, match=r"s/a\.png: memory ran out \(got no room\)"):
        run(scene.data, faces)


def test_what_is_no_fault_of_the_photo_is_no_reject(scene: SimpleNamespace) -> None:
    for error in (StorageError("disk full"), KeyboardInterrupt()):
        with pytest.raises(type(error)):
            run(scene.data, [scene.face], painter=failing(error))  # type: ignore[arg-type]


def test_a_face_outside_the_photo_is_a_reject_per_sample(scene: SimpleNamespace, synthetic: SimpleNamespace) -> None:
    far = synthetic.planned(scene.data, scene.points + np.float32(5000), (0, 1), face=1)
    results = run(scene.data, [scene.face, far])
    assert [type(result) for result in results] == [Sample, Reject, Reject]
    assert {result.code for result in results[1:]} == {"crop_outside"}  # type: ignore[union-attr]
    assert [result.key[-9:] for result in results[1:]] == ["-f01-m000", "-f01-m001"]


def test_eyes_that_coincide_are_a_reject_though_the_rest_is_well(
    synthetic: SimpleNamespace, scene: SimpleNamespace
) -> None:
    points = scene.points.copy()
    points[36:48] = points[27]
    face = synthetic.planned(scene.data, points, (0, 1))
    assert [type(result) for result in run(scene.data, [face])] == [Sample, Sample]
    results = run(scene.data, [face], recipe(align={"mode": "eye_level"}))
    assert [result.code for result in results] == ["degenerate_points"] * 2  # type: ignore[union-attr]


def test_a_photo_that_cannot_be_decoded_after_all_is_a_reject_per_sample(
    scene: SimpleNamespace, synthetic: SimpleNamespace
) -> None:
    torn = scene.data[: len(scene.data) // 2]
    results = run(torn, [scene.face, synthetic.planned(scene.data, scene.points, (0, 1), face=1)])
    assert [result.code for result in results] == ["truncated"] * 3  # type: ignore[union-attr]
