"""Formats of picture files from their bytes: which one, whether the end is missing, and the same file without metadata.

Pillow reports a file that was cut off in many ways; how long a file must be follows from its own headers.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from itertools import islice

_MAGIC = {
    "JPEG": (b"\xff\xd8\xff",),
    "PNG": (b"\x89PNG\r\n\x1a\n",),
    "GIF": (b"GIF87a", b"GIF89a"),
    "TIFF": (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
    "BMP": (b"BM",),
    "JPEG2000": (b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  \r\n\x87\n"),
}
_PPM = re.compile(rb"P[1-7]\s")
_COMMENT = re.compile(rb"#[^\r\n]*")
_AVIF = (b"avif", b"avis")
_HEIF = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1")
_PNG_KEPT = {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"eXIf", b"IEND"}
_TIFF_NUMBERS = {3, 4, 5, 6, 8, 9, 10, 11, 12, 13, 16, 17, 18}
_TIFF_TYPES = {3: "H", 4: "I", 16: "Q"}
_TIFF_SPANS = (273, 279), (324, 325)
"""Tags of offsets and lengths: of strips, of tiles."""
_TIFF_PLACES = {tag for pair in _TIFF_SPANS for tag in pair}

MOST_CHUNKS, MOST_BLOCKS, MOST_VALUES = 100_000, 5_000, 500_000
MOST_TEXT, MOST_RUNS, MOST_HEAD = 20_000_000, 4_000_000, 65_536
"""Limits on what Pillow reads in Python: chunks of a PNG, blocks before a GIF's first frame, values of a TIFF's tag (as
places of strips); bytes of pixels as text, of a BMP's run lengths, and before the pixels of a PPM."""


def format_of(data: bytes) -> str:
    """Pillow's name of the format that the first bytes show, or `HEIF`; empty for others."""
    for name, starts in _MAGIC.items():
        if data.startswith(starts):
            return name
    if data.startswith(b"RIFF") and b"WEBP".startswith(data[8:12]):
        return "WEBP"
    if data[4:8] == b"ftyp":
        brands = {data[place : place + 4] for place in range(8, min(int.from_bytes(data[:4], "big"), 256), 4)}
        return "AVIF" if brands & set(_AVIF) else "HEIF" if brands & set(_HEIF) else ""
    return "PPM" if _PPM.match(data) else ""


def is_cut_off(data: bytes) -> bool:
    """Whether a file that cannot be decoded lacks its end. Bytes after the end do not count.

    JPEG is not covered, see `jpeg_layout`. A file of a format without a known length, such as PPM, counts as complete.
    """
    match format_of(data):
        case "PNG":
            return data.rfind(b"IEND") < 0
        case "WEBP":
            return len(data) < max(16, 8 + int.from_bytes(data[4:8], "little"))
        case "AVIF":
            return _boxes_cut_off(data, (b"meta", b"mdat"))
        case "JPEG2000":
            boxed = data.startswith(b"\0\0\0\x0c") and _boxes_cut_off(data, (b"jp2c",))
            return boxed or b"\xff\xd9" not in data[-64:].rstrip(b"\0")
        case "GIF":
            return _gif_first_frame(data)[1]
        case "BMP":
            return len(data) < max(26, int.from_bytes(data[2:6], "little"))
        case "TIFF":
            return _tiff_cut_off(data)
    return False


def claimed_pixels(data: bytes) -> int:
    """Pixels of a WEBP's canvas, for which its decoder needs memory before it gives the size; 0 for other formats."""
    if format_of(data) == "WEBP" and data[12:16] == b"VP8X" and len(data) >= 30:
        return (1 + int.from_bytes(data[24:27], "little")) * (1 + int.from_bytes(data[27:30], "little"))
    return 0


def without_metadata(data: bytes) -> bytes | None:
    """The file without metadata that may keep its decoder from reading the pixels; None if nothing can be left out.

    PNG: all chunks but those of pixels, palette, transparency and EXIF. AVIF: its EXIF gets a name that is ignored.
    """
    kind = format_of(data)
    if kind == "PNG":
        plain = data[:8] + b"".join(data[start:end] for name, start, end in png_chunks(data) if name in _PNG_KEPT)
    elif kind == "AVIF":
        end = next((place + size for name, place, size in _boxes(data) if name == b"meta"), 0)
        plain = data[:end].replace(b"Exif", b"none") + data[end:]
    else:
        return None
    return plain if plain != data else None


