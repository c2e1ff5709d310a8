"""Draws glasses on a face: rims, bridge, temples and tinted lenses, from its landmarks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faceloom.transforms.types import Coverage, Image, Landmarks, Region

Colour = tuple[float, float, float]

_FRAMES: tuple[Colour, ...] = (
    (24, 24, 26),
    (24, 24, 26),
    (58, 38, 26),
    (96, 66, 40),
    (120, 122, 126),
    (170, 146, 96),
    (70, 24, 30),
)
_LENSES: tuple[Colour, ...] = ((20, 22, 24), (40, 30, 22), (30, 40, 50))

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
        region: the part of the picture that holds them.
        rims: float32 (h, w) of the region, 0..1: coverage of rims, bridge and temples.
        lenses: float32 (h, w), 0..1: opacity of the lenses.
        rim_ink, lens_ink: RGB colours in the light of the face, 0..255.
    """

    region: Region
    rims: Coverage
    lenses: Coverage
    rim_ink: Colour
    lens_ink: Colour

    def put_on(self, picture: Image) -> Image:
        """A new picture with the glasses, uint8 (H, W, 3) RGB. Pixels that are equal in two pictures stay equal."""
        out = picture.copy()
        seen = picture[self.region.slices].astype(np.float32)
        for ink, cover in ((self.lens_ink, self.lenses), (self.rim_ink, self.rims)):
            seen += cover[..., None] * (np.array(ink, np.float32) - seen)
        out[self.region.slices] = np.rint(seen)
        return out

    def end_mask(self, alpha: Coverage) -> Coverage:
        """The coverage of a mask, (H, W), without what the rims hide. A mask is seen through the lenses."""
        out = alpha.copy()
        out[self.region.slices] *= 1 - self.rims
        return out


def draw_glasses(
    picture: Image, landmarks: Landmarks, rim: float, tint: float, rng: np.random.Generator
) -> Glasses | None:
    """Draw the shape and the colours of glasses, and rasterise them where the face wears them.

    Args:
        picture: the bare face, uint8 (H, W, 3) RGB; its light is that of the glasses, and on a grey one they are grey.
        landmarks: (68, 2) in pixels.
        rim: width of the rims, in distances of the eyes.
        tint: darkness of the lenses, 0..1.
        rng: draws shape and colours.

    Returns:
        The glasses; None if they lie outside the picture.
    """
    # A perspective step can move a point to infinity.
    points = np.clip(np.nan_to_num(landmarks.astype(np.float64)), -_FARTHEST, _FARTHEST)
    eyes = np.array([points[36:42].mean(0), points[42:48].mean(0)])
    across = eyes[1] - eyes[0]
    down = (points[33] - points[27]) / _NOSE
    width, height = rng.uniform(0.34, 0.46), rng.uniform(0.22, 0.36)
    drop, power = rng.uniform(0.02, 0.14), rng.uniform(2.0, 5.0)
    colours = _FRAMES[int(rng.integers(len(_FRAMES)))], _LENSES[int(rng.integers(len(_LENSES)))]
    angles = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    ring = np.stack([_rounded(np.cos(angles), power) * width, _rounded(np.sin(angles), power) * height + drop], 1)
    frame = np.stack([across, down])
    lenses = [eye + ring @ frame for eye in eyes]
    inner = [eye + np.array([side * width, 0.3 * drop]) @ frame for eye, side in zip(eyes, (1, -1), strict=True)]
    outer = [eye + np.array([side * width, 0.0]) @ frame for eye, side in zip(eyes, (-1, 1), strict=True)]
    temples = [np.array([edge, points[ear] - _EAR * down]) for edge, ear in zip(outer, (0, 16), strict=True)]
    thick = rim * float(np.hypot(*across))
    region = Region.around(np.concatenate([*lenses, *temples]), thick + 1, picture.shape)
    if min(region.shape) < 1:
        return None
    lines = [*((ring, True) for ring in lenses), (np.array(inner), False), *((temple, False) for temple in temples)]
    rim_ink, lens_ink = _inks(picture[region.slices], colours)
    return Glasses(
        region, _stroked(lines, thick, region), _filled(lenses, region) * np.float32(tint), rim_ink, lens_ink
    )


def _inks(face: Image, colours: tuple[Colour, Colour]) -> list[Colour]:
    """Colours as dark as the face, and grey if the face is."""
    import cv2

    luma = cv2.cvtColor(face, cv2.COLOR_RGB2GRAY)
    light = min(1.0, int(luma.sum(dtype=np.int64)) / luma.size / _FULL_LIGHT)
    inks = []
    for red, green, blue in colours:
        shown = (round((red + green + blue) / 3),) * 3 if (face == face[..., :1]).all() else (red, green, blue)
        inks.append((shown[0] * light, shown[1] * light, shown[2] * light))
    return inks


def _rounded(values: NDArray[np.float64], power: float) -> NDArray[np.float64]:
    """Coordinates of a superellipse: a circle for 2, nearly a square for 5."""
    shaped: NDArray[np.float64] = np.sign(values) * np.abs(values) ** (2 / power)
    return shaped


def _fine(points: NDArray[np.float64], region: Region) -> NDArray[np.int32]:
    """Pixels to subpixels of a region; far points are pulled near, since OpenCV draws with 16 bits."""
    reach = 2 * max(region.shape)
    inner = np.clip(points - (region.left, region.top), -reach, reach)
    whole: NDArray[np.int32] = np.rint((inner + 0.5) * _FINE - 0.5).astype(np.int32)
    return whole


def _sheet(region: Region) -> NDArray[np.uint8]:
    height, width = region.shape
    return np.zeros((height * _FINE, width * _FINE), np.uint8)


def _shrunk(sheet: NDArray[np.uint8], region: Region) -> Coverage:
    import cv2

    small: Coverage = cv2.resize(sheet, region.shape[::-1], interpolation=cv2.INTER_AREA).astype(np.float32)
    return small / np.float32(255)


def _stroked(lines: list[tuple[NDArray[np.float64], bool]], thick: float, region: Region) -> Coverage:
    import cv2

    sheet = _sheet(region)
    pixels = min(max(1, round(thick * _FINE)), 255)
    for line, closed in lines:
        cv2.polylines(sheet, [_fine(line, region)], closed, 255, pixels)
    return _shrunk(sheet, region)


def _filled(outlines: list[NDArray[np.float64]], region: Region) -> Coverage:
    import cv2

    sheet = _sheet(region)
    for outline in outlines:
        cv2.fillPoly(sheet, [_fine(outline, region)], 255)
    return _shrunk(sheet, region)
