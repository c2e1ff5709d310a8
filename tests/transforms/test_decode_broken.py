"""Files that are torn, damaged, no pictures or too large: each is refused with its code, and none comes out by half."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cv2
import numpy as np
import pytest
import simplejpeg
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFile, TiffImagePlugin

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


KINDS: list[tuple[str, dict[str, Any]]] = [
    ("JPEG", {}), ("PNG", {}), ("WEBP", {}), ("WEBP", {"lossless": True}), ("AVIF", {}), ("JPEG2000", {}), ("GIF", {}),
    ("TIFF", {}), ("TIFF", {"compression": "tiff_lzw"}), ("BMP", {}), ("PPM", {}),
]  # fmt: skip


@pytest.mark.parametrize("share", [0.003, 0.02, 0.2, 0.5, 0.9, 0.99])
@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_a_file_cut_short_is_called_truncated(kind: str, options: dict[str, Any], share: float) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (60, 90, 3), dtype=np.uint8)
    data = encode(noise, kind, **options)
    assert code_of(data[: max(12, int(len(data) * share))]) == "truncated"


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("large", [False, True])
def test_a_tiff_cut_short_is_called_truncated_in_any_layout(order: str, large: bool) -> None:
    buffer = io.BytesIO()
    info = TiffImagePlugin.ImageFileDirectory_v2(prefix=b"II" if order == "<" else b"MM")
    info[278] = 8
    options = {"big_tiff": True} if large else {"compression": "tiff_lzw"}
    Image.fromarray(gradient()).save(buffer, "TIFF", tiffinfo=info, **options)
    data = buffer.getvalue()
    assert data[2:4] in (b"+\0", b"\0+") if large else data[2:4] in (b"*\0", b"\0*")
    assert difference(decode_rgb(data), gradient()) == 0
    assert {code_of(data[: len(data) * part // 50]) for part in range(1, 50)} == {"truncated"}


@pytest.mark.parametrize("kind", ["WAVE", "AVI "])
def test_other_riff_files_are_no_pictures(kind: str) -> None:
    assert code_of(b"RIFF\x24\0\0\0" + kind.encode() + bytes(40)) == "not_an_image"


BROKEN_EXIF = [
    b"garbage", b"Exif\0\0garbage", b"Exif\0\0II*\0\x08\0\0\0\xff\xff", b"II*\0\xff\xff\xff\xff", b"\0", b"Exif\0\0",
    b"MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\x09\0\0", b"MM\0*\0\0\0\x08\0\1\1\x12\0\2\0\0\0\1x\0\0\0",
    b"MM\0*\0\0\0\x08\0\1\1\x12\0\5\0\0\0\1\0\0\0\x20", b"MM\0*\0\0\0\x08\xff\xff" + b"\1\x12\0\3\xff\xff\xff\xff" * 9,
]  # fmt: skip


def with_exif(kind: str, exif: bytes) -> bytes:
    """A file with these bytes as its EXIF, whatever Pillow thinks of them."""
    if kind == "PNG":
        data = encode(gradient(), "PNG")
        return data[:33] + chunk(b"eXIf", exif) + data[33:]
    sound = Image.Exif()
    sound[0x010E] = "pad-" * 60
    data = encode(gradient(), kind, exif=sound.tobytes(), **({"lossless": True} if kind == "WEBP" else {}))
    end = data.index(b"pad-pad") + 200
    start = data.rindex(b"Exif\0\0" if kind == "JPEG" else sound.tobytes()[6:10], 0, end)
    return data[:start] + (exif + bytes(end))[: end - start] + data[end:]


@pytest.mark.parametrize("exif", BROKEN_EXIF, ids=range(len(BROKEN_EXIF)))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF"])
def test_broken_exif_does_not_spoil_the_pixels(kind: str, exif: bytes) -> None:
    data = with_exif(kind, exif)
    plain = encode(gradient(), kind, **({"lossless": True} if kind == "WEBP" else {}))
    assert read_header(data).exif_orientation == 1
    assert np.array_equal(decode_rgb(data), decode_rgb(plain))


def test_sound_exif_is_followed() -> None:
    exif = b"MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0"
    for kind in ("JPEG", "PNG", "WEBP"):
        data = with_exif(kind, b"Exif\0\0" + exif if kind == "JPEG" else exif)
        assert read_header(data).exif_orientation == 6


@pytest.mark.parametrize("place", [33, -12])
@pytest.mark.parametrize(
    "odd",
    [
        chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(1 << 25))),
        chunk(b"iCCP", b"k\0\0" + zlib.compress(bytes(1 << 25))),
        chunk(b"iTXt", b"k\0\1\0\0\0" + zlib.compress(bytes(1 << 25))),
        chunk(b"tEXt", b"k\0v")[:-1] + b"!",
        chunk(b"pHYs", b""),
        chunk(b"gAMA", b"\0"),
    ],
    ids=lambda odd: odd[4:8].decode(),
)
def test_odd_metadata_does_not_spoil_the_pixels_of_a_png(odd: bytes, place: int) -> None:
    data = encode(gradient(), "PNG")
    assert np.array_equal(decode_rgb(data[:place] + odd + data[place:]), gradient())


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_decoder_that_finds_no_memory_does_not_speak_of_the_picture(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = encode(gradient(), kind)
    monkeypatch.setattr(simplejpeg, "decode_jpeg", failing(ValueError("Insufficient memory (case 4)")))
    monkeypatch.setattr(cv2, "imdecode", lambda *_: None)  # what OpenCV does when libjpeg finds none
    monkeypatch.setattr(ImageFile.ImageFile, "load", failing(OSError("broken data stream when reading image file")))
    assert code_of(data) == "decode_failed"
    monkeypatch.setattr(ImageFile.ImageFile, "load", failing(OSError("out of memory error when reading image file")))
    if kind != "JPEG":
        with pytest.raises(MemoryError):
            decode_rgb(data)
    monkeypatch.setattr(np, "empty", failing(MemoryError()))
    with pytest.raises(MemoryError):
        decode_rgb(data)


def failing(error: Exception) -> Any:
    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


@pytest.mark.parametrize("error", [RuntimeError("x"), AssertionError(), AttributeError("x"), ZeroDivisionError("x")])
@pytest.mark.parametrize("step", ["open", "load"])
def test_whatever_pillow_raises_on_an_odd_file_is_a_code(
    step: str, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = encode(gradient(), "PNG")
    monkeypatch.setattr(Image if step == "open" else ImageFile.ImageFile, step, failing(error))
    assert code_of(data) == "decode_failed"


def test_the_canvas_of_a_webp_is_refused_before_it_is_made() -> None:
    head = b"VP8X" + struct.pack("<I", 10) + b"\2\0\0\0" + (16_000_000).to_bytes(3, "little") * 2
    assert code_of(b"RIFF" + struct.pack("<I", 100) + b"WEBP" + head + bytes(100)) == "too_many_pixels"


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


@pytest.mark.parametrize(("width", "height"), [(99_000_000, 1), (1, 99_000_000), (65_536, 8)])
def test_endless_lines_are_refused_before_they_are_decoded(width: int, height: int) -> None:
    assert code_of(png_that_claims(width, height)) == "unsupported"


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


@pytest.mark.parametrize("size", [(17, 65_535), (65_535, 17), (1025, 1024)])
def test_pictures_of_any_shape_are_converted_in_bands(size: tuple[int, int]) -> None:
    assert (decode_rgb(encode(Image.new("RGBA", size, (9, 99, 199, 255)), "PNG")) == (9, 99, 199)).all()
