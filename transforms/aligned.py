"""Whether a picture is an ArcFace crop: how far its points, or a detected face, lie from where such a crop has them."""

from __future__ import annotations

from typing import Any

import numpy as np

from faceloom.transforms.align import ARCFACE_POINTS, five_points
from faceloom.transforms.detect import box_for_aligned, detect_at_scale
from faceloom.transforms.types import Grey, Points

SEARCHED_SIDE = 416
"""Longest side of what is searched: there a face is seen that takes a fifth of it or more."""
LARGEST_ENLARGEMENT = 2.0
"""Of a small crop: its face is then large enough for the detector."""
SHAPES = (1.0, 96 / 112)
"""Width by height of ArcFace crops."""


def has_crop_shape(width: int, height: int) -> bool:
    """Whether a picture is square, or 96 to 112, to a fiftieth."""
    return any(abs(width / height / shape - 1) <= 0.02 for shape in SHAPES)


def template_distance(landmarks: Points, width: int, height: int) -> float:
    """Mean distance of eyes, nose and mouth corners from their places in an ArcFace crop, in heights of the picture.

    Args:
        landmarks: (68, 2) in pixels of the picture.
        width, height: of the picture.
    """
    template = ARCFACE_POINTS * (height / 112) + ((width - height) / 2, 0)
    return float(np.linalg.norm(five_points(landmarks) - template, axis=1).mean() / height)


def template_iou(grey: Grey, detector: Any) -> float | None:
    """How well a detected face covers the place that it has in an ArcFace crop: intersection over union, 0..1.

    Args:
        grey: uint8 (H, W).
        detector: dlib's frontal face detector.

    Returns:
        Of several faces the best; None if none is seen. Nine of ten crops by the five points come to 0.7 or more,
        most pictures of CelebA-HQ to 0.64, and those of LFW to 0.2 to 0.45.
    """
    height, width = grey.shape
    faces = detect_at_scale(grey, detector, min(LARGEST_ENLARGEMENT, SEARCHED_SIDE / max(width, height)))
    place = box_for_aligned(width, height)
    return max((face.iou(place) for face in faces), default=None)
