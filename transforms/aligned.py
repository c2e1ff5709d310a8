"""Checks whether a picture is an ArcFace crop, by its landmarks or by a detected face."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from faceloom.transforms.align import ARCFACE_POINTS, five_points
from faceloom.transforms.detect import box_for_aligned, detect_at_scale
from faceloom.transforms.types import BoolMask, Grey, Points

SEARCHED_SIDE = 416
"""Longest side of the searched picture: large enough to detect a face that takes a fifth of it."""
LARGEST_ENLARGEMENT = 2.0
"""Limit on the enlargement of a small crop: its face is then large enough for the detector."""
SHAPES = (1.0, 96 / 112)
"""Width by height of ArcFace crops."""


def have_crop_shape(width: npt.NDArray[np.integer], height: npt.NDArray[np.integer]) -> BoolMask:
    """Whether aspect ratios are 1 or 96/112, within 2 %, bool (N,); of widths and heights (N,)."""
    ratio = width / height
    return np.any([np.abs(ratio / shape - 1) <= 0.02 for shape in SHAPES], axis=0)


def template_distance(landmarks: Points, width: int, height: int) -> float:
    """Mean distance of eyes, nose and mouth corners from the ArcFace template, in heights of the picture.

    Args:
        landmarks: (68, 2) in pixels of the picture.
        width, height: of the picture.
    """
    template = ARCFACE_POINTS * (height / 112) + ((width - height) / 2, 0)
    distances = [math.hypot(x, y) for x, y in (five_points(landmarks) - template).tolist()]
    return sum(distances) / len(distances) / height


def template_iou(grey: Grey, detector: Any) -> float | None:
    """IoU (0..1) of a detected face and the usual face box of an ArcFace crop.

    Args:
        grey: uint8 (H, W).
        detector: dlib's frontal face detector.

    Returns:
        The best IoU of all faces; None if no face is found. Nine of ten five-point crops reach 0.7 or more, most
        pictures of CelebA-HQ 0.64, pictures of LFW 0.2 to 0.45.
    """
    height, width = grey.shape
    faces = detect_at_scale(grey, detector, min(LARGEST_ENLARGEMENT, SEARCHED_SIDE / max(width, height)))
    place = box_for_aligned(width, height)
    return max((face.iou(place) for face in faces), default=None)
