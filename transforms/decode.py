"""Decoding of photos in any common format.

The format is detected from the content, never from the name. All decoders give the same frame: EXIF orientation is
applied, and a reduction r gives a picture of ceil(size / r), whose pixel x lies at (x + 0.5) * r - 0.5 of the full one
(`to_full_frame`, `to_reduced_frame`).
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from faceloom.schemas.errors import PhotoError
from faceloom.transforms.colour_profile import Conversion, conversion_by
from faceloom.transforms.damage import decode_undamaged, require_sound, require_undamaged
from faceloom.transforms.file_format import claimed_pixels, excess, format_of, is_cut_off, without_metadata
from faceloom.transforms.jpeg import is_jpeg, jpeg_layout
from faceloom.transforms.memory import is_memory_fault, require_memory
from faceloom.transforms.pillow import LIMIT_LIFTED, SIXTEEN_BIT_MODES, band_pixels, is_deep, readable_formats, white_of
from faceloom.transforms.types import Pixels, Points, Size

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage


_Read = TypeVar("_Read")

MAX_PIXELS = 100_000_000
"""Default limit on the pixels of a photo; about 300 MB once decoded."""
MOST_SIDE = 65_535
"""Limit on a side in pixels, that of JPEG. Decoders take long over a picture of a few endless lines, or fail."""
REDUCTIONS = (1, 2, 4, 8)
"""Reductions that the JPEG inverse transform computes at almost no cost."""

_UNSUPPORTED = {b"%PDF": "PDF", b"%!PS": "PostScript", b"8BPS": "Photoshop", b"<svg": "SVG", b"<?xml": "XML or SVG"}
# Orientation tag -> (transpose first, then flip as cv2.flip numbers it: 1 left-right, 0 up-down, -1 both).
_TURNS = {2: (False, 1), 3: (False, -1), 4: (False, 0), 5: (True, None), 6: (True, 1), 7: (True, -1), 8: (True, 0)}
_UNPROFILED_MODES = ("CMYK", "LAB", "YCbCr", "HSV")
_GREY_MODES = ("1", "L", "LA", "La", *SIXTEEN_BIT_MODES)
_BAND_PIXELS = 1 << 20
_MEMORY = 64 << 20, 20
"""Memory that any decoder may need: bytes for a file, and for each of its pixels."""


@dataclass(frozen=True)
class PhotoHeader:
    """The header of a picture file.

    Attributes:
        format: Pillow's name of the format, such as `JPEG`.
        width: stored width in pixels, before the EXIF orientation is applied.
        height: stored height in pixels.
        exif_orientation: 1..8; 1 if it is missing or invalid, and for TIFF, whose size is already rotated.
        mode: Pillow's name of the pixel mode, such as `RGB`, `L`, `CMYK`, `I;16`.
        block_height: of a JPEG, rows of pixels that are coded together; 0 if unknown.
    """

    format: str
    width: int
    height: int
    exif_orientation: int
    mode: str
    block_height: int = 0

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
    if (claimed := claimed_pixels(data)) > max_pixels:
        raise _too_large(max_pixels, f"{claimed} pixels")
    if much := excess(data):
        raise PhotoError("unsupported", "the file has too many pieces", value=much, remedy="Save it anew")
    header, cut_off = _jpeg_header(data) or _tolerant(_pillow_header, data)
    if header.width * header.height > max_pixels:
        raise _too_large(max_pixels, f"{header.width}x{header.height}")
    if max(header.size) > MOST_SIDE:
        what, remedy = f"a side has more than {MOST_SIDE:,} pixels", "Crop the picture"
        raise PhotoError("unsupported", what, value=f"{header.width}x{header.height}", remedy=remedy)
    if cut_off:
        raise PhotoError("truncated", f"the end of the {header.format} file is missing", value=f"{len(data)} bytes")
    return header


def _too_large(max_pixels: int, found: str) -> PhotoError:
    what, remedy = f"the picture has more than {max_pixels} pixels", "Raise the limit or shrink the photo"
    return PhotoError("too_many_pixels", what, value=found, remedy=remedy)


def read_size(start: bytes) -> Size:
    """Width and height of the decoded picture, from the first bytes of its file; 64 KiB usually suffice.

    Raises:
        PhotoError: these bytes do not contain the size. Whether the file is complete is not checked.
    """
    return (_jpeg_header(start) or _pillow_header(start))[0].size


def decode_rgb(
    data: bytes, *, reduction: int = 1, max_pixels: int = MAX_PIXELS, header: PhotoHeader | None = None
) -> Pixels:
    """Decode a photo in colour, as sRGB.

    RGB and grey pixels with an ICC profile, such as Adobe RGB or Display P3, are converted; profiles of CMYK are
    ignored. Transparent pixels are composited over white. 16-bit grey is rounded to 8 bits; 16-bit colour keeps its
    upper 8 bits, which is the same within one level and without bias. If no value of a 16-bit picture is above 4095,
    it holds 12 bits or fewer: grey is then scaled from 8, 10 or 12 bits, the fewest that hold its values, and colour is
    rejected. An animation gives its first frame.

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

    header = header or read_header(data, max_pixels=max_pixels)
    pixels = _decode(data, header, reduction, grey=False, check=False)
    if pixels.ndim == 2:
        pixels = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB), np.uint8)
    conversion = _conversion(data, header)
    return conversion.to_srgb(pixels) if conversion else pixels


