"""Files that are torn, damaged, no pictures or too large: each is refused with its code, and none comes out by half."""

from __future__ import annotations

import struct
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from faceloom.schemas.errors import PhotoError
from faceloom.transforms.decode import decode_rgb, read_header
from tests.transforms.pictures import chunk, code_of, difference, encode, gradient, jpeg


def test_no_bytes() -> None:
    assert code_of(b"") == "empty"


@pytest.mark.parametrize(
    "data", [b"hello", b"\0" * 5000, b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X", b"<html></html>", bytes(range(256))]
)
def test_not_a_picture(data: bytes) -> None:
    assert code_of(data) == "not_an_image"


@pytest.mark.parametrize(
    "data",
    [
        b"%PDF-1.7 ...",
        b"%!PS-Adobe-3.0 EPSF-3.0\n",
        b"\0\0\0\x18ftypheic\0\0\0\0",
        b"<svg xmlns=''></svg>",
        b"8BPS\0\1",
    ],
)
def test_pictures_that_are_not_read(data: bytes) -> None:
    assert code_of(data) == "unsupported"


@pytest.mark.parametrize("share", [0.02, 0.2, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "PPM", "TIFF", "GIF"])
def test_a_file_cut_short_is_never_half_a_picture(kind: str, share: float) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (60, 90, 3), dtype=np.uint8)
    data = encode(noise, kind)
    assert code_of(data[: int(len(data) * share)]) in ("truncated", "decode_failed", "not_an_image")


@pytest.mark.parametrize("share", [0.2, 0.5, 0.99])
@pytest.mark.parametrize("options", [{}, {"progressive": True}])
def test_a_jpeg_cut_short_is_called_truncated(options: dict[str, Any], share: float) -> None:
    data = jpeg(gradient(300, 400), **options)
    cut = data[: int(len(data) * share)]
    assert code_of(cut) == "truncated"
    with pytest.raises(PhotoError):
        read_header(cut)


def test_the_end_of_a_thumbnail_is_not_the_end_of_the_photo() -> None:
    thumbnail = jpeg(gradient(30, 40))
    data = jpeg(gradient(300, 400))
    segment = b"\xff\xe2" + struct.pack(">H", len(thumbnail) + 2) + thumbnail
    whole = data[:2] + segment + data[2:]
    assert difference(decode_rgb(whole), gradient(300, 400)) < 6
    assert code_of(whole[:-200]) == "truncated"


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_bytes_after_the_end_do_no_harm(kind: str) -> None:
    data = encode(gradient(), kind)
    assert np.array_equal(decode_rgb(data + b"\0" * 3000 + b"trailer"), decode_rgb(data))


def test_a_tail_of_zeros_is_truncated() -> None:
    data = jpeg(gradient(300, 400))
    assert code_of(data[: len(data) // 2] + bytes(len(data) // 2)) == "truncated"


def test_damaged_pixels() -> None:
    data = bytearray(encode(gradient(), "PNG"))
    place = data.index(b"IDAT") + 8
    data[place : place + 20] = b"\xff" * 20
    assert code_of(bytes(data)) in ("decode_failed", "truncated")


@given(
    st.binary(max_size=400),
    st.sampled_from([b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM", b"II*\0", b"P5 "]),
)
def test_garbage_ends_as_a_photo_error(garbage: bytes, start: bytes) -> None:
    with pytest.raises(PhotoError):
        decode_rgb(start + garbage, max_pixels=10_000)


def png_that_claims(width: int, height: int) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("side", [10_001, 15_000, 60_000])
def test_a_bomb_is_refused_before_it_is_decoded(side: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert code_of(png_that_claims(side, side)) == "too_many_pixels"


def test_the_limit_is_a_choice() -> None:
    data = jpeg(gradient())
    assert code_of(data, max_pixels=5399) == "too_many_pixels"
    assert decode_rgb(data, max_pixels=5400).shape == (60, 90, 3)
    with pytest.raises(PhotoError) as caught:
        read_header(data, max_pixels=5399)
    assert "90x60" in str(caught.value) and "5399" in str(caught.value)


def test_nothing_is_said_about_large_pictures_within_the_limit() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_header(png_that_claims(12_000, 12_000), max_pixels=150_000_000).width == 12_000


def test_the_limit_may_be_higher_than_pillows_own(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_header(png_that_claims(30_000, 20_000), max_pixels=600_000_000).width == 30_000
    assert code_of(png_that_claims(30_000, 20_000), max_pixels=599_999_999) == "too_many_pixels"
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    for kind in ("PNG", "TIFF", "WEBP", "GIF", "BMP"):
        options = {"lossless": True} if kind == "WEBP" else {}
        assert difference(decode_rgb(encode(gradient(), kind, **options)), gradient()) < 8
    assert Image.MAX_IMAGE_PIXELS == 100, "that of other users of Pillow"


def test_pillows_limit_is_put_back_after_threads_and_errors() -> None:
    before = Image.MAX_IMAGE_PIXELS
    data = [encode(gradient(), "PNG"), png_that_claims(60_000, 60_000), b"", encode(gradient(), "BMP")[:200]] * 20

    def code(one: bytes) -> str:
        try:
            return str(decode_rgb(one).shape)
        except PhotoError as error:
            return error.code

    with ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(code, data))
    assert codes == [code(one) for one in data]
    assert Image.MAX_IMAGE_PIXELS == before is not None


@pytest.mark.parametrize("size", [(1, 3_000_000), (3_000_000, 1), (1025, 1024)])
def test_pictures_of_any_shape_are_converted_in_bands(size: tuple[int, int]) -> None:
    assert (decode_rgb(encode(Image.new("RGBA", size, (9, 99, 199, 255)), "PNG")) == (9, 99, 199)).all()
