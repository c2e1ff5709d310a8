"""Draws glasses on a face: rims, bridge, temples and tinted lenses, from its landmarks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faceloom.transforms.types import Coverage, Image, Landmarks, Size

_FRAMES = ((24, 24, 26), (24, 24, 26), (58, 38, 26), (96, 66, 40), (120, 122, 126), (170, 146, 96), (70, 24, 30))
_LENSES = ((20, 22, 24), (40, 30, 22), (30, 40, 50))
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)

_FINE = 4
"""Subpixels across a pixel: rims are often thinner than a pixel."""

_NOSE = 0.75
"""Length of the nose's ridge on a face from the front, in distances of the eyes."""

_FARTHEST = 1e6

_EAR = 0.12
"""Height of the temples' ends above the first and the last point of the jaw, in distances of the eyes."""

_FULL_LIGHT = 150.0
"""Luma of a well-lit face; on darker ones glasses are as much darker."""


@dataclass(frozen=True, eq=False)
class Glasses:
    """Glasses in a picture.

    Attributes:
        rims: float32 (H, W), 0..1: coverage of rims, bridge and temples.
        lenses: float32 (H, W), 0..1: opacity of the lenses.
        frame, lens: RGB colours, 0..255, in full light.
    """

    rims: Coverage
    lenses: Coverage
    frame: tuple[int, int, int]
    lens: tuple[int, int, int]

    def put_on(self, picture: Image) -> Image:
        """A new picture with the glasses, uint8 (H, W, 3) RGB; a grey picture stays grey."""
        worn = (self.rims > 0) | (self.lenses > 0)
        if not worn.any():
            return picture
        seen = picture[worn].astype(np.float32)
        light = min(1.0, float((seen @ _LUMA).mean()) / _FULL_LIGHT)
        grey = bool((picture == picture[..., :1]).all())
        for colour, cover in ((self.lens, self.lenses), (self.frame, self.rims)):
            ink = np.array(colour, np.float32) * light
            if grey:
                ink[:] = ink @ _LUMA
            share = cover[worn][:, None]
            seen += share * (ink - seen)
        out = picture.copy()
        out[worn] = np.rint(seen).astype(np.uint8)
        return out


def draw_glasses(landmarks: Landmarks, size: Size, rim: float, tint: float, rng: np.random.Generator) -> Glasses:
    """Draw the shape and the colours of glasses, and rasterise them where the face wears them.

    Args:
        landmarks: (68, 2) in pixels.
        size: (width, height) of the picture.
        rim: width of the rims, in distances of the eyes.
        tint: darkness of the lenses, 0..1.
        rng: draws shape and colours.
    """
    # A perspective step can move a point to infinity.
    points = np.clip(np.nan_to_num(landmarks.astype(np.float64)), -_FARTHEST, _FARTHEST)
    eyes = np.array([points[36:42].mean(0), points[42:48].mean(0)])
    across = eyes[1] - eyes[0]
    down = (points[33] - points[27]) / _NOSE
    width, height = rng.uniform(0.34, 0.46), rng.uniform(0.22, 0.36)
    drop, power = rng.uniform(0.02, 0.14), rng.uniform(2.0, 5.0)
    angles = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    ring = np.stack([_rounded(np.cos(angles), power) * width, _rounded(np.sin(angles), power) * height + drop], 1)
    frame = np.stack([across, down])
    lenses = [eye + ring @ frame for eye in eyes]
    inner = [eye + np.array([side * width, 0.3 * drop]) @ frame for eye, side in zip(eyes, (1, -1), strict=True)]
    outer = [eye + np.array([side * width, 0.0]) @ frame for eye, side in zip(eyes, (-1, 1), strict=True)]
    temples = [np.array([edge, points[ear] - _EAR * down]) for edge, ear in zip(outer, (0, 16), strict=True)]
    thick = rim * float(np.hypot(*across))
    lines = [*((ring, True) for ring in lenses), (np.array(inner), False), *((temple, False) for temple in temples)]
    return Glasses(
        rims=_stroked(lines, thick, size),
        lenses=_filled(lenses, size) * np.float32(tint),
        frame=_FRAMES[int(rng.integers(len(_FRAMES)))],
        lens=_LENSES[int(rng.integers(len(_LENSES)))],
    )


def _rounded(values: NDArray[np.float64], power: float) -> NDArray[np.float64]:
    """Coordinates of a superellipse: a circle for 2, nearly a square for 5."""
    shaped: NDArray[np.float64] = np.sign(values) * np.abs(values) ** (2 / power)
    return shaped


def _fine(points: NDArray[np.float64], size: Size) -> NDArray[np.int32]:
    """Pixels to subpixels; far points are pulled near, since OpenCV draws with 16 bits."""
    bounded = np.clip(points, -2 * max(size), 3 * max(size))
    whole: NDArray[np.int32] = np.rint((bounded + 0.5) * _FINE - 0.5).astype(np.int32)
    return whole


def _sheet(size: Size) -> NDArray[np.uint8]:
    return np.zeros((size[1] * _FINE, size[0] * _FINE), np.uint8)


def _shrunk(sheet: NDArray[np.uint8], size: Size) -> Coverage:
    import cv2

    small: Coverage = cv2.resize(sheet, size, interpolation=cv2.INTER_AREA).astype(np.float32) / np.float32(255)
    return small


def _stroked(lines: list[tuple[NDArray[np.float64], bool]], thick: float, size: Size) -> Coverage:
    import cv2

    sheet = _sheet(size)
    pixels = min(max(1, round(thick * _FINE)), 255)
    for line, closed in lines:
        cv2.polylines(sheet, [_fine(line, size)], closed, 255, pixels)
    return _shrunk(sheet, size)


def _filled(outlines: list[NDArray[np.float64]], size: Size) -> Coverage:
    import cv2

    sheet = _sheet(size)
    for outline in outlines:
        cv2.fillPoly(sheet, [_fine(outline, size)], 255)
    return _shrunk(sheet, size)
