"""Pillow for pictures of strangers: the formats that it may read, without its limit on pixels, and their pixels."""

from __future__ import annotations

import importlib
import threading
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from faceloom.schemas.errors import PhotoError
from faceloom.transforms.types import Pixels

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

SIXTEEN_BIT_MODES = ("I;16", "I;16B", "I;16L", "I;16N", "I")
"""Pillow's modes for grey of up to 16 bits."""

_TRANSPARENT_MODES = ("RGBA", "LA", "PA", "La", "RGBa")
# Excludes formats such as EPS, for which Pillow starts another program.
_FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "DIB", "GIF", "PPM", "JPEG2000", "AVIF")
_LIBRARIES = ("PIL._imaging", "PIL._webp", "PIL._avif")


@lru_cache(maxsize=1)
def readable_formats() -> tuple[str, ...]:
    """The formats that the installed Pillow supports.

    Raises:
        ImportError: a library of Pillow is installed, but cannot be loaded, for example because memory is short. Pillow
            itself would only take its format for unknown.
    """
    from PIL import Image

    for name in _LIBRARIES:
        with suppress(ModuleNotFoundError):
            importlib.import_module(name)
    Image.init()
    return tuple(name for name in _FORMATS if name in Image.OPEN)


class _LimitLifted:
    """Context manager that disables Pillow's own pixel limit; `max_pixels` is checked instead.

    Pillow's limit is global to the process, so it is restored when the last thread leaves.
    """

    def __init__(self) -> None:
        self._lock, self._inside = threading.Lock(), 0
        self._limit: int | None = None

    def __enter__(self) -> None:
        from PIL import Image

        with self._lock:
            if self._inside == 0:
                self._limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        from PIL import Image

        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                Image.MAX_IMAGE_PIXELS = self._limit


LIMIT_LIFTED = _LimitLifted()


def is_deep(image: PillowImage) -> bool:
    """Whether a picture that is not loaded yet has 16 bits per value, if Pillow will keep the upper 8 alone."""
    modes = (tile[3][0] if isinstance(tile[3], tuple) else tile[3] for tile in getattr(image, "tile", ()))
    return any(";16" in str(mode) for mode in modes)


def white_of(image: PillowImage) -> int:
    """The value of white in a 16-bit picture, which may hold values of fewer bits.

    Scientific cameras and scanners store 10 or 12 bits in files of 16. A photo of 16 bits without a value above 4095
    would be all but black, so nothing is lost by that reading.

    Raises:
        PhotoError: `unsupported`, if a value needs more than 16 bits.
    """
    values = np.asarray(image)
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > 65535:
        raise PhotoError("unsupported", "pixels of more than 16 bits are not read", value=high)
    return next(white for white in (255, 1023, 4095, 65535) if high <= white)


def band_pixels(band: PillowImage, grey: bool, white: int) -> Pixels:
    """Pixels of a part of a picture, transparent ones over white: uint8 (H, W) if `grey`, else (H, W, 3).

    Args:
        band: the part.
        grey: whether the picture is grey without transparency, or holds 16 bits.
        white: value of white in a picture of 16 bits, from `white_of`.
    """
    from PIL import Image

    if band.mode in SIXTEEN_BIT_MODES:
        values = np.asarray(band)
        pixels = np.asarray((values.astype(np.uint32) * 255 + white // 2) // white, np.uint8)
        pixels[values == band.info.get("transparency", -1)] = 255
        return pixels
    if band.mode == "F":
        raise PhotoError("unsupported", "pixels that are floating-point numbers have no known white")
    if grey:
        return np.asarray(band.convert("L"))
    if band.mode in _TRANSPARENT_MODES or "transparency" in band.info:
        rgba = band.convert("RGBA")
        band = Image.new("RGB", band.size, "white")
        band.paste(rgba, mask=rgba)
    return np.asarray(band.convert("RGB"))
