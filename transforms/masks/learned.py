"""Transfers a mask from a network's small crop to the picture of the crop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from faceloom.transforms.geometry import scale_of
from faceloom.transforms.masks.composite import alpha_over
from faceloom.transforms.masks.painted import PaintedMask
from faceloom.transforms.types import Coverage, Image, Matrix

EDGE = 1.5
"""Width in pixels of the picture over which coverage rises from none to full, if the network's own edge is wider."""


@dataclass(frozen=True, eq=False)
class PaintedCrop:
    """The network's output for one crop.

    Attributes:
        colour: float32 (S, S, 3), RGB, 0..1: the mask's colour.
        alpha: float32 (S, S), 0..1: its coverage.
        straps: float32 (S, S), 0..1: coverage of its straps.
        output: uint8 (S, S, 3), RGB: the network's whole output crop.
    """

    colour: NDArray[np.float32]
    alpha: Coverage
    straps: Coverage
    output: Image


def paint_learned(image: Image, matrix: Matrix, crop: PaintedCrop, blend: Literal["raw", "composite"]) -> PaintedMask:
    """Paint a network's mask on the picture that its crop was cut from, at that picture's own resolution.

    Args:
        image: uint8 (H, W, 3), RGB; not changed.
        matrix: `image` to crop, 2x3.
        crop: output of the network for the crop.
        blend: `composite` blends the colour over the picture by both coverages and keeps pixels without coverage
            bit-identical; `raw` replaces the crop with the network's whole output (Lee 2022).
    """
    import cv2

    size = (image.shape[1], image.shape[0])
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    enlarged = max(1.0, 1 / scale_of(matrix))
    alpha = cv2.warpAffine(crop.alpha, matrix, size, flags=flags, borderMode=cv2.BORDER_CONSTANT)
    # Enlarging turns an edge one pixel wide into a soft band; steepening it around 0.5 restores the edge in place.
    alpha = ((alpha - 0.5) * max(1.0, enlarged / EDGE) + 0.5).clip(0, 1).astype(np.float32)
    straps = None
    if crop.straps.any():
        straps = cv2.warpAffine(crop.straps, matrix, size, flags=flags, borderMode=cv2.BORDER_CONSTANT).clip(0, 1)
    if blend == "composite":
        colour = cv2.warpAffine(crop.colour, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
        covered = alpha if straps is None else np.maximum(alpha, straps)
        painted = alpha_over(image, np.rint(colour * 255).clip(0, 255).astype(np.uint8), covered)
    else:
        output = cv2.warpAffine(crop.output, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
        inside = np.ones(crop.alpha.shape, np.uint8)
        inside = cv2.warpAffine(inside, matrix, size, flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP)
        painted = np.where(inside[..., None] > 0, output, image)
    return PaintedMask(painted, alpha, straps, {"blend": blend, "enlarged": round(enlarged, 4)})
