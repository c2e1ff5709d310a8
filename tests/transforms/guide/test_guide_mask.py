"""Guides are unions of parts, grown and softened as asked; what is missing is handled exactly as the recipe says."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from faceloom.schemas.errors import PhotoError
from faceloom.schemas.guide import PARTS, Guide
from faceloom.transforms.guide.guide_mask import covered_share, dilate_and_soften, iou, make_guide, needed_parts
from faceloom.transforms.guide.label_map import LabelMap, bit_of
from faceloom.transforms.guide.outlines import landmark_mask

Draw = Callable[..., NDArray[np.float32]]
SIZE = (128, 128)


@pytest.fixture
def points(landmarks: Draw) -> NDArray[np.float32]:
    return landmarks(centre=(64, 55), unit=25)


def labels(known: frozenset[str] = frozenset(PARTS), **places: Any) -> LabelMap:
    bits = np.zeros(SIZE[::-1], np.uint32)
    for part, place in places.items():
        bits[place] |= np.uint32(bit_of(part))
    return LabelMap(bits, known, "celebamask_hq")


MOUTH: dict[str, Any] = {"u_lip": np.s_[80:85, 40:80], "mouth": np.s_[85:88, 45:75], "l_lip": np.s_[88:95, 40:80]}


def test_the_union_of_an_attributes_parts(points: NDArray[np.float32]) -> None:
    drawn = labels(**MOUTH, nose=np.s_[60:75, 55:70])
    guide = make_guide(Guide(attribute="Mouth_Slightly_Open"), points, SIZE, drawn)
    expected = np.zeros(SIZE[::-1], np.uint8)
    for place in MOUTH.values():
        expected[place] = 255
    assert (guide.mask == expected).all() and guide.mask.dtype == np.uint8
    assert guide.origin == {
        "attribute": "Mouth_Slightly_Open", "regions": ["u_lip", "mouth", "l_lip"], "from": "labels",
        "label_order": "celebamask_hq", "landmark_regions": [], "dilate": 0.0, "soften": 0.0,
        "share": round(float((expected > 0).mean()), 6),
    }  # fmt: skip
    assert json.loads(json.dumps(guide.origin)) == guide.origin


def test_labels_of_the_crop_go_before_those_of_the_photo(points: NDArray[np.float32]) -> None:
    drawn = labels(nose=np.s_[0:10, 0:10])
    crop = np.full(SIZE[::-1], bit_of("nose"), np.uint32)
    assert (make_guide(Guide(parts=("nose",)), points, SIZE, drawn, crop).mask == 255).all()


def test_an_absent_part_adds_nothing_and_is_not_missing(points: NDArray[np.float32]) -> None:
    guide = make_guide(Guide(parts=("eye_g",)), points, SIZE, labels())
    assert not guide.mask.any() and guide.origin["from"] == "labels"


@pytest.mark.parametrize("drawn", [None, labels(known=frozenset({"nose", "hair"}))])
def test_missing_is_rejected_outlined_or_empty(drawn: LabelMap | None, points: NDArray[np.float32]) -> None:
    def make(missing: Any) -> Any:
        return make_guide(Guide(attribute="Smiling", missing=missing), points, SIZE, drawn)

    with pytest.raises(PhotoError, match=r"u_lip, mouth, l_lip.*`missing`") as caught:
        make("reject")
    assert caught.value.code == "no_labels"
    empty = make("empty")
    assert not empty.mask.any() and empty.origin["from"] == "empty"
    outlined = make("landmarks")
    expected = np.logical_or.reduce([landmark_mask(points, part, SIZE) for part in ("u_lip", "mouth", "l_lip")])
    assert ((outlined.mask == 255) == expected).all()
    assert outlined.origin["from"] == "landmarks" and outlined.origin["label_order"] is None
    assert outlined.origin["landmark_regions"] == ["u_lip", "mouth", "l_lip"]


def test_one_unknown_part_makes_all_of_it_missing(points: NDArray[np.float32]) -> None:
    drawn = labels(frozenset({"nose"}), nose=np.s_[0:9, 0:9])
    with pytest.raises(PhotoError, match="mouth"):
        make_guide(Guide(parts=("nose", "mouth")), points, SIZE, drawn)
    assert make_guide(Guide(parts=("nose",)), points, SIZE, drawn).mask.sum() == 81 * 255


def test_the_lower_face_is_always_outlined(points: NDArray[np.float32]) -> None:
    alone = make_guide(Guide(parts=("lower_face",)), points, SIZE, None)
    lower = landmark_mask(points, "lower_face", SIZE)
    assert ((alone.mask == 255) == lower).all() and alone.origin["from"] == "landmarks"
    drawn = labels(hair=np.s_[0:20, :])
    both = make_guide(Guide(parts=("hair", "lower_face")), points, SIZE, drawn)
    assert ((both.mask == 255)[20:] == lower[20:]).all() and (both.mask[:20] == 255).all()
    assert (both.origin["from"], both.origin["landmark_regions"]) == ("labels", ["lower_face"])
    empty = make_guide(Guide(parts=("hair", "lower_face"), missing="empty"), points, SIZE, None)
    assert not empty.mask.any()


def test_only_parts_need_their_files() -> None:
    assert list(needed_parts(Guide(parts=("hair", "lower_face")))) == ["hair"]


@given(radius=st.floats(0, 12), x=st.integers(0, 40), y=st.integers(0, 40))
def test_growing_is_by_a_disc(radius: float, x: int, y: int) -> None:
    mask = np.zeros((41, 41), np.bool_)
    mask[y, x] = True
    rows, columns = np.mgrid[:41, :41]
    away = np.hypot(rows - y, columns - x)
    grown = dilate_and_soften(mask, radius, 0) == 255
    sure = np.abs(away - radius) > 1e-3
    assert (grown == (away <= radius))[sure].all()


def test_softening_keeps_the_mass_and_the_edge() -> None:
    mask = np.zeros((60, 60), np.bool_)
    mask[20:40, 20:40] = True
    soft = dilate_and_soften(mask, 0, 2.0)
    assert soft.astype(float).sum() / 255 == pytest.approx(400, rel=0.02)
    assert 90 < soft[30, 19] < 128 < soft[30, 20] < 165
    assert soft[30, 30] == 255 and soft[30, 5] == 0
    assert len(np.unique(soft)) > 20
    assert not dilate_and_soften(np.zeros((9, 9), np.bool_), 5, 1).any()


def test_iou() -> None:
    one, other = np.zeros((10, 10), np.bool_), np.zeros((10, 10), np.bool_)
    assert iou(one, other) == 1.0
    one[:4], other[2:6] = True, True
    assert iou(one, other) == pytest.approx(2 / 6)
    assert iou(one.astype(np.uint8) * 255, other) == pytest.approx(2 / 6)
    assert iou(one, ~one) == 0


def test_covered_share() -> None:
    guide, mask = np.zeros((10, 10), np.uint8), np.zeros((10, 10), np.uint8)
    assert covered_share(guide, mask) is None
    guide[2:6], mask[3:], mask[4] = 255, 255, 127
    assert covered_share(guide, mask) == 0.5
    assert covered_share(guide, np.ones((10, 10), np.bool_)) == 1.0
