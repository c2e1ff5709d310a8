"""Masks on heads that are turned far: the cloth follows the nose, and a mask that cannot is refused."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from faceloom.schemas.errors import PhotoError
from faceloom.transforms.geometry import apply_affine, invert
from faceloom.transforms.masks.fit import FaceFit
from faceloom.transforms.masks.raster import silhouette
from faceloom.transforms.types import Outline

NEAR_PROFILE = 0.7
"""Yaw in radians (40 degrees) from which the nose, and no longer the far cheek, is the edge of the face."""
MOST_BEYOND = 0.15
"""Reach of a mask beyond nose, lips and far cheek of a near-profile, in eye distances."""
_FRONT = (*range(27, 36), *range(48, 60))


def reach_beyond(outline: Outline, landmarks: NDArray[np.floating], fit: FaceFit) -> float:
    """How far a mask reaches beyond the face on the side to which the head is turned, in eye distances.

    Args:
        outline: the mask as worn, mask frame (N, 2).
        landmarks: (68, 2) in pixels.
        fit: of the mask.
    """
    side, to_mask = math.copysign(1, fit.yaw), invert(fit.matrix)
    far = range(8, 17) if side > 0 else range(9)
    face = apply_affine(to_mask, np.asarray(landmarks, np.float64)[[*_FRONT, *far]])
    top, bottom = float(outline[:, 1].min()), float(outline[:, 1].max())
    mask = apply_affine(to_mask, np.concatenate(silhouette(outline, fit, top + 0.02, bottom - 0.02)))
    return float((side * mask[:, 0]).max() - (side * face[:, 0]).max())


def refuse_bulge(outline: Outline, landmarks: NDArray[np.floating], fit: FaceFit) -> None:
    """Refuse a mask that stands out from the nose of a near-profile.

    Raises:
        PhotoError: `mask_folds`.
    """
    if abs(fit.yaw) < NEAR_PROFILE:
        return
    beyond = reach_beyond(outline, landmarks, fit)
    if not beyond <= MOST_BEYOND:
        remedy = "Limit the turn of heads by `faces: {max_yaw: 45}`"
        what = "the head is turned so far that the mask would stand out from its nose"
        raise PhotoError("mask_folds", what, value=f"{beyond:.2f} eye distances", remedy=remedy)
