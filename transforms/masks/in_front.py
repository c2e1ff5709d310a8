"""What stays in front of a painted mask: hair, hat and glasses, and what a face holds before its nose and mouth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from faceloom.schemas.guide import Part
from faceloom.transforms.guide.label_map import OTHER, Bits, bit_of, mask_of
from faceloom.transforms.masks.composite import covered_region
from faceloom.transforms.masks.painted import PaintedMask
from faceloom.transforms.types import BoolMask, Coverage, Grey, Image, Points

COVERED = 0.2
"""Share of nose and mouth from which a face is occluded."""
_REACHES = 0.1
"""Share of nose and mouth that a thing covers at least, if it counts at all; less is a fault of the labels."""
_AROUND = 0.15
"""How far beyond the outline of a face a thing is followed, in sizes of the face; straps and edges reach there."""
_LABELLED = 0.2
"""Share of a face that has labels at least, if they concern this face; label maps often show one person of several."""
_BESIDE: tuple[Part, ...] = (
    "skin", "nose", "eye_g", "l_eye", "r_eye", "l_brow", "r_brow", "l_ear", "r_ear", "mouth", "u_lip", "l_lip", "hair",
    "hat", "ear_r", "neck_l", "neck",
)  # fmt: skip
"""Parts that cover no face: all but clothes."""
_SHOWN: tuple[Part, ...] = ("skin", "nose", "mouth", "u_lip", "l_lip")
PARTS_IN_FRONT: tuple[Part, ...] = (*_SHOWN, "hair", "hat", "eye_g")
"""Parts whose files are needed to know what is in front."""
_CORE = (*range(29, 36), *range(48, 60))
_INNER = (*range(31, 36), *range(48, 60), *range(6, 11))
_FACE = (*range(17), *range(17, 27))


@dataclass(frozen=True, eq=False)
class InFront:
    """What stays in front of the masks of a face.

    Attributes:
        share: uint8 (H, W), 0 to 255, of each pixel; None if nothing does.
        occluded: share of nose and mouth that something covers, 0..1; None if the labels cannot show it.
    """

    share: Grey | None
    occluded: float | None


def find_in_front(
    bits: Bits, known: frozenset[str], landmarks: Points, parts: Sequence[Part], soft: float = 0.8
) -> InFront:
    """Find what stays in front of the masks of a face.

    Hair counts where it hangs down from the head: beards, and hair over mouth and chin, are below the cloth. Clothes
    and background count if they cover a part of nose or mouth; what has another name, such as teeth, never does.

    Args:
        bits: labels of the picture.
        known: parts that the labels define.
        landmarks: (68, 2) in pixels of the picture.
        parts: those that stay in front.
        soft: standard deviation of the blur of its edge, pixels.
    """
    import cv2

    front = mask_of(bits, [part for part in parts if part != "hair"])
    if "hair" in parts:
        front |= _hanging(mask_of(bits, ["hair"]), landmarks)
    occluded = None
    core, face = _hull(landmarks[list(_CORE)], bits.shape), _hull(landmarks[list(_FACE)], bits.shape)
    if known.issuperset(_SHOWN) and (face & mask_of(bits, _SHOWN)).sum() > _LABELLED * face.sum():
        unlabelled = (bits & np.uint32(OTHER | sum(map(bit_of, _BESIDE)))) == 0
        things = face & unlabelled
        area = max(1, int(core.sum()))
        occluded = int((things & core).sum()) / area
        if occluded > _REACHES:
            _, numbers = cv2.connectedComponents(things.view(np.uint8))
            reached = np.bincount(numbers[core & things], minlength=numbers.max() + 1) > _REACHES * area
            thing = things & reached[numbers]
            if thing.any():
                far = cv2.distanceTransform((~thing).view(np.uint8), cv2.DIST_L2, 3)
                front |= unlabelled & (far < _AROUND * float(np.ptp(landmarks[list(_FACE)], axis=0).max()))
    if not front.any():
        return InFront(None, occluded)
    share = np.asarray(cv2.GaussianBlur(front.view(np.uint8) * np.uint8(255), (0, 0), soft), np.uint8)
    return InFront(share, occluded)


def _hull(points: Points, shape: tuple[int, ...]) -> BoolMask:
    import cv2

    drawn = np.zeros(shape, np.uint8)
    cv2.fillConvexPoly(drawn, cv2.convexHull(np.rint(points).astype(np.int32)), 1)
    return drawn.view(np.bool_)


def _hanging(hair: BoolMask, landmarks: Points) -> BoolMask:
    """Hair that is joined to hair beside or above the eyes, without what lies over mouth and chin."""
    import cv2

    if not hair.any():
        return hair
    hair = hair & ~_hull(landmarks[list(_INNER)], hair.shape)
    count, numbers = cv2.connectedComponents(hair.view(np.uint8))
    # Above the line through the ends of the jaw, whatever the tilt of the head.
    x, y, to_x, to_y = landmarks[[0, 16]].ravel().tolist()
    rows, columns = np.arange(hair.shape[0])[:, None], np.arange(hair.shape[1])
    above = (columns - x) * (to_y - y) > (rows - y) * (to_x - x)
    joined = np.bincount(numbers[hair & above], minlength=count) > 0
    joined[0] = False
    kept: BoolMask = joined[numbers]
    return kept


def put_in_front(photo: Image, painted: PaintedMask, share: Grey) -> PaintedMask:
    """Put what is in front of a face back over its painted mask. Pixels with a share of 255 are those of the photo.

    Args:
        photo: uint8 (H, W, 3), RGB, before the mask was painted.
        painted: the mask; its truth loses what is hidden.
        share: uint8 (H, W), from `find_in_front`.
    """
    import cv2

    touched: Coverage = (painted.image != photo).any(axis=2).astype(np.float32)
    region = covered_region(touched * share)
    hidden = 0.0
    image, alpha, straps = painted.image, painted.alpha, painted.straps
    if region is not None:
        window = region.slices
        front = share[window].astype(np.float32) * np.float32(1 / 255)
        behind = 1 - front
        image, alpha = image.copy(), alpha.copy()
        image[window] = cv2.blendLinear(
            np.ascontiguousarray(photo[window]), np.ascontiguousarray(image[window]), front, behind
        )
        alpha[window] *= behind
        hidden = 1 - float(alpha.sum()) / max(1e-6, float(painted.alpha.sum()))
        if straps is not None:
            straps = straps.copy()
            straps[window] *= behind
    parameters = {**painted.parameters, "in_front": round(hidden, 4)}
    return replace(painted, image=image, alpha=alpha, straps=straps, parameters=parameters)
