"""Alpha compositing."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from faceloom.transforms.types import Coverage, Image, Region


def alpha_over(
    image: Image,
    colour: npt.ArrayLike,
    alpha: Coverage,
    *,
    region: Region | None = None,
) -> Image:
    """Composite a colour or a picture over an image: image * (1 - alpha) + colour * alpha, rounded.

    Args:
        image: uint8 (H, W, 3), RGB; not changed.
        colour: one RGB triple 0..255, or a picture, uint8 (H, W, 3).
        alpha: float32 (H, W), 0..1.
        region: contains all pixels with alpha above 0; computed by default.

    Returns:
        uint8 (H, W, 3), RGB. Pixels with alpha 0 are bit-identical to `image`.
    """
    import cv2

    result = image.copy()
    region = region or covered_region(alpha)
    if region is None:
        return result
    window = region.slices
    weight, below = alpha[window], np.ascontiguousarray(image[window])
    paint = np.asarray(colour, np.uint8)
    if paint.ndim == 1:
        cv2.rectangle(sheet := np.empty_like(below), (0, 0), below.shape[1::-1], paint.tolist(), cv2.FILLED)
    else:
        sheet = np.ascontiguousarray(paint[window])
    # OpenCV divides by 1.00001 times the sum of the weights; the change is below half a level, so 0 and 1 are exact.
    result[window] = cv2.blendLinear(sheet, below, np.ascontiguousarray(weight), 1 - weight)
    return result


def covered_region(alpha: Coverage) -> Region | None:
    """The smallest region with all pixels of alpha above 0; None if there are none."""
    import cv2

    left, top, width, height = cv2.boundingRect((alpha > 0).view(np.uint8))
    return Region(left, top, left + width, top + height) if width else None
