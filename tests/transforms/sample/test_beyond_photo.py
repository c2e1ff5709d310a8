"""The picture around a photo holds the whole crop, and all that belongs to the face moves with it."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from faceloom.schemas.recipe import parse_recipe
from faceloom.transforms.align import cut_crop, warp_alpha
from faceloom.transforms.geometry import apply_affine
from faceloom.transforms.sample.beyond_photo import extended
from faceloom.transforms.sample.working import Working, crop_matrix, cut_working
from tests.known import known

SIZE = (48, 48)
HOW = parse_recipe({"name": "x", "align": {"mode": "eye_level", "size": 48, "border": "blur"}})


def laid(synthetic: SimpleNamespace, x: float, y: float, tilt: float = 0.1) -> Working:
    face = synthetic.planned(b"", synthetic.landmarks((x, y), 60, tilt), height=380)
    return cut_working(synthetic.picture(400, 380, 2), face, crop_matrix(HOW, face), 1, HOW)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(x=st.floats(60, 340), y=st.floats(60, 330), tilt=st.floats(-0.5, 0.5))
def test_the_whole_crop_lies_inside_and_nothing_moves_in_it(
    synthetic: SimpleNamespace, x: float, y: float, tilt: float
) -> None:
    working = laid(synthetic, x, y, tilt)
    larger = extended(working, SIZE)
    assert larger.extended and not working.extended
    assert warp_alpha(np.ones(larger.image.shape[:2], np.float32), larger.matrix, SIZE).min() > 0.999
    before, after = (apply_affine(one.matrix, known(one.landmarks)) for one in (working, larger))
    np.testing.assert_allclose(before, after, atol=1e-3)
    (one, outside), (other, _) = (cut_crop(w.image, w.matrix, SIZE, "reflect") for w in (working, larger))
    inside = np.ones(SIZE, bool) if outside is None else ~outside
    np.testing.assert_array_equal(one[inside], other[inside])


def test_what_is_in_front_moves_too_and_ends_at_the_edge(synthetic: SimpleNamespace) -> None:
    working = laid(synthetic, 190, 330)
    front = np.full(working.image.shape[:2], 200, np.uint8)
    larger = extended(replace(working, front=front), SIZE)
    assert larger.front is not None and larger.front.shape == larger.image.shape[:2]
    assert (larger.front == 200).sum() == front.size and (larger.front == 0).any()
    assert larger.box.moved(working.box.left - larger.box.left, working.box.top - larger.box.top) == working.box


def test_a_tiny_photo_is_mirrored_as_often_as_needed(synthetic: SimpleNamespace) -> None:
    working = laid(synthetic, 190, 160)
    tiny = replace(working, image=working.image[:5, :7])
    larger = extended(tiny, SIZE)
    assert warp_alpha(np.ones(larger.image.shape[:2], np.float32), larger.matrix, SIZE).min() > 0.999
