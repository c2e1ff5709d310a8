"""Guide masks: the union of the face parts that a recipe names, dilated and softened; and their comparison."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import JsonValue

from faceloom.schemas.errors import PhotoError
from faceloom.schemas.guide import PARTS, Guide
from faceloom.transforms.guide.label_map import Bits, LabelMap, mask_of
from faceloom.transforms.guide.outlines import landmark_mask
from faceloom.transforms.mirror import mirrored
from faceloom.transforms.types import BoolMask, Mask, Points, Size

AnyMask = Mask | BoolMask


@dataclass(frozen=True, eq=False)
class GuideMask:
    """A guide mask and what it was made from.

    Attributes:
        mask: uint8 (H, W), 0..255; only 0 and 255 unless softened.
        origin: as JSON: `attribute` (or null), `regions`, `from` (`labels`, `parser`, `landmarks` or `empty`),
            `label_order` (or null), `landmark_regions` (those made from landmarks), `dilate`, `soften`, and `share` of
            the picture.
    """

    mask: Mask
    origin: dict[str, JsonValue]


def make_guide(
    guide: Guide,
    landmarks: Points | None,
    size: Size,
    labels: LabelMap | None,
    bits: Bits | None = None,
    *,
    flipped: bool = False,
) -> GuideMask:
    """Make the guide mask of one crop.

    Parts come from the labels if there are any, and otherwise as `guide.missing` specifies. `lower_face` has no
    label and always comes from the landmarks. A part that the labels define but do not show adds nothing.

    Args:
        guide: of the recipe.
        landmarks: (68, 2) in pixels of the crop; None if there are none.
        size: (width, height) of the crop.
        labels: of the photo; None if it has none.
        bits: the photo's labels in the crop, from `warp_labels`; `labels.bits` if not given.
        flipped: whether the crop will be flipped left to right, mask included; each part then has the side that it
            has afterwards.

    Raises:
        PhotoError: `no_labels`, if the labels, or one part that they do not know, are missing and the recipe asks
            `missing: reject`. `no_landmarks`, if the guide is to be made from landmarks, and there are none.
    """
    regions = mirrored(guide.regions) if flipped else guide.regions
    parts = [region for region in regions if region in PARTS]
    outlined = [region for region in regions if region not in PARTS]
    known = labels.known if labels is not None else frozenset[str]()
    source: str = "labels" if labels is None else labels.made_by
    if not parts or not known.issuperset(parts):
        source = guide.missing if parts else "landmarks"
        if source == "reject":
            lacking = ", ".join(part for part in parts if part not in known)
            raise PhotoError(
                "no_labels", "the label files lack parts that the guide needs", value=lacking,
                remedy="Set `missing` of the recipe's guide to landmarks or empty, or use a source with part maps",
            )  # fmt: skip
        if source == "landmarks":
            outlined, parts = [*parts, *outlined], []
        else:
            outlined, parts = [], []
    mask = np.zeros(size[::-1], np.bool_)
    if parts and labels is not None:
        mask |= mask_of(labels.bits if bits is None else bits, parts)
    for region in outlined:
        if landmarks is None:
            raise PhotoError(
                "no_landmarks", "the guide is made from landmarks, and the face has no trusted ones", value=region
            )
        mask |= landmark_mask(landmarks, region, size)
    finished = dilate_and_soften(mask, guide.dilate, guide.soften)
    origin: dict[str, JsonValue] = {
        "attribute": guide.attribute,
        "regions": list(guide.regions),
        "from": source,
        "label_order": labels.order if parts and labels is not None else None,
        "landmark_regions": list(mirrored(outlined) if flipped else outlined),
        "dilate": guide.dilate,
        "soften": guide.soften,
        "share": round(float((finished >= 128).mean()), 6),
    }
    return GuideMask(finished, origin)


def dilate_and_soften(mask: BoolMask, dilate: float, soften: float) -> Mask:
    """Grow a mask by a disc of `dilate` pixels and blur its edge with a deviation of `soften` pixels: uint8 (H, W)."""
    import cv2

    if dilate > 0 and mask.any():
        away = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        mask = away <= dilate
    grey = mask.astype(np.uint8) * np.uint8(255)
    if soften > 0:
        grey = np.asarray(cv2.GaussianBlur(grey, (0, 0), soften, borderType=cv2.BORDER_REPLICATE), np.uint8)
    return grey


def iou(one: AnyMask, other: AnyMask) -> float:
    """Intersection over union of two masks, 0..1; two empty ones agree. Grey counts from 128 on."""
    first, second = _binary(one), _binary(other)
    union = int((first | second).sum())
    return int((first & second).sum()) / union if union else 1.0


def covered_share(guide: Mask, mask: AnyMask) -> float | None:
    """How much of a guide a painted mask covers, 0..1; None where the guide is empty. Grey counts from 128 on."""
    wanted = _binary(guide)
    total = int(wanted.sum())
    return int((wanted & _binary(mask)).sum()) / total if total else None


def _binary(mask: AnyMask) -> BoolMask:
    return np.asarray(mask if mask.dtype == np.bool_ else mask >= 128)


def needed_parts(guide: Guide, *, both_sides: bool = False) -> Sequence[str]:
    """The parts whose label files a guide needs, if asked those of the other side too; others need not be decoded."""
    regions = dict.fromkeys((*guide.regions, *(mirrored(guide.regions) if both_sides else ())))
    return [region for region in regions if region in PARTS]
