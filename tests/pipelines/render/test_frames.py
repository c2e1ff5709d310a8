"""Samples of frames: their members, their record, and what each depends on."""

from __future__ import annotations

import io
import json
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from faceloom.pipelines.read.sample_members import decode_member
from faceloom.pipelines.render.mask_painter import load_painter
from faceloom.pipelines.render.render_photos import PhotoToRender, render_photos
from faceloom.pipelines.render.resources import RenderResources
from faceloom.pipelines.render.sample import Sample, people_of
from faceloom.pipelines.run.stopwatch import Stopwatch
from faceloom.schemas.photos import Reject
from faceloom.schemas.plan import FrameFace, PlannedFace, PlannedFrame
from faceloom.schemas.recipe import Recipe, parse_recipe


def recipe(**changes: Any) -> Recipe:
    masks = [{"kind": "template", "template": "surgical"}, {"kind": "polygon", "shape": "A"}]
    plain = {"name": "f", "align": {"mode": "frame", "max_side": 200}, "masks": masks, "output": {"image": "png"}}
    return parse_recipe({**plain, **changes})


@pytest.fixture
def photo(synthetic: SimpleNamespace) -> SimpleNamespace:
    """A photo of 400 x 400 pixels with two faces."""
    data = synthetic.encoded(synthetic.picture(400, 400, 3))
    points = [synthetic.landmarks((110, 150), 60), synthetic.landmarks((290, 150), 50)]
    return SimpleNamespace(data=data, points=points)


def framed(photo: SimpleNamespace, synthetic: SimpleNamespace, *masks: tuple[int, ...]) -> PlannedFace:
    faces = []
    for number, points in enumerate(photo.points):
        (left, top), (right, bottom) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
        faces.append(
            FrameFace(
                number,
                f"p{number}",
                (left, top, right, bottom),
                points.astype(np.float32).tobytes(),
                "hog",
                1.0,
                0,
                masks[number],
                True,
            )
        )
    first: PlannedFace = synthetic.planned(
        photo.data, photo.points[0], masks[0], identity="photo-x", frame=PlannedFrame(tuple(faces), ("p0", "p1"))
    )
    return first


def made(photo: SimpleNamespace, face: PlannedFace, how: Recipe, skip: frozenset[str] = frozenset()) -> list[Any]:
    resources = RenderResources(how, load_painter(how.masks))
    return list(render_photos([PhotoToRender(photo.data, [face], skip=skip)], resources, Stopwatch()))


def members(sample: Sample) -> dict[str, Any]:
    return {name: decode_member(name, data) for name, data in sample.files if name != "landmarks.npy"}


def test_a_frame_holds_photo_masks_instances_and_boxes(photo: SimpleNamespace, synthetic: SimpleNamespace) -> None:
    face = framed(photo, synthetic, (0,), (1,))
    (sample,) = made(photo, face, recipe())
    assert isinstance(sample, Sample) and sample.mask == "several"
    names = [name for name, _ in sample.files]
    assert names == ["face.png", "instances.png", "json", "landmarks.npy", "mask.png", "masked.png"]
    found = members(sample)
    assert found["face.png"].shape == found["masked.png"].shape == (200, 200, 3)
    assert set(np.unique(found["instances.png"])) == {0, 1, 2}
    assert np.array_equal(found["mask.png"] > 0, found["instances.png"] > 0)
    assert (found["face.png"] != found["masked.png"]).any(axis=2)[found["mask.png"] > 0].mean() > 0.9
    frame = found["json"]["frame"]
    assert (frame["width"], frame["height"]) == (200, 200)
    assert [one["identity"] for one in frame["faces"]] == ["p0", "p1"] == found["json"]["people"]
    assert people_of(face) == ("p0", "p1"), "an erasure of either drops the frame"
    points = dict(sample.files)["landmarks.npy"]
    assert np.isnan(np.load(io.BytesIO(points))).all()
    assert found["json"]["operations"][0]["name"] == "align"
    assert json.loads(sample.operations)[0]["mode"] == "frame"


def test_a_face_wears_the_same_whatever_the_others_wear(photo: SimpleNamespace, synthetic: SimpleNamespace) -> None:
    (both,) = made(photo, framed(photo, synthetic, (0,), (1,)), recipe())
    (alone,) = made(photo, framed(photo, synthetic, (0,), (-1,)), recipe())
    there = members(both)["instances.png"] == 1
    assert np.array_equal(members(both)["masked.png"][there], members(alone)["masked.png"][there])
    assert alone.mask == recipe().masks[0].label
    assert [bool(one["mask"]) for one in members(alone)["json"]["frame"]["faces"]] == [True, False]


def test_variants_and_samples_to_skip(photo: SimpleNamespace, synthetic: SimpleNamespace) -> None:
    face, how = framed(photo, synthetic, (0, 0), (0, 1)), recipe(per_face=2)
    first, second = made(photo, face, how)
    assert [first.key, second.key] == face.sample_keys and first.files != second.files
    assert dict(first.files)["face.png"] == dict(second.files)["face.png"]
    assert made(photo, face, how, frozenset([first.key])) == [second]


def test_a_frame_without_any_mask_is_a_sample(photo: SimpleNamespace, synthetic: SimpleNamespace) -> None:
    (sample,) = made(photo, framed(photo, synthetic, (-1,), (-1,)), recipe())
    assert sample.mask == "" and not members(sample)["mask.png"].any()


def test_a_broken_photo_is_a_reject(photo: SimpleNamespace, synthetic: SimpleNamespace) -> None:
    photo.data = photo.data[:300]
    (reject,) = made(photo, framed(photo, synthetic, (0,), (0,)), recipe())
    assert isinstance(reject, Reject) and reject.code == "truncated"
