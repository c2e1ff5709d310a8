"""The fast look at a JPEG says what Pillow says, and never fails on garbage."""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from faceloom.transforms.decode import decode_rgb, read_header
from faceloom.transforms.jpeg import exif_orientation, is_jpeg, jpeg_layout
from tests.transforms.pictures import code_of


def jpeg(mode: str = "RGB", size: tuple[int, int] = (90, 60), **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, size, 77 if mode == "L" else None).save(buffer, "JPEG", **options)
    return buffer.getvalue()


def exif_block(order: str, entries: list[tuple[int, int, int]]) -> bytes:
    """A TIFF header and one directory of (tag, kind, 16-bit value)."""
    body = b"".join(struct.pack(order + "HHIHxx", tag, kind, 1, value) for tag, kind, value in entries)
    magic = b"II*\0" if order == "<" else b"MM\0*"
    return magic + struct.pack(order + "IH", 8, len(entries)) + body + bytes(4)


@pytest.mark.parametrize(
    "options", [{}, {"progressive": True}, {"quality": 100, "subsampling": 0}, {"comment": b"\xff\xda"}]
)
@pytest.mark.parametrize(("mode", "components"), [("L", 1), ("RGB", 3), ("CMYK", 4)])
def test_the_layout_of_a_jpeg(mode: str, components: int, options: dict[str, Any]) -> None:
    data = jpeg(mode, (91, 57), **options)
    layout = jpeg_layout(data)
    assert is_jpeg(data) and layout is not None
    assert (layout.width, layout.height, layout.components, layout.bits) == (91, 57, components, 8)
    assert (layout.orientation, layout.cut_off) == (1, False)
    halved = components == 3 and "subsampling" not in options
    assert layout.block_height == (16 if halved else 8)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_that_pillow_writes(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x010F] = "a maker"
    exif[0x0112] = orientation
    layout = jpeg_layout(jpeg(exif=exif))
    assert layout is not None and layout.orientation == orientation


@pytest.mark.parametrize("order", "<>")
def test_either_byte_order(order: str) -> None:
    assert exif_orientation(exif_block(order, [(0x0100, 3, 9), (0x0112, 3, 6), (0x011A, 3, 1)])) == 6


@pytest.mark.parametrize(
    "exif",
    [
        b"",
        b"II*\0",
        b"XX*\0\0\0\0\x08",
        exif_block("<", []),
        exif_block("<", [(0x0112, 3, 0)]),
        exif_block("<", [(0x0112, 3, 9)]),
        exif_block(">", [(0x0112, 2, 6)]),
        exif_block(">", [(0x0113, 3, 6)]),
        b"II*\0" + struct.pack("<I", 2**32 - 1),
    ],
)
def test_no_orientation_is_upright(exif: bytes) -> None:
    assert exif_orientation(exif) == 1


@given(st.sampled_from([b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08", b""]), st.binary(max_size=80))
def test_any_exif_gives_an_orientation(head: bytes, rest: bytes) -> None:
    assert exif_orientation(head + rest) in range(1, 9)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.98])
def test_a_file_cut_in_its_pixels_is_cut_off(share: float) -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (80, 80, 3), dtype=np.uint8)).save(buffer, "JPEG")
    data = buffer.getvalue()
    scan = data.index(b"\xff\xda")
    layout = jpeg_layout(data[: scan + int((len(data) - scan) * share)])
    assert layout is not None and layout.cut_off and layout.width == 80


def test_a_file_cut_before_its_pixels_is_cut_off_or_unknown() -> None:
    data = jpeg()
    for end in range(3, data.index(b"\xff\xda")):
        layout = jpeg_layout(data[:end])
        assert layout is None or layout.cut_off


def test_neither_a_thumbnail_nor_a_tail_misleads() -> None:
    data, thumbnail = jpeg(size=(90, 60)), jpeg(size=(9, 6))
    segment = b"\xff\xe2" + struct.pack(">H", len(thumbnail) + 2) + thumbnail
    layout = jpeg_layout(data[:2] + segment + data[2:] + b"tail\xff")
    assert layout is not None
    assert (layout.width, layout.height, layout.cut_off) == (90, 60, False)
    layout = jpeg_layout((data[:2] + segment + data[2:])[:-3])
    assert layout is not None and layout.cut_off


def test_fill_bytes_between_segments() -> None:
    data = jpeg()
    layout = jpeg_layout(data[:2] + b"\xff\xff\xff" + data[2:])
    assert layout is not None and (layout.width, layout.cut_off) == (90, False)


@given(st.binary(max_size=300))
def test_garbage_is_no_trouble(garbage: bytes) -> None:
    layout = jpeg_layout(b"\xff\xd8\xff" + garbage)
    assert layout is None or layout.orientation in range(1, 9)


def test_other_files_are_no_jpeg() -> None:
    assert not any(is_jpeg(data) for data in (b"", b"\xff\xd8", b"\x89PNG\r\n\x1a\n", b"\0" * 10))


@pytest.mark.parametrize("piece", [b"\xff\xef\0\2", b"\xff", b"\xff\0"])
def test_very_many_segments_are_refused_at_once(piece: bytes) -> None:
    data = jpeg()
    assert code_of(data[:2] + piece * 50_001 + data[2:]) == "unsupported"
    assert decode_rgb(data[:2] + piece * 400 + data[2:]).shape == (60, 90, 3)


def repeated(data: bytes, times: int, between: bytes = b"") -> bytes:
    """A JPEG whose last scan comes more often."""
    last, end = data.rindex(b"\xff\xda"), data.rindex(b"\xff\xd9")
    return data[:end] + (between + data[last:end]) * times + data[end:]


@pytest.fixture(scope="module")
def large() -> bytes:
    return jpeg(size=(6000, 6000), progressive=True)


@pytest.mark.parametrize("between", [b"", b"\xff\xfe\0\4\xff\xd9", b"\xff\xff", b"\xff\xd0", b"\xff\x02", b"\xff\0"])
def test_scans_are_limited_where_they_would_take_minutes(large: bytes, between: bytes) -> None:
    small = jpeg(size=(60, 60), progressive=True)
    assert decode_rgb(repeated(small, 200)).shape == (60, 60, 3)
    assert read_header(large).width == 6000
    assert code_of(repeated(large, 20, between)) == "unsupported"


@pytest.mark.parametrize("tail", [b"\xff\xda" * 100, b"video \xff\xda\0\2" * 100 + b"\xff\xd9"])
def test_scans_count_up_to_the_end_of_the_picture(large: bytes, tail: bytes) -> None:
    layout = jpeg_layout(large + tail)
    assert layout is not None and (layout.width, layout.cut_off) == (6000, False)


def test_scans_behind_very_many_segments_count(large: bytes) -> None:
    assert code_of(repeated(large, 21, b"\xff\xfe\0\2" * 5_000)) == "unsupported"
