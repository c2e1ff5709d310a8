"""Pictures, arrays and records as the bytes of files."""

from __future__ import annotations

import io
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from faceloom.schemas.errors import FaceloomError
from faceloom.schemas.keys import to_json


def encode(image: npt.NDArray[np.uint8], format_name: str, quality: int = 100) -> bytes:
    """Encode a picture; jpg at a quality of 1..100, png and webp lossless.

    Args:
        image: uint8 (H, W, 3) RGB, or (H, W).
        format_name: `jpg`, `png` or `webp`.
        quality: of JPEG; other formats ignore it.

    Raises:
        FaceloomError: the picture is larger than the format allows, or memory ran out.
    """
    import cv2

    options = {
        "jpg": [cv2.IMWRITE_JPEG_QUALITY, quality],
        "png": [cv2.IMWRITE_PNG_COMPRESSION, 1],
        "webp": [cv2.IMWRITE_WEBP_QUALITY, 101],  # above 100 means lossless
    }[format_name]
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR) if image.ndim == 3 else image
    done, encoded = cv2.imencode(f".{format_name}", bgr, options)
    if not done:
        remedy = "If memory is short, free some; WEBP holds 16383 pixels per side at most, JPEG 65500"
        raise FaceloomError(f"cannot be encoded as {format_name}", value=image.shape, remedy=remedy)
    return encoded.tobytes()


def npy(array: npt.NDArray[Any]) -> bytes:
    """An array as the bytes of a .npy file."""
    return _npy_header(array.dtype.str, array.shape) + array.tobytes()


@lru_cache(maxsize=16)
def _npy_header(dtype: str, shape: tuple[int, ...]) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": dtype, "fortran_order": False, "shape": shape})
    return buffer.getvalue()


def json_bytes(record: Any) -> bytes:
    """A record as compact JSON with sorted keys; file names that are not valid UTF-8 keep their escapes."""
    return to_json(record).encode("utf-8", "backslashreplace")
