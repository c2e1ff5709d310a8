"""Shrinking and enlarging: nearest neighbour, the five filters of F-SKD and AdaFace, and the blur of A-SKD."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from faceloom.transforms.types import Image, Size

FILTERS = ("nearest", "linear", "area", "cubic", "lanczos4")
"""Names of the filters of F-SKD and AdaFace, in a fixed order."""

ASKD_BLUR = (15247, 22184, 25138, 22184, 15247)
"""Weights of A-SKD's vertical blur, in 100,000ths; they add up to 1."""


def nearest_index(from_length: int, to_length: int) -> npt.NDArray[np.intp]:
    """Source pixel of each output pixel: floor(i * from / to), in integers, so without rounding."""
    return np.arange(to_length) * from_length // to_length


def resize(image: npt.NDArray[Any], size: Size, name: str) -> npt.NDArray[Any]:
    """Resize with OpenCV by one of `FILTERS`; only `area` antialiases.

    Args:
        image: (H, W) or (H, W, C), uint8 or float32.
        size: (width, height) of the result.
        name: of the filter; `nearest` is A-SKD's, see `nearest_index`.

    Raises:
        ValueError: the filter is unknown.
    """
    import cv2

    if name == "nearest":
        rows, columns = nearest_index(image.shape[0], size[1]), nearest_index(image.shape[1], size[0])
        return np.ascontiguousarray(image[rows[:, None], columns])
    flags = {
        "linear": cv2.INTER_LINEAR,
        "area": cv2.INTER_AREA,
        "cubic": cv2.INTER_CUBIC,
        "lanczos4": cv2.INTER_LANCZOS4,
    }
    if name not in flags:
        raise ValueError(f"unknown filter: {name}")
    resized: npt.NDArray[Any] = cv2.resize(image, size, interpolation=flags[name])
    return resized


def blur_vertically(image: Image) -> Image:
    """A-SKD's blur (ECCV 2022): five taps down each column, the picture mirrored at its upper and lower edge.

    Args:
        image: uint8 (H, W, C), H >= 3. As in padding mode `reflect`, the mirror does not repeat the edge.

    Returns:
        uint8, each value the exact sum rounded to the nearest, halves up.
    """
    padded = np.pad(image, ((2, 2), (0, 0), (0, 0)), mode="reflect").astype(np.int32)
    height = len(image)
    total = np.full(image.shape, 50_000, np.int32)
    for tap, weight in enumerate(ASKD_BLUR):
        total += weight * padded[tap : tap + height]
    return (total // 100_000).astype(np.uint8)
