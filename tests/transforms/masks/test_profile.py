"""On a near-profile the mask follows the nose, or is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from faceloom.schemas.errors import PhotoError
from faceloom.schemas.masks import PictureMask, TemplateMask
from faceloom.transforms.masks.catalogue import TEMPLATES
from faceloom.transforms.masks.fit import FixedPoints, fit_face
from faceloom.transforms.masks.painted import PaintedMask
from faceloom.transforms.masks.picture import MaskPicture, paint_picture
from faceloom.transforms.masks.profile import MOST_BEYOND, NEAR_PROFILE, reach_beyond, refuse_bulge
from faceloom.transforms.masks.shapes import mirrored, spline
from faceloom.transforms.masks.template import paint_template
from faceloom.transforms.types import Image, Landmarks


@pytest.mark.parametrize("yaw", [-1.2, -0.9, 0.7, 1.0, 1.3])
@pytest.mark.parametrize("name", sorted(TEMPLATES))
def test_no_mask_bulges_past_the_nose(landmarks: Callable[..., Landmarks], name: str, yaw: float) -> None:
    points, outline = landmarks(yaw=yaw), spline(*mirrored(TEMPLATES[name].half))
    fit = fit_face(points, FixedPoints(outline), TEMPLATES[name].stand_off)
    assert abs(fit.yaw) > NEAR_PROFILE
    assert reach_beyond(outline, points, fit) < 0.1
    refuse_bulge(outline, points, fit)


def test_a_wide_mask_laid_flat_on_a_profile_is_refused(landmarks: Callable[..., Landmarks]) -> None:
    points, outline = landmarks(yaw=1.1), spline(*mirrored(TEMPLATES["surgical"].half)) * (1.5, 1)
    flat = replace(fit_face(points, FixedPoints(outline)), kind="similarity", _forward=None, _backward=None)
    assert reach_beyond(outline, points, flat) > MOST_BEYOND
    with pytest.raises(PhotoError, match=r"stand out from its nose.*eye distances.*max_yaw") as caught:
        refuse_bulge(outline, points, flat)
    assert caught.value.code == "mask_folds"
    refuse_bulge(outline, points, replace(flat, yaw=0.9 * NEAR_PROFILE))


def test_a_painted_mask_is_refused_if_it_bulges(
    landmarks: Callable[..., Landmarks], portrait: Callable[..., Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    points = landmarks(yaw=1.0)
    rng = np.random.default_rng(0)
    sheet = MaskPicture(
        np.full((90, 90, 4), 255, np.uint8),
        np.array([(5.0, 20), (45, 5), (85, 20), (75, 60), (45, 85), (15, 60)]),
    )
    ways: tuple[Callable[[], PaintedMask], ...] = (
        lambda: paint_template(portrait(points), points, TemplateMask(kind="template", template="kn95"), rng),
        lambda: paint_picture(
            portrait(points), points, sheet, PictureMask(kind="picture", path="a.png", anchors="a.json"), rng
        ),
    )
    for way in ways:
        assert way().alpha.any()
    monkeypatch.setattr("faceloom.transforms.masks.profile.MOST_BEYOND", -1)
    for way in ways:
        with pytest.raises(PhotoError) as caught:
            way()
        assert caught.value.code == "mask_folds"
