"""Formats are recognised by their first bytes, and missing ends by their own lengths."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceloom.transforms.file_format import claimed_pixels, excess, format_of, is_cut_off, without_metadata
from tests.transforms.pictures import chunk, code_of, encode, gradient

KINDS = ["JPEG", "PNG", "WEBP", "AVIF", "JPEG2000", "GIF", "TIFF", "BMP", "PPM"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_format_is_that_of_the_first_bytes(kind: str) -> None:
    data = encode(gradient(), kind)
    assert format_of(data) == format_of(data[:40]) == kind
    assert not is_cut_off(data)


@pytest.mark.parametrize(
    "data", [b"", b"R", b"hello", b"RIFF\x24\0\0\0WAVE", b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom", bytes(99)]
)
def test_other_files_have_no_format(data: bytes) -> None:
    assert format_of(data) == ""


def test_heif_is_distinguished_from_avif() -> None:
    assert format_of(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic") == "HEIF"
    assert format_of(b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf") == "AVIF"


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "AVIF", "JPEG2000", "GIF", "TIFF", "BMP"])
def test_any_missing_end_is_seen(kind: str) -> None:
    data = encode(np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8), kind)
    assert [length for length in range(12, len(data) - 12) if not is_cut_off(data[:length])] == []


@given(st.sampled_from(KINDS), st.binary(max_size=200), st.integers(0, 60), st.integers(0, 255))
def test_damage_raises_nothing(kind: str, tail: bytes, place: int, value: int) -> None:
    data = bytearray(encode(gradient(4, 6), kind))
    data[min(place, len(data) - 1)] = value
    for one in (bytes(data), bytes(data[:place]) + tail):
        assert is_cut_off(one) in (True, False) and claimed_pixels(one) >= 0
        without_metadata(one)


def test_the_canvas_of_a_webp_is_read_off_its_header() -> None:
    head = b"VP8X" + struct.pack("<I", 10) + b"\2\0\0\0" + (999).to_bytes(3, "little") + (499).to_bytes(3, "little")
    assert claimed_pixels(b"RIFF" + struct.pack("<I", 22) + b"WEBP" + head) == 500_000
    assert claimed_pixels(encode(gradient(), "PNG")) == 0


def test_a_png_keeps_pixels_transparency_and_exif() -> None:
    data = encode(gradient(), "PNG")
    kept = chunk(b"tRNS", b"\0" * 6) + chunk(b"eXIf", b"II*\0")
    assert without_metadata(data[:33] + kept + chunk(b"tEXt", b"k\0v") + data[33:]) == data[:33] + kept + data[33:]
    assert without_metadata(data) is None
    assert without_metadata(encode(gradient(), "BMP")) is None


def many(kind: str) -> bytes:
    """A small picture with so many pieces that Pillow would read them for minutes."""
    data = encode(gradient(), kind[:4].strip())
    if kind == "PNG":
        return data[:33] + chunk(b"tEXt", b"k\0v") * 100_001 + data[33:]
    if kind == "GIF":
        return data[:781] + b"\x21\xfe" + (b"\xff" + b"c" * 255) * 5_001 + b"\0" + data[781:]
    if kind == "TIFF":
        place = data.index(struct.pack("<HHI", 273, 4, 1))
        return data[:place] + struct.pack("<HHI", 273, 4, 500_001) + data[place + 8 :]
    if kind == "BMP":
        return b"BM" + bytes(12) + struct.pack("<IiiHHI", 40, 9, 9, 1, 8, 1) + bytes(5_000_000)
    return b"P6\n#" + b"c" * 70_000 + b"\n8 8\n255\n" if kind == "PPM" else b"P3\n3000 3000\n255\n" + b"1 " * 10_000_001


@pytest.mark.parametrize("kind", ["PNG", "GIF", "TIFF", "BMP", "PPM", "PPM as text"])
def test_files_of_very_many_pieces_are_refused_at_once(kind: str) -> None:
    assert excess(encode(gradient(), kind[:4].strip())) == ""
    assert "more than" in excess(many(kind))
    assert code_of(many(kind)) == "unsupported"
