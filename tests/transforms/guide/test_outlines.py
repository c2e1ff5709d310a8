"""Outlines lie where their part is, turn and scale with the head, and are refused for what landmarks do not reach."""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from faceloom.schemas.errors import PhotoError, RecipeError
from faceloom.schemas.guide import LANDMARK_REGIONS, Region
from faceloom.transforms.geometry import apply_affine, similarity
from faceloom.transforms.guide.guide_mask import iou
from faceloom.transforms.guide.outlines import landmark_mask, outline_of
from faceloom.transforms.masks.fit import area
from faceloom.transforms.types import BoolMask

Draw = Callable[..., NDArray[np.float32]]
SIZE = (250, 250)


@pytest.mark.parametrize("region", LANDMARK_REGIONS)
def test_every_region_lies_around_its_own_landmarks(region: str, landmarks: Draw) -> None:
    points = landmarks()
    own = {
        "skin": [*range(17)], "nose": [28, 29, 30, 33], "l_eye": [*range(42, 48)], "r_eye": [*range(36, 42)],
        "l_brow": [*range(22, 27)], "r_brow": [*range(17, 22)], "mouth": [61, 62, 63, 65, 66, 67],
        "u_lip": [50, 51, 52], "l_lip": [56, 57, 58], "lower_face": [4, 8, 12, 33],
    }[region]  # fmt: skip
    mask = landmark_mask(points, region, SIZE)
    middle = np.argwhere(mask).mean(axis=0)[::-1]
    unit = 45
    reach = 0.75 if region == "skin" else 0.3
    assert np.abs(middle - points[own].mean(axis=0)).max() < reach * unit
    assert mask.sum() > 5


def test_left_and_right_are_the_persons_own(landmarks: Draw) -> None:
    points = landmarks()
    for part in ("eye", "brow"):
        left, right = (np.argwhere(landmark_mask(points, f"{side}_{part}", SIZE))[:, 1].mean() for side in "lr")
        assert left > right + 30


def test_parts_that_touch_do_not_overlap_much(landmarks: Draw) -> None:
    points = landmarks(unit=60, centre=(125, 90))
    masks: dict[str, BoolMask] = {region: landmark_mask(points, region, SIZE) for region in LANDMARK_REGIONS}
    skin = masks["skin"]
    for region in LANDMARK_REGIONS:
        assert (masks[region] & ~skin).sum() <= 0.02 * masks[region].sum(), f"{region} lies outside the face"
    for one, other in (("u_lip", "l_lip"), ("nose", "u_lip"), ("l_eye", "l_brow"), ("r_eye", "r_brow")):
        assert (masks[one] & masks[other]).sum() <= 0.05 * masks[other].sum()
    assert (masks["lower_face"] & masks["u_lip"]).sum() > 0.95 * masks["u_lip"].sum()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(scale=st.floats(0.3, 3), angle=st.floats(-3, 3), x=st.floats(-50, 50), y=st.floats(-50, 50))
def test_outlines_move_with_the_head(scale: float, angle: float, x: float, y: float, landmarks: Draw) -> None:
    points = landmarks().astype(np.float64)
    move = similarity(scale, angle, (125, 125), (125 + x, 125 + y))
    for region in LANDMARK_REGIONS:
        expected = apply_affine(move, outline_of(points, region))
        np.testing.assert_allclose(outline_of(apply_affine(move, points), region), expected, atol=1e-6)


def test_brows_are_as_thick_as_brows(landmarks: Draw) -> None:
    points = landmarks()
    for region, line in (("r_brow", points[17:22]), ("l_brow", points[22:27])):
        length = float(np.linalg.norm(np.diff(line, axis=0), axis=1).sum())
        thickness = area(outline_of(points, region)) / length
        unit = float(np.linalg.norm(points[36:42].mean(0) - points[42:48].mean(0)))
        assert 0.08 < thickness / unit < 0.14


def test_both_sides_are_mirror_images(landmarks: Draw) -> None:
    points = landmarks(centre=(124.5, 110))
    points[:, 0] = points[:, 0].round(3)
    for part in ("eye", "brow"):
        left, right = (landmark_mask(points, f"{side}_{part}", SIZE) for side in "lr")
        assert iou(left, right[:, ::-1]) > 0.85


def test_what_landmarks_do_not_reach_is_refused(landmarks: Draw) -> None:
    for region in set(get_args(Region)) - set(LANDMARK_REGIONS):
        with pytest.raises(RecipeError, match=region):
            outline_of(landmarks(), region)


def test_outside_of_the_picture_is_nothing(landmarks: Draw) -> None:
    assert not landmark_mask(landmarks() + 1000, "skin", SIZE).any()
    assert landmark_mask(landmarks(), "nose", (60, 40)).shape == (40, 60)


@pytest.mark.parametrize("region", ["l_eye", "skin", "mouth"])
def test_eyes_that_coincide_make_no_outline(landmarks: Draw, region: str) -> None:
    points = landmarks()
    points[36:48] = points[27]
    with pytest.raises(PhotoError) as caught:
        outline_of(points, region)
    assert caught.value.code == "degenerate_points"