def excess(data: bytes) -> str:
    """What a file has so many of that reading them would take minutes, for the message; empty for sound files.

    JPEG is not covered, see `jpeg_layout`.
    """
    match format_of(data):
        case "PNG" if (
            len(data) > 12 * MOST_CHUNKS and sum(1 for _ in islice(png_chunks(data), MOST_CHUNKS + 1)) > MOST_CHUNKS
        ):
            return f"more than {MOST_CHUNKS} chunks"
        case "GIF" if _gif_first_frame(data)[0] > MOST_BLOCKS:
            return f"more than {MOST_BLOCKS} blocks before its first frame"
        case "TIFF" if any(count > MOST_VALUES for _, kind, count, _ in _tiff_entries(data) if kind in _TIFF_NUMBERS):
            return f"more than {MOST_VALUES} values of one kind in its directory"
        case "PPM" if data[1:2] in b"123" and len(data) > MOST_TEXT:
            return f"more than {MOST_TEXT} bytes of pixels as text"
        case "PPM" if len(data) > MOST_HEAD and len(_COMMENT.sub(b"", data[:MOST_HEAD]).split(None, 3)) < 3:
            return f"more than {MOST_HEAD} bytes before its pixels"
        case "BMP" if data[30:31] in (b"\1", b"\2") and len(data) > MOST_RUNS:
            return f"more than {MOST_RUNS} bytes of run lengths"
    return ""


def png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Name, start and end of each chunk of a PNG, up to the end of the file."""
    place = 8
    while place + 12 <= len(data):
        end = place + 12 + int.from_bytes(data[place : place + 4], "big")
        yield data[place + 4 : place + 8], place, min(end, len(data))
        place = end


def _boxes(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Name, start and declared size of the outer boxes of an ISO media file."""
    place = 0
    while place + 8 <= len(data):
        size, name = struct.unpack_from(">I4s", data, place)
        if size == 1 and place + 16 <= len(data):
            size = int.from_bytes(data[place + 8 : place + 16], "big")
        elif size == 0:
            size = len(data) - place
        if size < 8:
            return
        yield name, place, size
        place += size


def _boxes_cut_off(data: bytes, needed: tuple[bytes, ...]) -> bool:
    found = list(_boxes(data))
    names = {name for name, _, _ in found}
    if b"idat" in data[:65536]:
        names.add(b"mdat")  # the pixels of small files may lie in the box `meta`
    return not names.issuperset(needed) or any(place + size > len(data) for _, place, size in found)


def _gif_first_frame(data: bytes) -> tuple[int, bool]:
    """Number of blocks before the first frame of a GIF, and whether the file ends before that frame does."""
    blocks, place = 0, 13 + _gif_table(data[10:11])
    while place < len(data) and blocks <= MOST_BLOCKS:
        mark = data[place]
        if mark == 0x3B:
            return blocks, False
        frame = mark == 0x2C
        place += 11 + _gif_table(data[place + 9 : place + 10]) if frame else 2 if mark == 0x21 else 1
        if not frame and mark != 0x21:
            continue
        while place < len(data) and data[place]:
            place += 1 + data[place]
            blocks += not frame
        place += 1
        if frame:
            return blocks, place > len(data)
        blocks += 1
    return blocks, True


def _gif_table(flags: bytes) -> int:
    """Bytes of a palette, by the flags before it."""
    return 3 << ((flags[0] & 7) + 1) if flags and flags[0] & 0x80 else 0


def _tiff_cut_off(data: bytes) -> bool:
    """Whether the first directory of a TIFF, or its last strip or tile, lies beyond the end."""
    try:
        # The last strip is the last to be written.
        last = {
            tag: _last_value(data, kind, count, at)
            for tag, kind, count, at in _tiff_entries(data)
            if tag in _TIFF_PLACES
        }
    except struct.error:
        return True
    return not last or any(last[at] + last.get(size, 0) > len(data) for at, size in _TIFF_SPANS if at in last)


def _tiff_entries(data: bytes) -> Iterator[tuple[int, int, int, int]]:
    """Tag, type, count and place of the value of each entry of a TIFF's first directory, as far as it is there."""
    order, large = _tiff_layout(data)
    word, short = order + ("Q" if large else "I"), order + ("Q" if large else "H")
    entry, step = order + ("HHQ" if large else "HHI"), 20 if large else 12
    try:
        (place,) = struct.unpack_from(word, data, 8 if large else 4)
        (number,) = struct.unpack_from(short, data, place)
        place += 8 if large else 2
        for at in range(place, place + step * min(number, 4096), step):
            yield *struct.unpack_from(entry, data, at), at + step // 2 + 2
    except (struct.error, OverflowError):
        return


def _tiff_layout(data: bytes) -> tuple[str, bool]:
    """Byte order, and whether it is a BigTIFF."""
    return "<" if data.startswith(b"II") else ">", data[2:4] in (b"+\0", b"\0+")


def _last_value(data: bytes, kind: int, count: int, at: int) -> int:
    order, large = _tiff_layout(data)
    word = order + _TIFF_TYPES.get(kind, "I")
    size = struct.calcsize(word)
    if count * size > (8 if large else 4):
        (at,) = struct.unpack_from(order + ("Q" if large else "I"), data, at)
    return int(struct.unpack_from(word, data, at + (count - 1) * size)[0]) if count else 0
