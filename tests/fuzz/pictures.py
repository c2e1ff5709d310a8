"""Photos in every format that is read, damaged and made up."""

from __future__ import annotations

import io
import struct
import zlib
from functools import cache
from pathlib import Path
from random import Random

from faceloom.transforms.decode import decode_grey, decode_rgb, read_header, read_size
from tests.fuzz.base import INPUT, Case, Kind, build, face_photo, tiny_photo
from tests.fuzz.mutate import mutate, noise, put
from tests.fuzz.rules import Outcomes

_FORMATS = {
    "JPEG": ("RGB", "L", "CMYK"),
    "PNG": ("RGB", "RGBA", "L", "LA", "P", "1", "I;16"),
    "WEBP": ("RGB", "RGBA"),
    "TIFF": ("RGB", "L", "CMYK", "I;16", "1", "RGBA", "F"),
    "GIF": ("P", "L"),
    "BMP": ("RGB", "P", "L"),
    "PPM": ("RGB", "L", "1"),
    "JPEG2000": ("RGB", "L", "RGBA"),
    "AVIF": ("RGB", "RGBA"),
}


@cache
def valid() -> dict[str, bytes]:
    """A small picture in each format and mode, and some with EXIF, frames or several passes."""
    from PIL import Image

    small = Image.open(io.BytesIO(tiny_photo())).convert("RGB").resize((40, 48))
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a view"
    found: dict[str, bytes] = {"face": face_photo()}
    for name, modes in _FORMATS.items():
        for mode in modes:
            _save(
                found,
                f"{name} {mode}",
                small.convert("L").convert("I").convert(mode) if mode == "I;16" else small.convert(mode),
                name,
            )
        if name in ("JPEG", "PNG", "WEBP", "TIFF", "AVIF"):
            _save(found, f"{name} exif", small, name, exif=exif)
    _save(found, "JPEG progressive", small, "JPEG", progressive=True)
    _save(found, "PNG interlaced", small, "PNG", interlace=1)
    _save(found, "GIF frames", small, "GIF", save_all=True, append_images=[small.rotate(90)])
    _save(found, "PNG frames", small, "PNG", save_all=True, append_images=[small.rotate(90)])
    _save(found, "WEBP frames", small, "WEBP", save_all=True, append_images=[small.rotate(90)])
    for compression in ("tiff_lzw", "tiff_deflate", "packbits", "jpeg"):
        _save(found, f"TIFF {compression}", small, "TIFF", compression=compression)
    return found


def _save(found: dict[str, bytes], name: str, picture: object, kind: str, **options: object) -> None:
    from PIL import Image

    assert isinstance(picture, Image.Image)
    buffer = io.BytesIO()
    try:
        picture.save(buffer, kind, **options)
    except (OSError, ValueError, KeyError):
        return  # this Pillow cannot write it
    found[name] = buffer.getvalue()


def png(width: int, height: int, depth: int = 8, colour: int = 2, rows: bytes = b"", *more: bytes) -> bytes:
    """A PNG with these numbers in its header, and compressed rows that need not fit them."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        [chunk(b"IHDR", header), *more, chunk(b"IDAT", zlib.compress(rows, 9)), chunk(b"IEND", b"")]
    )


def chunk(kind: bytes, data: bytes) -> bytes:
    """A piece of a PNG with a sum that is right."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def tiff(*entries: tuple[int, int, int, int], order: str = "<") -> bytes:
    """A TIFF of some entries: tag, type, count and value."""
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    rows = b"".join(struct.pack(order + "HHII", *entry) for entry in entries)
    return head + struct.pack(order + "H", len(entries)) + rows + struct.pack(order + "I", 8)


