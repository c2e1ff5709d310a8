"""Any RGBA picture with anchors becomes a mask."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from faceloom.schemas.errors import PhotoError, RecipeError
from faceloom.schemas.masks import PictureMask
from faceloom.transforms.masks.painted import PaintedMask
from faceloom.transforms.masks.picture import ANCHORS, MaskPicture, paint_picture, picture_anchors
from faceloom.transforms.types import Image, Landmarks

MASK = PictureMask(kind="picture", path="some/red.png", anchors="some/red.json")
DOCUMENT = {"left_top": [10, 30], "top": [100, 5], "right_top": [190, 30], "right_bottom": [165, 110],
            "bottom": [100, 155], "left_bottom": [35, 110]}  # fmt: skip


@pytest.fixture
def picture() -> MaskPicture:
    rgba = np.zeros((160, 200, 4), np.uint8)  # transparent pixels are black: a fringe would be dark
    rgba[5:156, 10:191] = (220, 40, 40, 255)
    rgba[60:100, 80:120] = (40, 40, 220, 255)
    return MaskPicture(rgba, picture_anchors(DOCUMENT))


def paint(
    landmarks: Callable[..., Landmarks],
    portrait: Callable[..., Image],
    picture: MaskPicture,
    seed: int = 0,
    **face: Any,
) -> tuple[Landmarks, PaintedMask]:
    points = landmarks(**face)
    return points, paint_picture(portrait(points), points, picture, MASK, np.random.default_rng(seed))


@pytest.mark.parametrize("roll", [-0.4, 0.0, 0.4])
def test_picture_lands_on_the_lower_face(
    landmarks: Callable[..., Landmarks], portrait: Callable[..., Image], picture: MaskPicture, roll: float
) -> None:
    points, painted = paint(landmarks, portrait, picture, roll=roll)
    alpha = painted.alpha
    for index in (33, 62, 57):
        x, y = np.round(points[index]).astype(int)
        assert alpha[y, x] > 0.95
    for index in (37, 44, 19):
        x, y = np.round(points[index]).astype(int)
        assert alpha[y, x] == 0
    x, y = np.round(points[62]).astype(int)
    around = painted.image[alpha > 0.99]
    assert (around[:, 0] > around[:, 2]).mean() > 0.7, "the picture is mostly red"
    near = painted.image[y - 8 : y + 8, x - 5 : x + 5].reshape(-1, 3)
    assert (near[:, 2] > near[:, 0]).mean() > 0.5, "its blue middle lies on the mouth"


def test_alpha_is_kept_and_edges_have_no_fringe(
    landmarks: Callable[..., Landmarks], portrait: Callable[..., Image], picture: MaskPicture
) -> None:
    half = picture.rgba.copy()
    half[..., 3] //= 2
    _, painted = paint(landmarks, portrait, MaskPicture(half, picture.anchors))
    assert painted.alpha.max() == pytest.approx(127 / 255, abs=0.02)
    _, solid = paint(landmarks, portrait, picture)
    edge = (solid.alpha > 0.3) & (solid.alpha < 0.7)
    assert solid.image[edge][:, 0].min() > 60, "no dark rim from transparent black"


def test_picture_far_larger_than_the_face(
    landmarks: Callable[..., Landmarks], portrait: Callable[..., Image], picture: MaskPicture
) -> None:
    big = MaskPicture(np.kron(picture.rgba, np.ones((8, 8, 1), np.uint8)), picture.anchors * 8 + 3.5)
    small = paint(landmarks, portrait, picture)[1]
    large = paint(landmarks, portrait, big)[1]
    assert np.abs(small.alpha - large.alpha).mean() < 0.01


def test_deterministic_and_recorded(
    landmarks: Callable[..., Landmarks], portrait: Callable[..., Image], picture: MaskPicture
) -> None:
    one, two = (paint(landmarks, portrait, picture)[1] for _ in range(2))
    np.testing.assert_array_equal(one.image, two.image)
    assert one.parameters["picture"] == "picture-red" and one.parameters["fit"] == "warp"
    assert one.straps is None


def test_outside_the_frame(
    landmarks: Callable[..., Landmarks], portrait: Callable[..., Image], picture: MaskPicture
) -> None:
    with pytest.raises(PhotoError):
        paint_picture(portrait(landmarks()), landmarks(centre=(-600, 0)), picture, MASK, np.random.default_rng(0))


@pytest.mark.parametrize(
    "change",
    [{"top": None}, {"nose": [1, 2]}, {"top": [1]}, {"top": [1, "x"]}, {"top": [float("nan"), 1]}, {"top": "12"}],
)
def test_bad_anchors_are_named(change: Any) -> None:
    document = {**DOCUMENT, **change}
    if change.get("top", 0) is None:
        del document["top"]
    with pytest.raises(RecipeError) as caught:
        picture_anchors(document)
    assert "top" in str(caught.value) or "nose" in str(caught.value)


def test_anchors_keep_their_order() -> None:
    np.testing.assert_array_equal(
        picture_anchors(dict(reversed(DOCUMENT.items()))), [DOCUMENT[name] for name in ANCHORS]
    )


@pytest.mark.parametrize("bad", [np.zeros((5, 5, 3), np.uint8), np.zeros((5, 5, 4), np.float32)])
def test_only_rgba_is_taken(bad: Any) -> None:
    with pytest.raises(RecipeError):
        MaskPicture(bad, np.zeros((6, 2)))


@pytest.mark.parametrize("yaw", [0.0, 0.5])
def test_straps_run_from_the_cloth_to_the_ears_when_asked(
    landmarks: Callable[..., Landmarks], portrait: Callable[..., Image], picture: MaskPicture, yaw: float
) -> None:
    points = landmarks(yaw=yaw)
    asked = MASK.model_copy(update={"straps": "auto"})
    plain = paint_picture(portrait(points), points, picture, MASK, np.random.default_rng(3))
    tied = paint_picture(portrait(points), points, picture, asked, np.random.default_rng(3))
    assert plain.straps is None and tied.straps is not None
    assert tied.parameters["straps"] == ([1, 1, -1, -1] if yaw == 0 else [-1, -1])
    drawn = (tied.straps > 0.3) & (tied.alpha < 0.5)
    columns, left, right = np.flatnonzero(drawn.any(axis=0)), points[0], points[16]
    assert abs(columns[0] - left[0]) < 0.35 * 45
    assert yaw > 0 or abs(columns[-1] - right[0]) < 0.1 * 45
    body, touching = tied.alpha > 0.5, np.pad(tied.alpha > 0.2, 2)
    near = np.lib.stride_tricks.sliding_window_view(touching, (5, 5)).any(axis=(2, 3))
    assert (drawn & near).any(), "they begin at the cloth"
    assert abs(int(body.sum()) - int((plain.alpha > 0.5).sum())) < 0.01 * body.sum(), "and are no part of the truth"


def test_a_picture_without_cloth_at_a_height_has_no_strap_there(
    landmarks: Callable[..., Landmarks], portrait: Callable[..., Image], picture: MaskPicture
) -> None:
    rgba = picture.rgba.copy()
    rgba[80:, :, 3] = 0
    points = landmarks()
    asked = MASK.model_copy(update={"straps": "auto"})
    cut = paint_picture(portrait(points), points, MaskPicture(rgba, picture.anchors), asked, np.random.default_rng(3))
    assert cut.parameters["straps"] == [1, -1]
