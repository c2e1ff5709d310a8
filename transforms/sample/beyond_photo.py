"""Room for a mask beyond the photo, so that it does not end in a straight line at the photo's edge."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from faceloom.transforms.geometry import apply_affine, compose, invert, translate
from faceloom.transforms.sample.working import Working
from faceloom.transforms.types import Size


def extended(working: Working, size: Size) -> Working:
    """The working picture of a crop that reaches beyond the photo, with the photo's mirror image around it.

    Its mask is painted where the head would be; what lies under it is of no use but for the mask's own light.

    Args:
        working: the picture of a face.
        size: (width, height) of the crop.

    Returns:
        A picture that holds the whole crop. Landmarks, box, matrix and what is in front are moved with it; five points
        and the photo of a pair are left out.
    """
    import cv2

    height, width = working.image.shape[:2]
    right, bottom = size[0] - 0.5, size[1] - 0.5
    crop = np.array([(-0.5, -0.5), (right, -0.5), (right, bottom), (-0.5, bottom)])
    corners = apply_affine(invert(working.matrix), crop)
    low, high = corners.min(axis=0).tolist(), corners.max(axis=0).tolist()
    left, above = (max(0, math.ceil(-edge)) + 1 for edge in low)
    beside, below = (max(0, math.ceil(edge - limit)) + 1 for edge, limit in zip(high, (width, height), strict=True))
    room = above, below, left, beside
    front = working.front
    return replace(
        working,
        image=cv2.copyMakeBorder(working.image, *room, cv2.BORDER_REFLECT_101),
        landmarks=None if working.landmarks is None else working.landmarks + np.array([left, above], np.float32),
        box=working.box.moved(left, above),
        matrix=compose(working.matrix, translate(-left, -above)),
        front=None if front is None else cv2.copyMakeBorder(front, *room, cv2.BORDER_CONSTANT),
        five=None,
        pair=None,
        extended=True,
    )
