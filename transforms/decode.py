"""Decoding of photos in any common format.

The format is detected from the content, never from the name. All decoders give the same frame: EXIF orientation is
applied, and a reduction r gives a picture of ceil(size / r), whose pixel x lies at (x + 0.5) * r - 0.5 of the full one
(`to_full_frame`, `to_reduced_frame`).
"""

from __future__ import annotations

import io
import struct
import threading
import warnings
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from faceloom.schemas.errors import PhotoError
from faceloom.transforms.jpeg import is_jpeg, jpeg_layout
from faceloom.transforms.types import Pixels, Points, Size

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage


MAX_PIXELS = 100_000_000
"""Default limit on the pixels of a photo; about 300 MB once decoded."""
REDUCTIONS = (1, 2, 4, 8)
"""Reductions that the JPEG inverse transform computes at almost no cost."""

# Excludes formats such as EPS, for which Pillow starts another program.
_FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "DIB", "GIF", "PPM", "JPEG2000", "AVIF")
_SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8", b"RIFF", b"II*\0", b"MM\0*", b"BM")
_UNSUPPORTED = {b"%PDF": "PDF", b"%!PS": "PostScript", b"8BPS": "Photoshop", b"<svg": "SVG", b"<?xml": "XML or SVG"}
_HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")
# Orientation tag -> (transpose first, then flip as cv2.flip numbers it: 1 left-right, 0 up-down, -1 both).
_TURNS = {2: (False, 1), 3: (False, -1), 4: (False, 0), 5: (True, None), 6: (True, 1), 7: (True, -1), 8: (True, 0)}
_TRANSPARENT_MODES = ("RGBA", "LA", "PA", "La", "RGBa")
_SIXTEEN_BIT_MODES = ("I;16", "I;16B", "I;16L", "I;16N", "I")
_BAND_PIXELS = 1 << 20
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, IndexError, TypeError, KeyError, OverflowError, struct.error)


@dataclass(frozen=True)
class PhotoHeader:
    """The header of a picture file.

    Attributes:
        format: Pillow's name of the format, such as `JPEG`.
        width: stored width in pixels, before the EXIF orientation is applied.
        height: stored height in pixels.
        exif_orientation: 1..8; 1 if it is missing or invalid, and for TIFF, whose size is already rotated.
        mode: Pillow's name of the pixel mode, such as `RGB`, `L`, `CMYK`, `I;16`.
    """

    format: str
    width: int
    height: int
    exif_orientation: int
    mode: str

    @property
    def size(self) -> Size:
        """Width and height of the decoded picture, EXIF orientation applied."""
        return (self.height, self.width) if self.exif_orientation >= 5 else (self.width, self.height)


def read_header(data: bytes, *, max_pixels: int = MAX_PIXELS) -> PhotoHeader:
    """Read the header of a file without decoding its pixels.

    Raises:
        PhotoError: `empty`, `not_an_image`, `unsupported`, `truncated` (the end of a JPEG, PNG or WEBP is missing),
            `too_many_pixels`, `decode_failed`.
    """
    if not data:
        raise PhotoError("empty", "the file has no bytes")
    header, cut_off = _jpeg_header(data) or _pillow_header(data)
    if header.width * header.height > max_pixels:
        raise PhotoError(
            "too_many_pixels",
            f"the picture has more than {max_pixels} pixels",
            value=f"{header.width}x{header.height}",
            remedy="Raise the limit or shrink the photo",
        )
    if cut_off:
        raise PhotoError("truncated", f"the end of the {header.format} file is missing", value=f"{len(data)} bytes")
    return header


def read_size(start: bytes) -> Size:
    """Width and height of the decoded picture, from the first bytes of its file; 64 KiB usually suffice.

    Raises:
        PhotoError: these bytes do not contain the size. Whether the file is complete is not checked.
    """
    return (_jpeg_header(start) or _pillow_header(start))[0].size


def decode_rgb(
    data: bytes, *, reduction: int = 1, max_pixels: int = MAX_PIXELS, header: PhotoHeader | None = None
) -> Pixels:
    """Decode a photo in colour.

    Transparent pixels are composited over white. 16-bit grey is rounded to 8 bits; 16-bit colour keeps its upper 8
    bits, which is the same within one level and without bias. An animation gives its first frame.

    Args:
        data: the file's bytes.
        reduction: 1, 2, 4 or 8: decode to ceil(size / reduction), cheaply for JPEG.
        max_pixels: limit on the stored picture.
        header: result of `read_header` for these bytes, if it is known.

    Returns:
        uint8 (H, W, 3), RGB, EXIF orientation applied.

    Raises:
        PhotoError: as `read_header`, and `decode_failed` when the pixels cannot be read.
    """
    import cv2

    pixels = _decode(data, header or read_header(data, max_pixels=max_pixels), reduction, grey=False)
    return pixels if pixels.ndim == 3 else np.asarray(cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB), np.uint8)


