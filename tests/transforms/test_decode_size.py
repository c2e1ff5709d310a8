"""Sizes from the first bytes of a picture file: those of the whole file, or none."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from faceloom.schemas.errors import PhotoError
from faceloom.transforms.decode import decode_rgb, read_header, read_size

HEAD = 4096


def encoded(kind: str, size: tuple[int, int], orientation: int = 1) -> bytes:
    """Noise of some size as a picture file, which makes it long."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = np.random.default_rng(0).integers(256, size=(size[1], size[0], 3), dtype=np.uint8)
    options = {"exif": exif} if kind in ("JPEG", "PNG", "WEBP", "TIFF") else {}
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "PPM"])
def test_the_beginning_gives_the_size_of_the_decoded_picture_or_none(kind: str, orientation: int) -> None:
    data = encoded(kind, (300, 200), orientation)
    height, width = decode_rgb(data).shape[:2]
    assert read_size(data) == (width, height) == read_header(data).size
    assert len(data) > 3 * HEAD
    for length in (HEAD, 2 * HEAD, len(data) - 1):
        try:
            assert read_size(data[:length]) == (width, height)
        except PhotoError:
            assert kind in ("WEBP", "TIFF"), "these may say at their end what belongs to their beginning"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "GIF", "PPM"])
def test_the_usual_kinds_tell_at_once_where_a_header_would_miss_the_end(kind: str) -> None:
    data = encoded(kind, (300, 200))
    assert read_size(data[:HEAD]) == (300, 200)
    if kind in ("JPEG", "PNG"):
        with pytest.raises(PhotoError, match="end of the"):
            read_header(data[:HEAD])


@pytest.mark.parametrize("data", [b"", b"\xff\xd8\xff", b"no picture at all", b"\x89PNG\r\n\x1a\n", b"GIF89a"])
def test_too_little_tells_nothing(data: bytes) -> None:
    with pytest.raises(PhotoError):
        read_size(data)
