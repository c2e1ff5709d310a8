"""Guide masks in a recipe: the parts of a face that they show, and the handling of photos without part maps."""

from __future__ import annotations

from typing import Any, Literal, get_args

from pydantic import Field, model_validator

from faceloom.schemas.base import Model

Part = Literal[
    "skin", "nose", "eye_g", "l_eye", "r_eye", "l_brow", "r_brow", "l_ear", "r_ear",
    "mouth", "u_lip", "l_lip", "hair", "hat", "ear_r", "neck_l", "neck", "cloth",
]  # fmt: skip
Region = Literal[
    "skin", "nose", "eye_g", "l_eye", "r_eye", "l_brow", "r_brow", "l_ear", "r_ear",
    "mouth", "u_lip", "l_lip", "hair", "hat", "ear_r", "neck_l", "neck", "cloth", "lower_face",
]  # fmt: skip
"""A part, or `lower_face`, which is always made from landmarks."""

PARTS: tuple[Part, ...] = get_args(Part)
"""The 18 parts of CelebAMask-HQ in its own label order, 1 to 18. `l_` and `r_` are the person's own left and right, so
`l_eye` lies right in the picture; `eye_g` glasses, `ear_r` earring, `neck_l` necklace, `u_lip` and `l_lip` upper and
lower lip, `mouth` the area between them."""

LABEL_ORDERS: dict[str, tuple[str, ...]] = {
    "celebamask_hq": PARTS,
    "face_parsing": (
        "skin", "l_brow", "r_brow", "l_eye", "r_eye", "eye_g", "l_ear", "r_ear", "ear_r",
        "nose", "mouth", "u_lip", "l_lip", "neck", "neck_l", "cloth", "hair", "hat",
    ),
}  # fmt: skip
"""Meaning of the values 1, 2, … of a flattened label map, in the two common orders; 0 is background."""
MOST_NAMES = 255
"""Names of a label order at most: a label map has one byte for each pixel."""

LANDMARK_REGIONS: tuple[Region, ...] = (
    "skin", "nose", "l_eye", "r_eye", "l_brow", "r_brow", "mouth", "u_lip", "l_lip", "lower_face",
)  # fmt: skip
"""Parts that 68 landmarks can show."""

_BROWS: tuple[Part, ...] = ("l_brow", "r_brow")
_EYES: tuple[Part, ...] = ("l_eye", "r_eye")
_LIPS: tuple[Part, ...] = ("u_lip", "l_lip")
_MOUTH: tuple[Part, ...] = ("u_lip", "mouth", "l_lip")

ATTRIBUTE_PARTS: dict[str, tuple[Part, ...]] = {
    "5_o_Clock_Shadow": ("skin",),
    "Arched_Eyebrows": _BROWS,
    "Bags_Under_Eyes": ("skin",),
    "Bald": ("skin", "hair"),
    "Bangs": ("hair",),
    "Big_Lips": _LIPS,
    "Big_Nose": ("nose",),
    "Black_Hair": ("hair",),
    "Blond_Hair": ("hair",),
    "Brown_Hair": ("hair",),
    "Bushy_Eyebrows": _BROWS,
    "Chubby": ("skin", "neck"),
    "Double_Chin": ("skin", "neck"),
    "Eyeglasses": ("eye_g", *_EYES),
    "Goatee": ("skin",),
    "Gray_Hair": ("hair",),
    "Heavy_Makeup": ("skin", *_EYES, *_BROWS, *_LIPS),
    "High_Cheekbones": ("skin",),
    "Mouth_Slightly_Open": _MOUTH,
    "Mustache": ("skin",),
    "Narrow_Eyes": _EYES,
    "No_Beard": ("skin",),
    "Oval_Face": ("skin",),
    "Pale_Skin": ("skin", "nose", "l_ear", "r_ear", "neck"),
    "Pointy_Nose": ("nose",),
    "Receding_Hairline": ("skin", "hair"),
    "Rosy_Cheeks": ("skin",),
    "Sideburns": ("skin", "hair"),
    "Smiling": _MOUTH,
    "Straight_Hair": ("hair",),
    "Wavy_Hair": ("hair",),
    "Wearing_Earrings": ("ear_r", "l_ear", "r_ear"),
    "Wearing_Hat": ("hat", "hair"),
    "Wearing_Lipstick": _LIPS,
    "Wearing_Necklace": ("neck_l", "neck"),
    "Wearing_Necktie": ("cloth",),
}
"""The parts in which each CelebA attribute shows, as MSaGAN (2020) has it for Mouth_Slightly_Open. Parts that
may be absent (glasses, hat) include the part under them, so that faces without them have a guide too. The data set
labels both beard and cheeks as `skin`."""

ATTRIBUTES_WITHOUT_PARTS: dict[str, str] = {
    "Attractive": "it rates the whole face, not a part",
    "Blurry": "it describes the picture, not the face",
    "Male": "it describes the whole person, and every part may show it",
    "Young": "age shows in every part",
}
"""CelebA attributes without parts, and the reason."""


class Guide(Model):
    """A mask of the parts of the face in which an attribute shows (MSaGAN 2020)."""

    attribute: str | None = Field(
        default=None,
        description="a CelebA attribute, such as `Mouth_Slightly_Open`; its parts follow from a table",
    )
    parts: tuple[Region, ...] = Field(
        default=(),
        description="the parts of the mask, instead of those of the attribute; `lower_face` comes from landmarks",
    )
    dilate: float = Field(default=0.0, ge=0, le=256, description="growth of the mask, in pixels of the crop")
    soften: float = Field(
        default=0.0,
        ge=0,
        le=64,
        description="standard deviation of the blur of its edge, in pixels of the crop; 0 leaves it 0 or 255",
    )
    missing: Literal["reject", "landmarks", "empty"] = Field(
        default="reject",
        description="a photo without part maps is rejected, gets a mask from its landmarks, or an empty mask",
    )

    @model_validator(mode="after")
    def _parts_are_known(self) -> Guide:
        name = self.attribute
        if name is None and not self.parts:
            raise ValueError("a guide needs an attribute, such as Mouth_Slightly_Open, or a list of parts")
        if name is not None and name not in ATTRIBUTE_PARTS:
            if name not in ATTRIBUTES_WITHOUT_PARTS:
                raise ValueError(f"'{name}' is no CelebA attribute; allowed: {', '.join(ATTRIBUTE_PARTS)}")
            if not self.parts:
                raise ValueError(f"'{name}' has no parts: {ATTRIBUTES_WITHOUT_PARTS[name]}; name parts yourself")
        if len(set(self.parts)) < len(self.parts):
            raise ValueError("a part is named twice")
        if self.missing == "landmarks" and (beyond := sorted(set(self.regions) - set(LANDMARK_REGIONS))):
            raise ValueError(f"`missing: landmarks` cannot show {', '.join(beyond)}; 68 landmarks do not reach there")
        return self

    @property
    def regions(self) -> tuple[Region, ...]:
        """The parts of the guide, which is their union."""
        return self.parts or ATTRIBUTE_PARTS[self.attribute or ""]

    @property
    def settings(self) -> dict[str, Any]:
        """All values that decide the guide of a face and its record, as JSON."""
        return {**self.model_dump(mode="json", exclude={"parts"}), "regions": list(self.regions)}