def decode_grey(
    data: bytes, *, reduction: int = 1, max_pixels: int = MAX_PIXELS, header: PhotoHeader | None = None
) -> Pixels:
    """Decode a photo's luminance, uint8 (H, W), in the frame of `decode_rgb` and at half its cost.

    Takes the same arguments and raises the same errors as `decode_rgb`.
    """
    import cv2

    pixels = _decode(data, header or read_header(data, max_pixels=max_pixels), reduction, grey=True)
    return pixels if pixels.ndim == 2 else np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.uint8)


def to_full_frame(points: Points, reduction: int) -> Points:
    """Points of a reduced picture in pixels of the full one."""
    return (points + 0.5) * reduction - 0.5


def to_reduced_frame(points: Points, reduction: int) -> Points:
    """Points of the full picture in pixels of a reduced one."""
    return (points + 0.5) / reduction - 0.5


def shrink(pixels: Pixels, reduction: int) -> Pixels:
    """Average blocks of reduction x reduction pixels to a picture of ceil(size / reduction)."""
    import cv2

    if reduction == 1:
        return pixels
    height, width = pixels.shape[:2]
    below, beside = -height % reduction, -width % reduction
    if below or beside:
        pixels = np.asarray(cv2.copyMakeBorder(pixels, 0, below, 0, beside, cv2.BORDER_REPLICATE), np.uint8)
    size = (pixels.shape[1] // reduction, pixels.shape[0] // reduction)
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def _decode(data: bytes, header: PhotoHeader, reduction: int, *, grey: bool) -> Pixels:
    """Decode with OpenCV where it is correct, else with Pillow (in colour, or grey if the file is grey)."""
    import cv2

    if reduction not in REDUCTIONS:
        raise ValueError(f"reduction is one of {REDUCTIONS}, not {reduction}")
    if header.format != "JPEG" or header.mode not in ("RGB", "L"):
        return shrink(_turn(_pillow_pixels(data), header.exif_orientation), reduction)
    if not _reduces_in_place(header, reduction):
        return shrink(_decode(data, header, 1, grey=grey), reduction)
    flags = cv2.IMREAD_IGNORE_ORIENTATION | (cv2.IMREAD_GRAYSCALE if grey else cv2.IMREAD_COLOR_RGB)
    # OpenCV's flags for reduced grey have one bit each, and mean colour when the colour bit is set as well.
    flags |= {
        1: 0,
        2: cv2.IMREAD_REDUCED_GRAYSCALE_2,
        4: cv2.IMREAD_REDUCED_GRAYSCALE_4,
        8: cv2.IMREAD_REDUCED_GRAYSCALE_8,
    }[reduction]
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        raise PhotoError("decode_failed", "the picture cannot be decoded", value=error) from None
    if pixels is None:
        raise PhotoError("decode_failed", "the picture cannot be decoded")
    return _turn(np.asarray(pixels, np.uint8), header.exif_orientation)


def _reduces_in_place(header: PhotoHeader, reduction: int) -> bool:
    """Whether reducing before rotating gives the same frame as after; false when a flip moves a partial edge block."""
    flip = _TURNS.get(header.exif_orientation, (False, None))[1]
    width, height = header.size
    return not (flip in (1, -1) and width % reduction) and not (flip in (0, -1) and height % reduction)


def _turn(pixels: Pixels, orientation: int) -> Pixels:
    import cv2

    transpose, flip = _TURNS.get(orientation, (False, None))
    turned = np.asarray(cv2.transpose(pixels) if transpose else pixels, np.uint8)
    if flip is not None:
        cv2.flip(turned, flip, turned)  # in place: large photos take memory enough
    return turned


@lru_cache(maxsize=1)
def _formats() -> tuple[str, ...]:
    """The formats that the installed Pillow supports."""
    from PIL import Image

    Image.init()
    return tuple(name for name in _FORMATS if name in Image.OPEN)


class _PillowLimitLifted:
    """Context manager that disables Pillow's own pixel limit; `max_pixels` is checked instead.

    Pillow's limit is global to the process, so it is restored when the last thread leaves.
    """

    def __init__(self) -> None:
        self._lock, self._inside = threading.Lock(), 0
        self._limit: int | None = None

    def __enter__(self) -> None:
        from PIL import Image

        with self._lock:
            if self._inside == 0:
                self._limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        from PIL import Image

        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                Image.MAX_IMAGE_PIXELS = self._limit


_LIMIT_LIFTED = _PillowLimitLifted()


def _open(data: bytes) -> tuple[PillowImage, int]:
    """Pillow's lazy image, and the EXIF orientation still to be applied."""
    from PIL import Image, UnidentifiedImageError

    with warnings.catch_warnings(), _LIMIT_LIFTED:
        warnings.simplefilter("ignore")  # odd metadata does not matter
        try:
            image = Image.open(io.BytesIO(data), formats=_formats())
            # The PNG class's own getexif would decode the pixels to look behind them.
            orientation = Image.Image.getexif(image).get(0x0112, 1)
        except UnidentifiedImageError:
            raise _unidentified(data) from None
        except _BROKEN as error:
            raise _broken(error) from None
    turned_by_pillow = image.format == "TIFF"
    valid = isinstance(orientation, int) and 1 <= orientation <= 8 and not turned_by_pillow
    return image, int(orientation) if valid else 1


def _unidentified(data: bytes) -> PhotoError:
    head = data[:512].lstrip()
    kind = next((name for magic, name in _UNSUPPORTED.items() if head.startswith(magic)), None)
    if data[4:8] == b"ftyp" and data[8:12] in _HEIF_BRANDS:
        kind = "HEIF"
    if kind:
        return PhotoError("unsupported", f"{kind} files are not read", remedy="Convert it to JPEG, PNG or WEBP")
    if not data.startswith(_SIGNATURES):
        return PhotoError("not_an_image", "the file is not a picture", value=data[:8])
    if _is_cut_off(data):
        return PhotoError("truncated", "the end of the file is missing", value=f"{len(data)} bytes")
    return PhotoError("decode_failed", "the file starts like a picture, but cannot be read as one")


def _broken(error: Exception) -> PhotoError:
    truncated = "truncated" in str(error).lower() or isinstance(error, EOFError)
    what = "the end of the file is missing" if truncated else "the picture cannot be decoded"
    return PhotoError("truncated" if truncated else "decode_failed", what, value=error)


def _jpeg_header(data: bytes) -> tuple[PhotoHeader, bool] | None:
    """The header and whether the file is cut off; None for unusual JPEGs and other formats, which Pillow reads."""
    layout = jpeg_layout(data) if is_jpeg(data) else None
    mode = {1: "L", 3: "RGB", 4: "CMYK"}.get(layout.components) if layout and layout.bits == 8 else None
    if layout is None or mode is None or layout.width == 0 or layout.height == 0:
        return None
    return PhotoHeader("JPEG", layout.width, layout.height, layout.orientation, mode), layout.cut_off


def _pillow_header(data: bytes) -> tuple[PhotoHeader, bool]:
    image, orientation = _open(data)
    return PhotoHeader(str(image.format), *image.size, orientation, image.mode), _is_cut_off(data)


def _is_cut_off(data: bytes) -> bool:
    """Whether a JPEG, PNG or WEBP lacks its end; bytes after the end are common and harmless."""
    if is_jpeg(data):
        layout = jpeg_layout(data)
        return layout is None or layout.cut_off
    if data.startswith(b"\x89PNG"):
        return data.rfind(b"IEND") < 0
    if data.startswith(b"RIFF"):
        return len(data) < 8 + int.from_bytes(data[4:8], "little")
    return False


def _pillow_pixels(data: bytes) -> Pixels:
    """Stored pixels by Pillow, without EXIF rotation: uint8 (H, W) for grey pictures, else (H, W, 3)."""
    image, _ = _open(data)
    with warnings.catch_warnings(), _LIMIT_LIFTED:
        warnings.simplefilter("ignore")
        try:
            image.load()
            width, height = image.size
            opaque = "transparency" not in image.info
            grey = image.mode in _SIXTEEN_BIT_MODES or (image.mode in ("1", "L") and opaque)
            pixels = np.empty((height, width) if grey else (height, width, 3), np.uint8)
            rows = max(1, _BAND_PIXELS // width)
            for top in range(0, height, rows):  # in bands, so that conversions never hold a second picture
                band = image.crop((0, top, width, min(top + rows, height)))
                pixels[top : top + rows] = _band_pixels(band, grey)
        except _BROKEN as error:
            raise _broken(error) from None
    return pixels


def _band_pixels(band: PillowImage, grey: bool) -> Pixels:
    from PIL import Image

    if band.mode in _SIXTEEN_BIT_MODES:
        values = np.asarray(band)
        if values.min() < 0 or values.max() > 65535:
            raise PhotoError("unsupported", "pixels of more than 16 bits are not read", value=values.max())
        pixels = np.asarray((values.astype(np.uint32) + 128) // 257, np.uint8)
        pixels[values == band.info.get("transparency", -1)] = 255
        return pixels
    if band.mode == "F":
        raise PhotoError("unsupported", "pixels that are floating-point numbers have no known white")
    if grey:
        return np.asarray(band.convert("L"))
    if band.mode in _TRANSPARENT_MODES or "transparency" in band.info:
        rgba = band.convert("RGBA")
        band = Image.new("RGB", band.size, "white")
        band.paste(rgba, mask=rgba)
    return np.asarray(band.convert("RGB"))
