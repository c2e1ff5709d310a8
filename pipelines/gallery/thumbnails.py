"""One sample of a gallery: small pictures of it and its figures."""

from __future__ import annotations

import base64
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from faceloom.pipelines.gallery.overview import Drawn
from faceloom.pipelines.read.sample_members import decode_member
from faceloom.schemas.errors import PhotoError
from faceloom.transforms.decode import decode_rgb, read_header
from faceloom.transforms.quality import measure_face
from faceloom.transforms.types import Image

SIDE = 192
"""Pixels of the longer side of a small picture; a smaller one is not enlarged."""
_QUALITY, _LOSSLESS = 75, 101
_MASK, _GUIDE, _POINT = (255, 64, 0), (0, 150, 255), (255, 255, 255)
"""Colours of the overlay, RGB."""
_MASK_OPACITY, _GUIDE_OPACITY = 0.5, 0.6
"""At most, over the picture; a guide is seen through the mask over it."""
_SHOWN = ("face", "masked", "mask", "alpha", "guide", "landmarks", "json")
_MOST_REJECT_PIXELS = 2**26
_MOST_FACE_WIDTH = 2.0**24
"""Pixels; a wider face fits into no photo."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A sample as a gallery shows it.

    Attributes:
        drawn: what the index states of it.
        width, height: of its crop, in pixels.
        face, masked, overlay: small pictures as data URIs; empty without. The overlay marks the mask, the guide and the
            landmarks.
        marks: what the overlay marks.
        face_width: of the face box in the photo, in pixels.
        yaw: of the head in degrees, positive to the right edge.
        covered: share of the crop that the mask covers, 0..1.
        sharpness: variance of the Laplacian, see `FaceQuality`.
    """

    drawn: Drawn
    width: int
    height: int
    face: str
    masked: str
    overlay: str
    marks: tuple[str, ...]
    face_width: float | None
    yaw: float | None
    covered: float | None
    sharpness: float | None


def show_sample(drawn: Drawn, files: dict[str, bytes], where: str) -> Shown:
    """Make the small pictures of a sample and measure it.

    Args:
        drawn: what the index states of it.
        files: content of its members by name.
        where: shard and key, for messages.

    Raises:
        StorageError: a member cannot be decoded.
    """
    names = {name.partition(".")[0]: name for name in files}
    found: dict[str, Any] = {
        kind: decode_member(names[kind], files[names[kind]], where) for kind in _SHOWN if kind in names
    }
    face = found.get("face")
    masked = found.get("masked") if drawn.mask else None
    first = face if face is not None else masked
    if first is None:
        return Shown(drawn, 0, 0, "", "", "", (), _face_width(found.get("json", {})), None, None, None)
    height, width = first.shape[:2]
    mask = found.get("mask") if drawn.mask else None
    points = found.get("landmarks")
    if points is not None and not np.isfinite(points).all():
        points = None
    yaw, sharpness = _measured(first, points)
    cover = found.get("alpha", mask) if mask is not None else None
    layers = {"mask": cover, "guide": found.get("guide"), "landmarks": points}
    marks = tuple(name for name, layer in layers.items() if layer is not None)
    return Shown(
        drawn=drawn,
        width=width,
        height=height,
        face=data_uri(face) if face is not None else "",
        masked=data_uri(masked) if masked is not None else "",
        overlay=_overlay(cover, found.get("guide"), points, (height, width)) if marks else "",
        marks=marks,
        face_width=_face_width(found.get("json", {})),
        yaw=yaw,
        covered=float(np.count_nonzero(mask) / mask.size) if mask is not None else None,
        sharpness=sharpness,
    )


def data_uri(picture: Image) -> str:
    """A small copy of a picture as a data URI.

    Args:
        picture: uint8 (H, W, 3), RGB.
    """
    import cv2

    small = cv2.cvtColor(_shrunk(picture), cv2.COLOR_RGB2BGR)
    return _encoded(small, _QUALITY)


def reject_uri(photo: bytes) -> str:
    """A small copy of a rejected photo as a data URI; empty if it cannot be decoded."""
    try:
        header = read_header(photo, max_pixels=_MOST_REJECT_PIXELS)
        return data_uri(decode_rgb(photo, header=header, max_pixels=_MOST_REJECT_PIXELS))
    except PhotoError:
        return ""


def _shrunk(picture: Any) -> Any:
    import cv2

    height, width = picture.shape[:2]
    scale = SIDE / max(height, width)
    if scale >= 1:
        return picture
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)


def _encoded(bgr: Any, quality: int) -> str:
    import cv2

    done, data = cv2.imencode(".webp", bgr, [cv2.IMWRITE_WEBP_QUALITY, quality])
    assert done, "OpenCV encodes WEBP of any small picture"
    return f"data:image/webp;base64,{base64.b64encode(data.tobytes()).decode()}"


def _overlay(mask: Any, guide: Any, points: Any, size: tuple[int, int]) -> str:
    """The ground truth as a picture with an alpha channel."""
    import cv2

    scale = min(1.0, SIDE / max(size))
    height, width = max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
    drawn = np.zeros((height, width, 4), np.uint8)
    for layer, colour, opacity in ((mask, _MASK, _MASK_OPACITY), (guide, _GUIDE, _GUIDE_OPACITY)):
        if layer is not None and layer.shape == size:
            weight = opacity * _shrunk(layer).reshape(height, width).astype(np.float32)
            over = weight > drawn[..., 3]
            drawn[over, :3] = colour[::-1]
            drawn[over, 3] = np.rint(weight[over]).astype(np.uint8)
    for x, y in [] if points is None else np.clip(points * scale, -1e4, 1e4).tolist():
        cv2.circle(drawn, (round(x), round(y)), 2, (0, 0, 0, 255), -1, cv2.LINE_8)
        cv2.circle(drawn, (round(x), round(y)), 1, (*_POINT[::-1], 255), -1, cv2.LINE_8)
    return _encoded(drawn, _LOSSLESS)


def _measured(face: Image, points: Any) -> tuple[float | None, float | None]:
    import cv2

    if points is None:
        return None, None
    try:
        quality = measure_face(np.asarray(cv2.cvtColor(face, cv2.COLOR_RGB2GRAY), np.uint8), points)
    except PhotoError:
        return None, None
    return _finite(quality.yaw), _finite(quality.sharpness)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None  # points of a stranger may lie anywhere


def _face_width(record: Any) -> float | None:
    box = record.get("face_box") if isinstance(record, dict) else None
    if not isinstance(box, list) or len(box) != 4 or not all(isinstance(x, int | float) for x in box):
        return None
    try:
        width = float(box[2]) - float(box[0])
    except OverflowError:  # an integer of any length is JSON
        return None
    return width if 0 < width <= _MOST_FACE_WIDTH else None
