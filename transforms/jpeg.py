"""Fast reader of JPEG headers (the segments before the pixels)."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

from faceloom.schemas.errors import PhotoError

MOST_SEGMENTS = 50_000
"""Limit on the segments and fill bytes before the pixels."""
MOST_SCANS, MOST_SCANNED = 20, 1_000_000_000
"""A JPEG with more scans than this is not read if scans times pixels exceed the other limit: it takes minutes."""
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_SEQUENTIAL = {0xC0, 0xC1}
_BARE = {0x00, 0x01, *range(0xD0, 0xD9)}
_ORIENTATION = 0x0112
_SCAN, _END = b"\xff\xda", b"\xff\xd9"
_SEGMENT = re.compile(rb"\xff[\xc0-\xcf\xd9-\xfe]")
"""The end, or a marker that a length follows; neither is part of compressed pixels."""


@dataclass(frozen=True)
class JpegLayout:
    """The layout of a JPEG file.

    Attributes:
        width, height: stored size in pixels.
        components: 1 grey, 3 colour, 4 CMYK.
        bits: per component, nearly always 8.
        orientation: EXIF orientation 1..8, 1 if there is none.
        cut_off: whether the end marker is missing after the pixels.
        block_height: rows of pixels that are coded together (of an MCU): 8, or 16 where colour has half the rows.
    """

    width: int
    height: int
    components: int
    bits: int
    orientation: int
    cut_off: bool
    block_height: int


def is_jpeg(data: bytes) -> bool:
    """Whether the bytes begin as a JPEG does."""
    return data.startswith(b"\xff\xd8\xff")


def jpeg_layout(data: bytes) -> JpegLayout | None:
    """Read the segments before the pixels; None if there is no frame header.

    Segments are skipped by their length, so that the end marker of a thumbnail is not mistaken for the photo's. Bytes
    after the end are common and harmless.

    Raises:
        PhotoError: `unsupported`, if there are more segments or scans than any camera or editor writes.
    """
    frame, orientation, place, steps, one_scan, block_height = None, 1, 2, 0, True, 8
    while (place := data.find(b"\xff", place)) >= 0 and place + 4 <= len(data):
        marker, steps = data[place + 1], steps + 1
        if steps > MOST_SEGMENTS:
            raise PhotoError("unsupported", f"a JPEG with more than {MOST_SEGMENTS} segments", remedy="Save it anew")
        if marker == 0xDA:
            break
        if marker == 0xFF:  # a fill byte
            place += 1
            continue
        if marker in _BARE:
            place += 2
            continue
        length = int.from_bytes(data[place + 2 : place + 4], "big")
        if marker in _FRAMES and place + 10 <= len(data):
            frame = struct.unpack_from(">BHHB", data, place + 4)
            one_scan = marker in _SEQUENTIAL
            block_height = _block_height(data[place + 10 : place + 10 + 3 * frame[3]])
        elif marker == 0xE1 and data[place + 4 : place + 10] == b"Exif\0\0":
            orientation = exif_orientation(data[place + 10 : place + 2 + length])
        place += 2 + length
    else:
        place = -1
    if frame is None:
        return None
    bits, height, width, components = frame
    if place >= 0 and not (one_scan and data[place + 4 : place + 5] == bytes([components])):
        most = max(MOST_SCANS, MOST_SCANNED // max(1, width * height))
        # Few files have that many anywhere, so only these are walked.
        if data.count(_SCAN, place) > most and (scans := _count_scans(data, place)) > most:
            raise PhotoError("unsupported", "a JPEG with too many scans", value=scans, remedy="Save it anew")
    cut_off = place < 0 or data.rfind(_END, place) < 0
    return JpegLayout(width, height, components, bits, orientation, cut_off, block_height)


def _block_height(components: bytes) -> int:
    """Rows of an MCU, from the component list of the frame header. A single component is coded block by block."""
    factors = [factor & 15 for factor in components[1::3]]
    return 8 * max(1, *factors) if len(factors) > 1 else 8


def _count_scans(data: bytes, begin: int) -> int:
    """Number of scans up to the end of the picture; up to the end of the file if there are too many segments."""
    scans, place = 0, begin
    for _ in range(MOST_SEGMENTS):
        found = _SEGMENT.search(data, place)
        if found is None or found[0] == _END:
            return scans
        scans += found[0] == _SCAN
        place = found.end() + int.from_bytes(data[found.end() : found.end() + 2], "big")
    return data.count(_SCAN, begin)


def exif_orientation(exif: bytes) -> int:
    """The orientation tag of an EXIF block (a TIFF header and its first directory); 1 if it is missing or invalid."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None or len(exif) < 8:
        return 1
    (directory,) = struct.unpack_from(order + "I", exif, 4)
    if directory + 2 > len(exif):
        return 1
    (count,) = struct.unpack_from(order + "H", exif, directory)
    for entry in range(directory + 2, min(directory + 2 + 12 * count, len(exif) - 11), 12):
        tag, kind, _, value = struct.unpack_from(order + "HHIH", exif, entry)
        if tag == _ORIENTATION:
            return int(value) if kind == 3 and 1 <= value <= 8 else 1
    return 1