def seeds() -> dict[str, Case]:
    """Bombs, lies about size, chains without end, and formats that start other programs."""
    small = valid()["JPEG RGB"]
    made = {
        "valid face": face_photo(),
        "zero png": png(0, 0),
        "huge png": png(2**31 - 1, 2**31 - 1),
        "bomb png": png(5_000, 5_000, rows=b"\0" * (5_000 * 3 + 1) * 5_000),
        "bomb png 16 bit": png(4_000, 4_000, 16, 6, b"\0" * (4_000 * 8 + 1) * 4_000),
        "text bomb png": png(8, 8, 8, 2, b"\0" * 200, chunk(b"zTXt", b"a\0\0" + zlib.compress(b"\0" * 50_000_000))),
        "profile bomb png": png(8, 8, 8, 2, b"\0" * 200, chunk(b"iCCP", b"a\0\0" + zlib.compress(b"\0" * 50_000_000))),
        "wide png": png(99_000_000, 1),
        "tall png": png(1, 99_000_000, 1, 0, b"\0\0" * 1000),
        "one pixel": png(1, 1, rows=b"\0\1\2\3"),
        "line": png(5_000, 1, rows=b"\0" * 15_001),
        "huge jpeg": b"\xff\xd8\xff\xc0\0\x11\x08\xff\xff\xff\xff\3\1\x22\0\2\x11\1\3\x11\1\xff\xd9",
        "tiff that names itself": tiff((256, 4, 1, 10), (257, 4, 1, 10), (330, 4, 1, 8)),
        "tiff of 2^32 values": tiff((256, 4, 1, 10), (257, 4, 1, 10), (273, 4, 2**32 - 1, 8), (279, 4, 2**32 - 1, 8)),
        "tiff of bits": tiff((256, 4, 1, 30_000), (257, 4, 1, 3_000), (258, 3, 60_000, 8), (277, 3, 1, 60_000)),
        "endless scans": small[:-2] + small[small.find(b"\xff\xda") : -2] * 60 + b"\xff\xd9",
        "long comment": small[:2] + b"\xff\xfe\xff\xff" + b"a" * 65_533 + small[2:],
        "exif loop": small[:2] + b"\xff\xe1\0\x22Exif\0\0" + tiff((0x8769, 4, 1, 8)) + small[2:],
        "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(x) (w) file",
        "svg": b'<?xml version="1.0"?><!DOCTYPE s [<!ENTITY a SYSTEM "file:///etc/passwd">]><svg>&a;</svg>',
        "header of heic": b"\0\0\0\x18ftypheic" + b"\0" * 40,
        "header of jxl": b"\xff\x0a" + b"\0" * 40,
        "pnm of words": b"P3 99999 999 255 " + b"1 " * 50,
        "pnm of letters": b"P6 " + b"9" * 400 + b" 1 255\n",
        "pnm comment": b"P6 #" + b"a" * 100_000,
    }
    return {name: {"photo.jpg": data} for name, data in made.items()}


def make(rng: Random) -> Case:
    """A damaged picture; one in ten has a face, one in ten a header of our own."""
    pictures = valid()
    others = list(pictures.values())
    if rng.random() < 0.1:
        width, height = (rng.choice((0, 1, 7, 8, 4_000, 65_535, 2**31 - 1)) for _ in range(2))
        kind = rng.choice((b"eXIf", b"iCCP", b"tRNS", b"PLTE", b"acTL", b"fcTL"))
        extra = chunk(kind, noise(rng, rng.choice((0, 3, 26, 600))))
        depth, colour, rows = rng.choice((1, 2, 8, 16, 3)), rng.choice((0, 2, 3, 4, 6, 1)), rng.choice((0, 9, 3_000))
        return {"photo.jpg": png(width, height, depth, colour, bytes(rows), extra)}
    name = "face" if rng.random() < 0.1 else rng.choice(list(pictures))
    data = pictures[name]
    if "exif" in name and rng.random() < 0.5:
        at = max(data.find(b"Exif"), data.find(b"II*\0"), data.find(b"MM\0*"), 0)
        data = put(data, at + rng.randrange(60), noise(rng, rng.choice((1, 2, 4))))
    return {"photo.jpg": mutate(rng, data, others)}


def run(folder: Path, outcomes: Outcomes) -> None:
    """Read header, size and pixels of a picture at each reduction, then build from it."""
    data = (folder / INPUT / "photo.jpg").read_bytes()
    outcomes.attempt("size", lambda: read_size(data[: 1 << 16]))
    header = outcomes.attempt("header", lambda: read_header(data))
    if header is not None:
        outcomes.attempt("grey", lambda: decode_grey(data, reduction=4, header=header))
        outcomes.attempt("colour", lambda: decode_rgb(data, header=header))
    build(folder, outcomes, folder / INPUT)


KIND = Kind("pictures", seeds, make, run)
