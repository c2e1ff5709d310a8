"""Outlines of face parts from the 68 landmarks, for photos without label files."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from faceloom.schemas.errors import PhotoError, RecipeError
from faceloom.schemas.guide import LANDMARK_REGIONS
from faceloom.transforms.align import five_points
from faceloom.transforms.masks.polygon import fill_outline
from faceloom.transforms.types import BoolMask, Outline, Points, Size

HALF = 0.5
"""Coverage from which a pixel belongs to a part."""

# All lengths are in eye distances, chosen by eye on faces with hand-drawn parts and rounded.
BROW_ABOVE, BROW_BELOW, BROW_TAPER = 0.02, 0.11, (0.3, 1.0, 1.0, 1.0, 0.75)
"""What a brow's hair reaches above and below its line of landmarks, and how much of that from its outer to its inner
end."""
BRIDGE, WING, WING_ABOVE = 0.11, 0.09, 0.09
"""Half the width of the nose at landmark 27, and how far its wings stand out beside and above landmarks 31 and 35."""
EYE_WIDER, MOUTH_WIDER = 1.04, 1.08
"""Hand-drawn eyes and open mouths are wider than their landmarks."""
LIP_EDGE = 0.02
"""How far the upper lip reaches above its landmarks, and the open mouth up between the lips."""
FOREHEAD = 0.6
"""Height of the hairline above the middle of the upper jaw, in heights of the face from brows to chin."""


class _Head(NamedTuple):
    """Directions along the eyes and down the face, both one eye distance long."""

    across: Points
    down: Points


def outline_of(landmarks: Points, region: str) -> Outline:
    """The outline (N, 2) of one part or region, in the frame of the landmarks.

    `l_` and `r_` are the person's own sides, as in CelebAMask-HQ: `l_eye` is made of landmarks 42 to 47, right in the
    picture. `skin` is the whole face with what lies in it, as in part files.

    Args:
        landmarks: (68, 2), iBUG order.
        region: one of `LANDMARK_REGIONS`.

    Raises:
        RecipeError: landmarks do not describe this part, such as hair.
        PhotoError: `degenerate_points`, if the eyes coincide.
    """
    if region not in LANDMARK_REGIONS:
        raise RecipeError("this part has no outline in the landmarks", where="$.guide.parts", value=region)
    p = landmarks.astype(np.float64)
    right, left = five_points(p)[:2]  # as the picture has it: the person's right eye is left
    across = left - right
    head = _Head(across, np.array([-across[1], across[0]]))
    match region:
        case "l_eye":
            return _wider(p[42:48], EYE_WIDER, head)
        case "r_eye":
            return _wider(p[36:42], EYE_WIDER, head)
        case "l_brow":
            return _brow(p[26:21:-1], head)
        case "r_brow":
            return _brow(p[17:22], head)
        case "nose":
            return _nose(p, head)
        case "mouth":
            inner = _wider(p[60:68], MOUTH_WIDER, head)
            inner[1:4] -= head.down * LIP_EDGE
            return inner
        case "u_lip":
            return np.concatenate([p[48:49], p[49:54] - head.down * LIP_EDGE, p[[54, 64, 63, 62, 61, 60]]])
        case "l_lip":
            return p[[54, 55, 56, 57, 58, 59, 48, 60, 67, 66, 65, 64]]
        case "lower_face":
            return p[[*range(2, 15), 35, 34, 33, 32, 31]]
        case _:
            return _skin(p, head)


def _wider(points: Points, factor: float, head: _Head) -> Outline:
    """Points stretched along the eyes, about their middle."""
    centre = points.mean(axis=0)
    along = (points - centre) @ head.across / _square(head.across)
    return np.asarray(points + (factor - 1) * along[:, None] * head.across)


def _square(distance: Points) -> float:
    """Square of the eye distance."""
    square = float(distance @ distance)
    if not 0 < square < math.inf:
        raise PhotoError("degenerate_points", "the eyes coincide, so parts of the face have no outline")
    return square


def _brow(line: Points, head: _Head) -> Outline:
    """A brow from its five landmarks, the outer end first."""
    thick = np.array(BROW_TAPER)[:, None] * head.down
    return np.concatenate([line - BROW_ABOVE * thick, (line + BROW_BELOW * thick)[::-1]])


def _nose(p: Points, head: _Head) -> Outline:
    across, down = head
    top = p[27] - 0.05 * down
    corners = [top - BRIDGE * across, top + BRIDGE * across, p[35] + WING * across - WING_ABOVE * down]
    corners += [p[35] + 0.8 * WING * across, p[34], p[33], p[32], p[31] - 0.8 * WING * across]
    return np.array([*corners, p[31] - WING * across - WING_ABOVE * down])


def _skin(p: Points, head: _Head) -> Outline:
    """The jaw and half an ellipse above it, because landmarks do not show the hairline."""
    middle, half = (p[0] + p[16]) / 2, (p[16] - p[0]) / 2
    height = FOREHEAD * float(np.linalg.norm(p[17:27].mean(axis=0) - p[8]))
    up = -head.down / math.sqrt(_square(head.down)) * height
    turn = np.linspace(0, np.pi, 17)[1:-1, None]
    return np.concatenate([p[:17], middle + 0.95 * np.cos(turn) * half + np.sin(turn) * up])


def landmark_mask(landmarks: Points, region: str, size: Size) -> BoolMask:
    """Which pixels belong to a region by the landmarks: bool (height, width).

    Args:
        landmarks: (68, 2) in pixels of the picture.
        region: see `outline_of`, whose errors it shares.
        size: (width, height) of the picture.
    """
    return np.asarray(fill_outline(outline_of(landmarks, region), size[::-1]) >= HALF)