def decode_grey(
    data: bytes,
    *,
    reduction: int = 1,
    max_pixels: int = MAX_PIXELS,
    header: PhotoHeader | None = None,
    check: bool = True,
) -> Pixels:
    """Decode a photo's luminance, uint8 (H, W), in the frame of `decode_rgb` and, without a profile, at half its cost.

    Takes the same arguments and raises the same errors as `decode_rgb`, and `damaged` for a JPEG that shows damage
    inside, see `damage`, if `check` is set. Otherwise such files are decoded as far as they go, as by `decode_rgb`.
    """
    import cv2

    header = header or read_header(data, max_pixels=max_pixels)
    conversion = _conversion(data, header)
    if conversion is not None and header.format == "JPEG" and check:
        _decode(data, header, reduction, grey=True, check=True)
    pixels = _decode(data, header, reduction, grey=conversion is None, check=check and conversion is None)
    if conversion is not None:
        pixels = conversion.to_srgb(pixels)
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


def _decode(data: bytes, header: PhotoHeader, reduction: int, *, grey: bool, check: bool) -> Pixels:
    """Decode with OpenCV where it is correct, else with Pillow (in colour, or grey if the file is grey)."""
    import cv2

    if reduction not in REDUCTIONS:
        raise ValueError(f"reduction is one of {REDUCTIONS}, not {reduction}")
    if check and header.format == "JPEG" and header.mode == "CMYK" and not require_undamaged(data):
        require_sound(_tolerant(_pillow_pixels, data), header.block_height, "", data)
    if header.format != "JPEG" or header.mode not in ("RGB", "L"):
        return shrink(_turn(_tolerant(_pillow_pixels, data), header.exif_orientation), reduction)
    if not _reduces_in_place(header, reduction):
        return shrink(_decode(data, header, 1, grey=grey, check=check), reduction)
    refused = ""
    if check:
        size = header.width, header.height
        try:
            checked = decode_undamaged(data, size, reduction, header.block_height)
            return _turn(checked, header.exif_orientation)
        except ValueError as error:
            refused = str(error)
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
        raise _broken(data, error, header.width * header.height) from None
    if pixels is None:
        raise _broken(data, None, header.width * header.height)
    if refused:  # OpenCV gives the pixels before a fault
        require_sound(np.asarray(pixels, np.uint8), header.block_height // reduction, refused, data)
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


def _tolerant(read: Callable[[bytes], _Read], data: bytes) -> _Read:
    """Read a picture, and if that fails, read it without its metadata: odd profiles or texts do not spoil pixels."""
    try:
        return read(data)
    except PhotoError:
        plain = without_metadata(data)
        if plain is None:
            raise
        try:
            return read(plain)
        except PhotoError:
            pass
        raise


def _conversion(data: bytes, header: PhotoHeader) -> Conversion | None:
    """The conversion to sRGB from the profile of a file; None if there is none, or its metadata is damaged."""
    if header.mode in _UNPROFILED_MODES or (header.format == "JPEG" and b"ICC_PROFILE\0" not in data):
        return None
    try:
        profile = _open(data)[0].info.get("icc_profile")
    except PhotoError:
        return None
    return conversion_by(profile, grey=header.mode in _GREY_MODES) if profile else None


def _open(data: bytes) -> tuple[PillowImage, int]:
    """Pillow's lazy image, and the EXIF orientation still to be applied."""
    from PIL import Image, UnidentifiedImageError

    formats = readable_formats()
    with warnings.catch_warnings(), LIMIT_LIFTED:
        warnings.simplefilter("ignore")  # odd metadata does not matter
        try:
            image = Image.open(io.BytesIO(data), formats=formats)
        except ImportError:
            raise
        except UnidentifiedImageError:
            raise _unidentified(data) from None
        except Exception as error:  # Pillow raises many kinds on odd files
            raise _broken(data, error) from None
        return image, 1 if image.format == "TIFF" else _orientation(image)  # Pillow turns TIFF itself


def _orientation(image: PillowImage) -> int:
    """EXIF orientation of a picture, 1..8; 1 if its EXIF is broken."""
    from PIL import Image

    try:
        # The PNG class's own getexif would decode the pixels to look behind them.
        found = Image.Image.getexif(image).get(0x0112, 1)
    except ImportError:
        raise
    except Exception as error:
        if is_memory_fault(error):
            raise MemoryError(str(error)) from None
        return 1
    return int(found) if isinstance(found, int) and 1 <= found <= 8 else 1


def _unidentified(data: bytes) -> PhotoError:
    """The error for bytes that Pillow does not take for a picture."""
    head, found = data[:512].lstrip(), format_of(data)
    kind = next((name for magic, name in _UNSUPPORTED.items() if head.startswith(magic)), None)
    if kind or found == "HEIF":
        return PhotoError(
            "unsupported", f"{kind or found} files are not read", remedy="Convert it to JPEG, PNG or WEBP"
        )
    if not found:
        return PhotoError("not_an_image", "the file is not a picture", value=data[:8])
    if found not in readable_formats():
        return PhotoError("unsupported", f"this Pillow does not read {found}", remedy="Install a Pillow that does")
    return _broken(data, None)


def _broken(data: bytes, error: Exception | None, pixels: int = 0) -> PhotoError:
    """The error for a picture that a library cannot decode.

    Raises:
        MemoryError: the library may have failed because memory ran out.
    """
    require_memory(_MEMORY[0] + _MEMORY[1] * pixels, error)
    torn = "truncated" in str(error).lower() or isinstance(error, EOFError) or _is_cut_off(data)
    if torn:
        return PhotoError("truncated", "the end of the file is missing", value=error or f"{len(data)} bytes")
    return PhotoError("decode_failed", "the picture cannot be decoded", value=error or "")


def _jpeg_header(data: bytes) -> tuple[PhotoHeader, bool] | None:
    """The header and whether the file is cut off; None for unusual JPEGs and other formats, which Pillow reads."""
    layout = jpeg_layout(data) if is_jpeg(data) else None
    mode = {1: "L", 3: "RGB", 4: "CMYK"}.get(layout.components) if layout and layout.bits == 8 else None
    if layout is None or mode is None or layout.width == 0 or layout.height == 0:
        return None
    header = PhotoHeader("JPEG", layout.width, layout.height, layout.orientation, mode, layout.block_height)
    return header, layout.cut_off


def _pillow_header(data: bytes) -> tuple[PhotoHeader, bool]:
    image, orientation = _open(data)
    # Pillow reads other formats without their end, as far as the pixels of the first frame are complete.
    checked = format_of(data) in ("JPEG", "PNG", "WEBP") and _is_cut_off(data)
    return PhotoHeader(str(image.format), *image.size, orientation, image.mode), checked


def _is_cut_off(data: bytes) -> bool:
    """Whether a picture that cannot be decoded lacks its end."""
    if is_jpeg(data):
        layout = jpeg_layout(data)
        return layout is None or layout.cut_off
    return is_cut_off(data)


def _pillow_pixels(data: bytes) -> Pixels:
    """Stored pixels by Pillow, without EXIF rotation: uint8 (H, W) for grey pictures, else (H, W, 3)."""
    image, _ = _open(data)
    with warnings.catch_warnings(), LIMIT_LIFTED:
        warnings.simplefilter("ignore")
        try:
            deep = is_deep(image)
            image.load()
            width, height = image.size
            white = white_of(image) if image.mode in SIXTEEN_BIT_MODES else 255
            opaque = "transparency" not in image.info
            grey = image.mode in SIXTEEN_BIT_MODES or (image.mode in ("1", "L") and opaque)
            pixels = np.empty((height, width) if grey else (height, width, 3), np.uint8)
            rows = max(1, _BAND_PIXELS // width)
            for top in range(0, height, rows):  # in bands, so that conversions never hold a second picture
                band = image.crop((0, top, width, min(top + rows, height)))
                pixels[top : top + rows] = band_pixels(band, grey, white)
            if deep and pixels.ndim == 3 and pixels.max() < 16:
                what, remedy = (
                    "a 16-bit colour picture whose values use 12 bits or fewer",
                    "Scale its values to 16 bits",
                )
                raise PhotoError("unsupported", what, remedy=remedy)
        except (ImportError, PhotoError):
            raise
        except Exception as error:
            raise _broken(data, error, image.width * image.height) from None
    return pixels
