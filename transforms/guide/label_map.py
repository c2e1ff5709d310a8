"""Parsing maps: the face parts that each pixel belongs to, decoded from label files and warped to the crop."""

from __future__ import annotations

import io
import struct
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from faceloom.schemas.errors import PhotoError
from faceloom.schemas.guide import MOST_NAMES, PARTS
from faceloom.schemas.labels import LabelFiles
from faceloom.transforms.geometry import compose, invert
from faceloom.transforms.types import BoolMask, Matrix, Size

Bits = npt.NDArray[np.uint32]
"""(H, W): bit k is set where part k of `PARTS` lies. Parts overlap in part files: skin covers eyes, nose and mouth."""
OTHER = 1 << 31
"""The bit of what a label order names and is no part, such as teeth; background has no bit."""

SAME_SHAPE = 0.01
"""Tolerance between the aspect ratios of a label map and its photo."""

_BROKEN = (OSError, SyntaxError, ValueError, EOFError, IndexError, TypeError, KeyError, OverflowError, struct.error)


@dataclass(frozen=True, eq=False)
class LabelMap:
    """The parts of a face, pixel by pixel.

    Attributes:
        bits: see `Bits`; its frame is the upright photo's, whatever the size of either.
        known: the parts that the label order defines; the map has no information about others.
        order: name of the label order of the files, or `parts` if each showed one part.
        made_by: `labels` if people drew it, `parser` if a network did.
        from_photo: matrix 2x3 from the upright photo to `bits`; None if `bits` show the whole photo.
    """

    bits: Bits
    known: frozenset[str]
    order: str
    made_by: Literal["labels", "parser"] = "labels"
    from_photo: Matrix | None = None


def bit_of(part: str) -> int:
    """The bit of a part."""
    return 1 << PARTS.index(part)


def bits_by_value(names: Sequence[str]) -> npt.NDArray[np.uint32]:
    """The bits of each value of a map, uint32 (256,), if the values 1, 2, … have these names; 0 is background."""
    bits = [bit_of(name) if name in PARTS else OTHER for name in names]
    return np.array([0, *bits, *[0] * (MOST_NAMES - len(bits))], np.uint32)


def known_parts(names: Sequence[str]) -> frozenset[str]:
    """The parts among the names of a label order."""
    return frozenset(names) & frozenset(PARTS)


def decode_labels(labels: LabelFiles, wanted: Collection[str] = PARTS) -> LabelMap:
    """Decode label files.

    A part file may be RGB, grey or palette: what is not 0 is the part. A flattened map holds one value per pixel, grey
    or palette (then the index counts, not the colour).

    Args:
        labels: the files, as a source reads them.
        wanted: the parts needed; files of other parts are not decoded.

    Raises:
        PhotoError: `bad_labels`: no picture, part files of several sizes, or a value that the order does not name.
    """
    if labels.names:
        ((_, data),) = labels.files
        return _flattened(_pixels(data, "label map"), labels)
    needed = [(part, data) for part, data in labels.files if part in wanted]
    first, data = (needed or labels.files)[0]
    bits = np.zeros(_size(data, first)[::-1], np.uint32)
    for part, data in needed:
        pixels = _pixels(data, part)
        if pixels.shape[:2] != bits.shape:
            raise PhotoError("bad_labels", "the part files of a photo differ in size", where=part, value=pixels.shape)
        bits[_any_channel(pixels)] |= np.uint32(bit_of(part))
    return LabelMap(bits, frozenset(PARTS), labels.order)


def _flattened(values: npt.NDArray[np.uint8], labels: LabelFiles) -> LabelMap:
    if values.ndim == 3:
        if (values != values[..., :1]).any():
            raise PhotoError("bad_labels", "a label map has one value per pixel, this one has colours")
        values = values[..., 0]
    if values.max(initial=0) > len(labels.names):
        what = f"the label order names {len(labels.names)} values"
        raise PhotoError("bad_labels", what, value=values.max(), remedy="Name the order of the source's `label_order`")
    return LabelMap(bits_by_value(labels.names)[values], known_parts(labels.names), labels.order)


