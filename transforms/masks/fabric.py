"""Mask colours, and fabric patterns drawn by code."""

from __future__ import annotations

import colorsys
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from faceloom.transforms.masks.canvas import Canvas, smooth_noise, solid_colour, weighted_index
from faceloom.transforms.types import Image

Colour = NDArray[np.float32]

_WHITE = ((248, 248, 246), 5.0)
_BLACK = ((36, 36, 37), 5.0)
# Weight, mean RGB, spread. Modelled on masks in the street; `cloth` adds the dark tones of sewn sponge masks.
PALETTES: dict[str, tuple[tuple[float, tuple[tuple[int, int, int], float]], ...]] = {
    "surgical": (
        (0.30, _WHITE),
        (0.12, ((226, 234, 240), 7.0)),  # off-white with a blue cast
        (0.28, ((168, 212, 234), 13.0)),  # the usual pale blue
        (0.12, ((110, 178, 224), 16.0)),
        (0.05, ((150, 212, 200), 13.0)),  # theatre green
        (0.08, _BLACK),
        (0.03, ((236, 190, 204), 12.0)),
        (0.02, ((120, 124, 130), 20.0)),
    ),
    "respirator": (
        (0.74, _WHITE),
        (0.08, ((228, 228, 226), 8.0)),
        (0.09, _BLACK),
        (0.04, ((140, 142, 146), 20.0)),
        (0.03, ((170, 208, 230), 14.0)),
        (0.02, ((232, 214, 190), 12.0)),
    ),
    "cloth": (
        (0.34, _BLACK),
        (0.13, ((82, 84, 88), 18.0)),
        (0.06, ((136, 138, 142), 18.0)),
        (0.08, ((36, 46, 78), 14.0)),
        (0.10, _WHITE),
        (0.05, ((214, 196, 170), 16.0)),
        (0.10, ((150, 30, 44), 24.0)),
        (0.03, ((52, 92, 66), 22.0)),
        (0.05, ((60, 104, 170), 24.0)),
        (0.06, ((190, 196, 204), 14.0)),
    ),
}
# Probability of an unusual colour.
_ODD = {"cloth": 0.15, "surgical": 0.08, "respirator": 0.06}
TILE = 1.0
"""Width of a fabric's tile, in eye distances."""


def any_colour(rng: np.random.Generator) -> Colour:
    """Any hue of dyed cloth: rarely fully saturated."""
    hue, saturation, value = rng.random(), 0.85 * rng.random() ** 0.8, 0.15 + 0.82 * rng.random()
    return np.array(colorsys.hsv_to_rgb(hue, saturation, value), np.float32) * 255


def draw_colour(palette: str, rng: np.random.Generator) -> Colour:
    """One RGB colour, float32 (3,) 0..255, from a palette, or from all hues: always for `any`, else rarely."""
    if palette == "any" or rng.random() < _ODD.get(palette, 0.05):
        return any_colour(rng)
    entries = PALETTES[palette]
    mean, spread = entries[weighted_index([weight for weight, _ in entries], rng)][1]
    common, own = rng.standard_normal(), rng.standard_normal(3)
    red, green, blue = (v + spread * (0.8 * common + 0.5 * o) for v, o in zip(mean, own.tolist()))
    return np.array([min(max(4.0, v), 254.0) for v in (red, green, blue)], np.float32)


def draw_colour_near(colour: Colour, rng: np.random.Generator) -> Colour:
    """The same dye on another material: a trim or a strap."""
    shade, off = rng.uniform(0.85, 1.12), rng.normal(0, 4, 3).tolist()
    return np.array([min(max(0.0, v * shade + o), 255.0) for v, o in zip(colour.tolist(), off)], np.float32)


def _mix(a: Colour, b: Colour, share: NDArray[np.floating]) -> Image:
    table = (a + (b - a) * np.linspace(0, 1, 256, dtype=np.float32)[:, None]).astype(np.uint8)
    mixed: Image = np.take(table, (np.clip(share, 0, 1) * 255).astype(np.uint8), axis=0)
    return mixed


