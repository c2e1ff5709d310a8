"""Colour profiles (ICC): conversion of a photo's pixels to sRGB."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from faceloom.transforms.types import Pixels

if TYPE_CHECKING:
    from PIL.ImageCms import ImageCmsTransform

MOST_BYTES = 4 * 2**20
"""A longer profile is ignored."""
NEARLY_SRGB = 2
"""A profile that moves no colour by more levels is a variant of sRGB: the pixels stay as they are."""

_BAND_PIXELS = 1 << 20
_STEPS = np.linspace(0, 255, 9).astype(np.uint8)


@dataclass(frozen=True, eq=False)
class Conversion:
    """Conversion from the space of a profile.

    Attributes:
        transform: from RGB, or from grey to R = G = B.
        grey: whether it is for grey pixels.
    """

    transform: ImageCmsTransform
    grey: bool

    def to_srgb(self, pixels: Pixels) -> Pixels:
        """Convert pixels, uint8: (H, W, 3), with R = G = B if `grey`, or (H, W) if `grey`. Returns the same shape."""
        import cv2

        if self.grey:
            return np.asarray(cv2.LUT(pixels, self._apply(np.arange(256, dtype=np.uint8)[None])[0, :, 1]), np.uint8)
        out = np.empty_like(pixels)
        rows = max(1, _BAND_PIXELS // pixels.shape[1])
        for top in range(0, len(pixels), rows):  # in bands, so that a large photo is never in memory three times
            out[top : top + rows] = self._apply(pixels[top : top + rows])
        return out

    def _apply(self, pixels: Pixels) -> Pixels:
        from PIL import Image, ImageCms

        converted = ImageCms.applyTransform(Image.fromarray(np.ascontiguousarray(pixels)), self.transform)
        return np.ascontiguousarray(np.asarray(converted))

    @property
    def is_small(self) -> bool:
        """Whether no colour moves by more than `NEARLY_SRGB` levels."""
        if self.grey:
            before = np.arange(256, dtype=np.uint8)[None]
            after = self._apply(before)[..., 1]
        else:
            before = np.stack(np.meshgrid(_STEPS, _STEPS, _STEPS), axis=-1).reshape(27, 27, 3)
            after = self._apply(before)
        return int(np.abs(after.astype(np.int16) - before).max()) <= NEARLY_SRGB


@lru_cache(maxsize=8)
def conversion_by(profile: bytes, *, grey: bool) -> Conversion | None:
    """The conversion by an ICC profile: relative colorimetry with black point compensation.

    Args:
        profile: content of the profile.
        grey: whether the file holds grey pixels.

    Returns:
        None if nothing is to convert: the profile is close to sRGB, is for other pixels, or is damaged.
    """
    from PIL import ImageCms

    if len(profile) > MOST_BYTES:
        return None
    # The cache is not safe in threads, and tables of few steps are too coarse for steep curves.
    flags = ImageCms.Flags.BLACKPOINTCOMPENSATION | ImageCms.Flags.NOCACHE
    flags |= ImageCms.Flags.NOOPTIMIZE if grey else ImageCms.Flags.HIGHRESPRECALC
    try:
        space = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if space.profile.xcolor_space.strip() != ("GRAY" if grey else "RGB"):
            return None
        transform = ImageCms.buildTransform(
            space,
            ImageCms.createProfile("sRGB"),
            "L" if grey else "RGB",
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            flags,
        )
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None
    conversion = Conversion(transform, grey)
    return None if conversion.is_small else conversion