def _pixels(data: bytes, what: str) -> npt.NDArray[np.uint8]:
    """Stored values of a label picture: palette indices, grey or colours without transparency."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data), formats=("PNG", "BMP", "TIFF", "GIF")) as image:
            # OpenCV would turn the indices of a palette into its colours.
            plain = image.mode in ("P", "L", "RGB")
            kept = image if plain else image.convert("L" if image.mode in ("1", "LA") else "RGB")
            return np.asarray(kept, np.uint8)
    except _BROKEN as error:
        raise PhotoError("bad_labels", "a label picture cannot be read", where=what, value=error) from None


def _size(data: bytes, what: str) -> tuple[int, int]:
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data), formats=("PNG", "BMP", "TIFF", "GIF")) as image:
            return image.size
    except _BROKEN as error:
        raise PhotoError("bad_labels", "a label picture cannot be read", where=what, value=error) from None


def _any_channel(pixels: npt.NDArray[np.uint8]) -> BoolMask:
    import cv2

    if pixels.ndim == 2:
        return pixels != 0
    return np.asarray(cv2.inRange(pixels, (0, 0, 0), (0, 0, 0)) == 0)


def bits_to_channels(bits: Bits) -> npt.NDArray[np.uint8]:
    """The bits as four channels, uint8 (H, W, 4), that OpenCV can warp with nearest and `from_planes` reads back."""
    return np.ascontiguousarray(bits).view(np.uint8).reshape(*bits.shape, 4)


def channels_to_bits(channels: npt.NDArray[np.uint8]) -> Bits:
    """Bits (H, W) of four channels, see `planes`."""
    return np.ascontiguousarray(channels).view(np.uint32)[..., 0]


def warp_labels(bits: Bits, photo_size: Size, matrix: Matrix, size: Size, from_photo: Matrix | None = None) -> Bits:
    """Cut the crop of a label map as `warp_image` cuts the photo, by nearest neighbour; 0 outside the photo.

    Args:
        bits: of the whole photo, at any size, unless `from_photo` places them.
        photo_size: (width, height) of the upright photo.
        matrix: 2x3, from the full upright photo to the crop.
        size: (width, height) of the crop.
        from_photo: see `LabelMap`.

    Returns:
        uint32 (height, width).

    Raises:
        PhotoError: `bad_labels`, when photo and label map have different aspect ratios.
    """
    import cv2

    to_photo = _to_photo(bits, photo_size) if from_photo is None else invert(from_photo)
    warped = cv2.warpAffine(
        bits_to_channels(bits), compose(matrix, to_photo), size, flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT
    )
    return channels_to_bits(np.asarray(warped, np.uint8))


def _to_photo(bits: Bits, photo_size: Size) -> Matrix:
    """The matrix from a map of the whole photo to the photo."""
    check_proportions(bits, photo_size)
    across, down = photo_size[0] / bits.shape[1], photo_size[1] / bits.shape[0]
    return np.array([[across, 0, (across - 1) / 2], [0, down, (down - 1) / 2]], np.float64)


def check_proportions(bits: Bits, photo_size: Size) -> None:
    """Check that a map may show a photo of this size.

    Raises:
        PhotoError: `bad_labels`, if their aspect ratios differ.
    """
    across, down = photo_size[0] / bits.shape[1], photo_size[1] / bits.shape[0]
    if abs(across / down - 1) > SAME_SHAPE:
        shapes = f"photo {photo_size[0]} x {photo_size[1]}, labels {bits.shape[1]} x {bits.shape[0]}"
        raise PhotoError("bad_labels", "the label map has other proportions than its photo", value=shapes)


def mask_of(bits: Bits, parts: Sequence[str]) -> BoolMask:
    """Pixels that belong to any of the parts: bool (H, W)."""
    together = np.uint32(sum(bit_of(part) for part in parts))
    return np.asarray((bits & together) != 0)
