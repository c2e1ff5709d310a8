"""Pictures and their files: what tests of decoding share."""

from __future__ import annotations

import io
import struct
import zlib
from typing import IO, Any, cast

import numpy as np
import pytest
from PIL import Image

from faceloom.schemas.errors import PhotoError
from faceloom.transforms.decode import decode_grey, decode_rgb

ORIENTATION = 0x0112


def gradient(height: int = 60, width: int = 90) -> np.ndarray:
    """Red grows to the right, green downwards, blue is a bright corner at the top left: no two turns look alike."""
    picture = np.zeros((height, width, 3), np.uint8)
    picture[..., 0] = np.linspace(20, 230, width)
    picture[..., 1] = np.linspace(20, 230, height)[:, None]
    picture[: height // 3, : width // 3, 2] = 200
    return picture


def encode(picture: np.ndarray | Image.Image, kind: str, **options: Any) -> bytes:
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def jpeg(picture: np.ndarray | Image.Image, orientation: int = 1, **options: Any) -> bytes:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return encode(picture, "JPEG", **{"quality": 95, "subsampling": 0, "exif": exif, **options})


def chunk(name: bytes, body: bytes) -> bytes:
    """A chunk of a PNG file."""
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def difference(first: np.ndarray, second: np.ndarray) -> float:
    """How many levels two pictures of one size are apart on average."""
    assert first.shape == second.shape
    return float(np.abs(first.astype(int) - second.astype(int)).mean())


def code_of(data: bytes, **options: Any) -> str:
    """The code with which a file is refused, in colour and in grey."""
    with pytest.raises(PhotoError) as caught:
        decode_rgb(data, **options)
    with pytest.raises(PhotoError) as again:
        decode_grey(data, **options)
    assert again.value.code == caught.value.code
    return caught.value.code


def open_sample(name: str) -> IO[bytes]:
    """A sample file that comes with matplotlib."""
    from matplotlib.cbook import get_sample_data

    return cast("IO[bytes]", get_sample_data(name))


def hopper() -> np.ndarray:
    """Grace Hopper, RGB, 600 high and 512 wide; her face is about 200 pixels wide."""
    with open_sample("grace_hopper.jpg") as file:
        return decode_rgb(file.read())
