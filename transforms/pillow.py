"""Pillow's settings for pictures of strangers: which formats it may read, and without its limit on pixels."""

from __future__ import annotations

import importlib
import threading
from contextlib import suppress
from functools import lru_cache

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