def _turned(canvas: Canvas, rng: np.random.Generator, spread: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    return _rotated(canvas, rng.normal(0, spread) + (np.pi / 2 if rng.random() < 0.5 else 0))


def _rotated(canvas: Canvas, angle: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    x, y = canvas.x[None, :], canvas.y[:, None]
    c, s = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return c * x + s * y, c * y - s * x


def _wave(t: NDArray[np.float32], period: float, duty: float) -> NDArray[np.float32]:
    """Soft-edged square wave of t, 0..1."""
    phase = np.abs((t / np.float32(period)) % 1 - 0.5) * 2
    wave: NDArray[np.float32] = np.clip((np.float32(duty) - phase) * 12 + 0.5, 0, 1)
    return wave


def stripes(canvas: Canvas, base: Colour, rng: np.random.Generator) -> Image:
    """Parallel bands in one other colour."""
    along, _ = _turned(canvas, rng, 0.3)
    return _mix(base, any_colour(rng), _wave(along, rng.uniform(0.06, 0.35), rng.uniform(0.2, 0.6)))


def checks(canvas: Canvas, base: Colour, rng: np.random.Generator) -> Image:
    """Gingham or tartan: bands both ways, darker where they cross."""
    along, across = _turned(canvas, rng, 0.2)
    period, duty = rng.uniform(0.08, 0.35), rng.uniform(0.15, 0.5)
    return _mix(base, any_colour(rng), (_wave(along, period, duty) + _wave(across, period, duty)) / 2)


def dots(canvas: Canvas, base: Colour, rng: np.random.Generator) -> Image:
    """Polka dots."""
    along, across = _turned(canvas, rng, 0.4)
    period = rng.uniform(0.1, 0.3)
    u, v = along / np.float32(period) % 1 - 0.5, across / np.float32(period) % 1 - 0.5
    radius = np.float32(rng.uniform(0.2, 0.34))
    share = np.clip((radius - np.sqrt(u * u + v * v)) * 10 + 0.5, 0, 1).astype(np.float32)
    return _mix(base, any_colour(rng), share)


def camouflage(canvas: Canvas, base: Colour, rng: np.random.Generator) -> Image:
    """Blotches in three tones."""
    shape = (canvas.height, canvas.width)
    tones = np.stack([base, draw_colour_near(base * rng.uniform(0.4, 0.8), rng), any_colour(rng) * 0.7])
    cells = int(rng.integers(5, 14))
    level = (smooth_noise(shape, (cells, cells), rng) > 0.3).astype(np.intp)
    level[smooth_noise(shape, (cells, cells), rng) > 0.6] = 2
    return np.take(tones.astype(np.uint8), level, axis=0)


def _blobs(canvas: Canvas, base: Colour, rng: np.random.Generator, petals: bool, count: int, size: float) -> Image:
    import cv2

    sheet = solid_colour(base, (canvas.height, canvas.width))
    inks = [tuple(int(v) for v in any_colour(rng)) for _ in range(int(rng.integers(1, 4)))]
    places = canvas.texels(rng.uniform((canvas.x0, canvas.y0), (canvas.x1, canvas.y1), (count, 2)))
    for i, place in enumerate(places):
        ink, angle = inks[i % len(inks)], float(rng.uniform(0, 360))
        r = size * rng.uniform(0.6, 1.4) * canvas.scale[0]
        for k in range(5 if petals else 1):
            turn = np.radians(angle + 72 * k)
            at = place + (0.6 * r * np.array([np.cos(turn), np.sin(turn)]) if petals else 0)
            cx, cy = (round(float(v) * 16) for v in at)
            axes = (max(8, round(r * 16 * (0.5 if petals else 1))), max(8, round(r * 16 * (0.28 if petals else 0.45))))
            cv2.ellipse(sheet, (cx, cy), axes, angle + 72 * k, 0, 360, ink, -1, cv2.LINE_AA, 4)
    return sheet


def floral(canvas: Canvas, base: Colour, rng: np.random.Generator) -> Image:
    """Scattered flowers with five petals."""
    return _blobs(canvas, base, rng, True, int(rng.integers(10, 34)), rng.uniform(0.05, 0.14))


def paisley(canvas: Canvas, base: Colour, rng: np.random.Generator) -> Image:
    """Small light and dark figures, dense, as on a bandana."""
    return _blobs(canvas, base, rng, False, int(rng.integers(40, 90)), rng.uniform(0.03, 0.08))


def printed(canvas: Canvas, base: Colour, rng: np.random.Generator) -> Image:
    """A few large figures, as on children's masks."""
    return _blobs(canvas, base, rng, bool(rng.random() < 0.5), int(rng.integers(2, 9)), rng.uniform(0.08, 0.25))


PATTERNS: dict[str, Callable[[Canvas, Colour, np.random.Generator], Image]] = {
    "stripes": stripes, "checks": checks, "dots": dots, "camouflage": camouflage, "floral": floral,
    "paisley": paisley, "print": printed,
}  # fmt: skip


def cloth(canvas: Canvas, colour: Colour, pattern: str, rng: np.random.Generator) -> Image:
    """The flat cloth, uint8 (height, width, 3) RGB, before folds and light.

    Args:
        colour: RGB 0..255, float32 (3,).
        pattern: `plain` or a key of `PATTERNS`.
    """
    if pattern != "plain":
        return PATTERNS[pattern](canvas, colour, rng)
    return solid_colour(colour, (canvas.height, canvas.width))


def tiled(canvas: Canvas, tile: Image, rng: np.random.Generator) -> Image:
    """Flat cloth on which a picture is repeated; it begins anywhere and is turned a little.

    Args:
        tile: uint8 (H, W, 3) RGB; it becomes `TILE` eye distances wide.

    Returns:
        uint8 (height, width, 3) RGB.
    """
    import cv2

    height, width = tile.shape[:2]
    size = (TILE, TILE * height / width)
    columns, rows = (
        min(pixels, max(1, round(one * scale)))
        for pixels, one, scale in zip((width, height), size, canvas.scale, strict=True)
    )
    small = cv2.resize(tile, (columns, rows), interpolation=cv2.INTER_AREA)  # a fine weave must not alias
    along, across = _rotated(canvas, rng.normal(0, 0.05))
    u = along * np.float32(columns / size[0]) + np.float32(columns * rng.random())
    v = across * np.float32(rows / size[1]) + np.float32(rows * rng.random())
    return cv2.remap(small, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP).astype(np.uint8, copy=False)


def draw_strap_colour(colour: Colour, rng: np.random.Generator) -> Colour:
    """Strap colour: usually white or black elastic, otherwise the dye of the cloth."""
    dice = rng.random()
    if dice < 0.25:
        return draw_colour_near(colour, rng)
    dark = float(colour.mean()) < 100
    return draw_colour_near(np.array(_BLACK[0] if dark != (dice > 0.92) else _WHITE[0], np.float32), rng)
