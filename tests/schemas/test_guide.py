from __future__ import annotations

from typing import Any, get_args

import pytest
from pydantic import ValidationError

from faceloom.schemas.guide import (
    ATTRIBUTE_PARTS,
    ATTRIBUTES_WITHOUT_PARTS,
    LABEL_ORDERS,
    LANDMARK_REGIONS,
    PARTS,
    Guide,
    Region,
)

NAMES = """5_o_Clock_Shadow Arched_Eyebrows Attractive Bags_Under_Eyes Bald Bangs Big_Lips Big_Nose Black_Hair
Blond_Hair Blurry Brown_Hair Bushy_Eyebrows Chubby Double_Chin Eyeglasses Goatee Gray_Hair Heavy_Makeup High_Cheekbones
Male Mouth_Slightly_Open Mustache Narrow_Eyes No_Beard Oval_Face Pale_Skin Pointy_Nose Receding_Hairline Rosy_Cheeks
Sideburns Smiling Straight_Hair Wavy_Hair Wearing_Earrings Wearing_Hat Wearing_Lipstick Wearing_Necklace Wearing_Necktie
Young"""
CELEBA = NAMES.split()


def test_every_attribute_of_celeba_has_parts_or_a_reason() -> None:
    assert len(CELEBA) == 40
    assert sorted([*ATTRIBUTE_PARTS, *ATTRIBUTES_WITHOUT_PARTS]) == sorted(CELEBA)
    assert not set(ATTRIBUTE_PARTS) & set(ATTRIBUTES_WITHOUT_PARTS)


@pytest.mark.parametrize("attribute", ATTRIBUTE_PARTS)
def test_parts_of_an_attribute_exist_once(attribute: str) -> None:
    parts = ATTRIBUTE_PARTS[attribute]
    assert parts and set(parts) <= set(PARTS) and len(set(parts)) == len(parts)
    assert Guide(attribute=attribute).regions == parts


@pytest.mark.parametrize("attribute", ATTRIBUTES_WITHOUT_PARTS)
def test_an_attribute_without_parts_is_refused_with_the_reason(attribute: str) -> None:
    with pytest.raises(ValidationError, match=ATTRIBUTES_WITHOUT_PARTS[attribute]):
        Guide(attribute=attribute)
    assert Guide(attribute=attribute, parts=("skin",)).regions == ("skin",)


def test_the_guide_of_the_paper() -> None:
    assert set(Guide(attribute="Mouth_Slightly_Open").regions) == {"u_lip", "mouth", "l_lip"}


def test_both_orders_name_the_same_parts() -> None:
    assert len(PARTS) == 18
    assert all(sorted(order) == sorted(PARTS) for order in LABEL_ORDERS.values())
    ours, other = LABEL_ORDERS["celebamask_hq"], LABEL_ORDERS["face_parsing"]
    assert (ours[0], ours[9], ours[17]) == ("skin", "mouth", "cloth")
    assert (other[0], other[1], other[9], other[17]) == ("skin", "l_brow", "nose", "hat")


def test_regions_are_the_parts_and_the_lower_face() -> None:
    assert get_args(Region) == (*PARTS, "lower_face")
    assert set(LANDMARK_REGIONS) < set(get_args(Region))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({}, "an attribute, such as Mouth_Slightly_Open, or a list of parts"),
        ({"attribute": "Smilling"}, "'Smilling' is no CelebA attribute; allowed: .*Smiling"),
        ({"parts": ("lip",)}, "u_lip"),
        ({"parts": ("nose", "nose")}, "named twice"),
        ({"attribute": "Bangs", "missing": "landmarks"}, "cannot show hair"),
        ({"parts": ("nose", "l_ear", "neck"), "missing": "landmarks"}, "cannot show l_ear, neck"),
        ({"parts": ("nose",), "dilate": -1.0}, "greater than or equal to 0"),
        ({"parts": ("nose",), "missing": "guess"}, "reject"),
        ({"part": ("nose",)}, "did you mean 'parts'"),
    ],
)
def test_what_makes_no_sense_is_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Guide.model_validate(wrong, strict=True)


def test_parts_in_the_recipe_override_the_table() -> None:
    guide = Guide.model_validate({"attribute": "Smiling", "parts": ("mouth",), "missing": "landmarks"}, strict=True)
    assert guide.regions == ("mouth",)


def test_settings_are_what_decides_the_guide() -> None:
    by_name = Guide(attribute="Big_Nose", dilate=2.0)
    assert by_name.settings == {
        "attribute": "Big_Nose", "regions": ["nose"], "dilate": 2.0, "soften": 0.0, "missing": "reject"
    }  # fmt: skip
    assert Guide(attribute="Big_Nose", dilate=2.0, parts=("nose",)).settings == by_name.settings
    others = [
        Guide(parts=("nose",), dilate=2.0),
        Guide(attribute="Pointy_Nose", dilate=2.0),
        Guide(attribute="Big_Nose"),
    ]
    assert all(other.settings != by_name.settings for other in others), "samples record the attribute"
