"""The surface of a worn mask: pleats, panels, seams, creases. Heights in eye distances, on a `Canvas`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from faceloom.transforms.masks.canvas import Canvas, smooth_noise
from faceloom.transforms.masks.catalogue import Template
from faceloom.transforms.masks.shapes import mirrored, spline
from faceloom.transforms.types import Field, Outline

_SMALL = (64, 80)
"""Rows and columns of soft layers (creases, the rim, waves on a small face): drawn small and enlarged once."""
_ENLARGED = 128
"""Columns of a canvas; above this number surfaces are drawn at full size, below they are kept and resized."""
VARIETY = 256
"""Number of different creases and rims per kind of mask, and of pleats; they are cached, 20 kB each.

They are also mirrored, their depths vary, and face, light and fit make every mask different.
"""
_KEPT, _KEPT_SIZE, _KEPT_MARGIN = 32, (80, 100), 5
"""Number of different surfaces per kind of mask for small faces, their rows and columns, and how many of these may be
left out on each side.

They too are cached, 128 kB each, at most 64 MB with sixteen kinds of masks. Drawing one takes as long as painting a
mask, so they are few, and each use shows another part, mirrored and varied.
"""
_DOWN = np.linspace(0, 1, 512, dtype=np.float32)
# Lines that bend as x^2 does: a seam from side to side, and a nose wire.
_ACROSS = np.array([(x, x * x) for x in np.linspace(-0.97, 0.97, 17)])
_WIRE = np.array([(x, 0.25 * x * x) for x in np.linspace(-0.42, 0.42, 9)])


@dataclass(frozen=True, eq=False)
class Surface:
    """Shape of the cloth.

    Attributes:
        normal_x, normal_y: slope of the surface towards the right and down, float32 (h, w), 0 facing the camera.
        ink: factor on the cloth's brightness for folds, seams and the rim, about 0.4 to 1.15, float32 (h, w).
        cast: shadow of objects outside the picture, -0.6 to 1.3, as broad as the mask; float32 (h, w).
    """

    normal_x: Field
    normal_y: Field
    ink: Field
    cast: Field


@lru_cache(maxsize=VARIETY)
def _profile(number: int) -> NDArray[np.complex64]:
    """One row of pleats from top to bottom, one of `VARIETY`: slope as the real part, shadow as the imaginary one."""
    rng = np.random.default_rng((number, 1))
    count = int(rng.integers(2, 5))
    slope, shadow = np.zeros_like(_DOWN), np.ones_like(_DOWN)
    upward = rng.random() < 0.25  # worn upside down
    depth, dark = rng.uniform(0.2, 1.1), rng.uniform(0.05, 0.5)
    first, last = rng.uniform(0.18, 0.36), rng.uniform(0.6, 0.85)
    for k in range(count):
        at = first + (last - first) * k / max(1, count - 1) + rng.normal(0, 0.02)
        width = rng.uniform(0.03, 0.09)
        d = at - _DOWN if upward else _DOWN - at
        steep, deep = (np.float32(v) for v in (depth * rng.uniform(0.5, 1.4), dark * rng.uniform(0.4, 1.3)))
        slope += steep * np.copysign(np.exp(d * d * (-1 / width**2)), d)
        shadow -= deep * np.exp(np.maximum(d, 0) * (-1 / 0.025)) * (d >= 0)
    return (slope + 1j * (1 - np.maximum(shadow, 0.4))).astype(np.complex64)


def _steps(canvas: Canvas, top: float, bottom: float, rng: np.random.Generator) -> tuple[Field, Field]:
    """Pleats: slope down the cloth and shadow under each fold; they sag in the middle and close at the sides."""
    profile = _profile(int(rng.integers(VARIETY)))
    x = np.minimum(np.maximum(canvas.x / 0.95, -1), 1)
    sag = np.float32(rng.uniform(-0.02, 0.16)) * (1 - x * x) + np.float32(rng.normal(0, 0.03)) * x
    rows = np.float32(len(_DOWN) - 1)
    row, lift = (canvas.y - top) * (rows / (bottom - top)), sag * rows
    index = (row[:, None] - lift).astype(np.int32)
    open_ = 1 - np.float32(rng.uniform(0.2, 0.9)) * x * x
    # Positions above the first or below the last row take that row.
    pleats = profile.take(index, mode="clip") * open_
    return pleats.real, 1 - pleats.imag


def _creases(canvas: Canvas, count: int, outline: Outline, rng: np.random.Generator) -> Field:
    """Height of random creases, float32 `_SMALL`: most run inwards from the edge as straps pull, some across."""
    import cv2

    small = canvas.resized(*_SMALL)
    sides = []
    for _ in range(2):
        sheet = np.zeros(_SMALL, np.uint8)
        for _ in range(int(rng.poisson(max(0.2, count / 2)))):
            x, y = (outline[int(rng.integers(len(outline)))] * rng.uniform(0.75, 1.0)).tolist()
            reach = rng.uniform(0.4, 1.0)
            along_x, along_y = (rng.normal(0, 0.4) - x) * reach, (rng.normal(1.0, 0.35) - y) * reach
            bend, half = rng.normal(0, 0.06), rng.uniform(0.02, 0.05) / max(1e-6, math.hypot(along_x, along_y))
            # Pulled cloth smooths out: a crease is deep at its start and fades to nothing.
            wedge = np.array([(0, half), (0.5, bend + 0.6 * half), (1, 0), (0.5, bend - 0.6 * half), (0, -half)])
            points = wedge @ np.array([(along_x, along_y), (-along_y, along_x)]) + (x, y)
            dots = np.round(small.texels(points) * 16).astype(np.int32)
            cv2.fillPoly(sheet, [dots], 255, cv2.LINE_AA, 4)
        # Floats, not levels: on a large face steps of 1 / 255 would be visible.
        sides.append(cv2.GaussianBlur(sheet * np.float32(1 / 255), (0, 0), rng.uniform(0.7, 2.0)))
    out: Field = sides[0] - sides[1]
    return out


def _rim(canvas: Canvas, outline: Outline, rng: np.random.Generator) -> Field:
    """1 along the edge and fading inwards, float32 `_SMALL`: cloth curls away from light or is doubled and paler."""
    import cv2

    sheet = np.zeros(_SMALL, np.uint8)
    canvas.resized(*_SMALL).line(sheet, outline[::2], rng.uniform(0.06, 0.16), closed=True)
    out: Field = cv2.GaussianBlur(sheet, (0, 0), rng.uniform(1.3, 3.3)) * np.float32(1 / 255)
    return out


@lru_cache(maxsize=16 * VARIETY)
def _kept_layers(template: Template, number: int) -> NDArray[np.float16]:
    """Creases and rim (2, *_SMALL) of one of `VARIETY` masks of a kind.

    They are drawn once on the designed mask and stretched to the worn one.
    """
    rng = np.random.default_rng((number, 2))
    outline = spline(*mirrored(template.half))
    canvas = Canvas.over(outline, 1)
    creases = _creases(canvas, int(rng.poisson(template.folds)), outline, rng)
    return np.stack([creases, _rim(canvas, outline, rng)]).astype(np.float16)


def _base(
    canvas: Canvas, template: Template, top: float, bottom: float, rng: np.random.Generator
) -> tuple[Field, Field]:
    """Slopes of the whole, to be broadcast: a dome over nose and chin, or the planes of a folded respirator."""
    x, y = canvas.x, canvas.y[:, None]
    t = np.minimum(np.maximum((y - top) / (bottom - top), 0), 1)
    round_ = np.float32(0.3 + 0.8 * rng.random() ** 1.5)
    nx = round_ * np.minimum(np.maximum(x, -1.3), 1.3) * (0.6 + 0.4 * np.abs(x))
    fold = np.float32(rng.uniform(0.1, 0.45))
    nose = np.float32(rng.uniform(0.15, 0.6)) * np.tanh(x / 0.22)
    near_nose = np.exp(t * t * (-1 / 0.35**2))
    ny = np.float32(rng.uniform(-0.35, -0.05)) + np.float32(rng.uniform(0.5, 1.6)) * (t * t)
    # Under the chin the cloth turns away from the light.
    turn, from_ = np.float32(rng.uniform(0, 1.6)), np.float32(rng.uniform(0.68, 0.9))
    ny += turn * np.minimum(np.maximum((t - from_) * 8, 0), 1)
    if template.relief in ("centre_fold", "panels", "cup"):
        nx += fold * np.tanh(x / np.float32(0.03 if template.relief == "centre_fold" else 0.25))
    if template.relief == "bill":
        edge = np.float32(rng.uniform(0.5, 0.68))
        sag = edge - np.float32(0.12) * np.minimum(x * x, 1)
        # Not in one step, which would be jagged on cloth that is drawn small.
        ny = np.minimum(np.maximum((t - sag) * 25 + np.float32(0.5), 0), 1) * np.float32(1.2) - np.float32(0.35)
    elif template.relief == "panels":
        ny += np.float32(0.35) * (np.tanh((t - 0.62) / 0.05) - np.tanh((0.33 - t) / 0.05))
    return nx + nose * near_nose, ny


def _seams(canvas: Canvas, template: Template, top: float, bottom: float, outline: Outline,
           rng: np.random.Generator) -> NDArray[np.uint8]:  # fmt: skip
    """Lines sewn or welded into the cloth, uint8 (h, w)."""
    sheet = np.zeros((canvas.height, canvas.width), np.uint8)
    thin = rng.uniform(0.012, 0.03)
    height = bottom - top
    if template.relief == "centre_fold":
        canvas.line(sheet, np.array([(0, top), (rng.normal(0, 0.03), bottom)]), thin)
    if template.relief == "panels":
        for at, bend in (
            (rng.uniform(0.3, 0.4), rng.uniform(-0.15, 0.0)),
            (rng.uniform(0.58, 0.72), rng.uniform(0, 0.2)),
        ):
            canvas.line(sheet, _ACROSS * (1, -height * bend) + (0, top + height * (at + bend)), thin)
    if template.relief == "bill":
        canvas.line(sheet, _ACROSS * (1, -height * 0.12) + (0, top + height * 0.6), thin)
    if rng.random() < template.hem:  # a weld or stitching along the edge, inside it
        centre = np.array([0, (top + bottom) / 2])
        for inset in rng.uniform(0.035, 0.1, int(rng.integers(1, 3))).tolist():
            canvas.line(sheet, outline * (1 - inset) + centre * inset, thin * 0.8, closed=True)
    if rng.random() < 0.35:  # nose wire
        canvas.line(sheet, _WIRE + np.array([0, top + 0.09]), rng.uniform(0.02, 0.05))
    return sheet


def surface(canvas: Canvas, template: Template, outline: Outline, rng: np.random.Generator) -> Surface:
    """The shape of one worn mask.

    Args:
        outline: the mask as worn, mask frame.
    """
    import cv2

    if canvas.width > _ENLARGED:
        return draw_surface(canvas, template, outline, rng)
    number, turn, depth, contrast = rng.random(4).tolist()
    side, depth, contrast = 1 if turn < 0.5 else -1, 0.9 + 0.3 * depth, 0.9 + 0.5 * contrast
    top, bottom, left, right = rng.integers(0, _KEPT_MARGIN, 4, endpoint=True).tolist()
    rows, columns = _KEPT_SIZE
    size = (canvas.width, canvas.height)
    # Plane by plane: OpenCV is slow on four channels. Enlarged before they are mirrored, which is a quick copy then.
    planes = [
        cv2.resize(plane[top : rows - bottom, left : columns - right], size, interpolation=cv2.INTER_LINEAR)
        for plane in _kept_surface(template, int(number * _KEPT))
    ]
    normal_x, normal_y, ink, cast = [cv2.flip(plane, 1) for plane in planes] if side < 0 else planes
    normal_x *= np.float32(side * depth)
    normal_y *= np.float32(depth)
    return Surface(normal_x, normal_y, cv2.pow(ink, contrast), cast)


@lru_cache(maxsize=16 * _KEPT)
def _kept_surface(template: Template, number: int) -> tuple[Field, Field, Field, Field]:
    """The fields of one of `_KEPT` surfaces of a kind of mask, float32 `_KEPT_SIZE`: drawn on the designed mask."""
    outline = spline(*mirrored(template.half))
    canvas = Canvas.over(outline, 1).resized(*_KEPT_SIZE)
    drawn = draw_surface(canvas, template, outline, np.random.default_rng((number, 3)))
    return drawn.normal_x, drawn.normal_y, drawn.ink, drawn.cast


def draw_surface(canvas: Canvas, template: Template, outline: Outline, rng: np.random.Generator) -> Surface:
    """Draw the shape of one worn mask; as `surface`, without a choice of kept ones."""
    import cv2

    top, bottom = float(outline[:, 1].min()), float(outline[:, 1].max())
    nx, ny = _base(canvas, template, top, bottom, rng)
    pleats = _steps(canvas, top, bottom, rng) if template.relief == "pleats" else None
    layers = _kept_layers(template, int(rng.integers(VARIETY)))
    creases, rim = layers[..., :: 1 if rng.random() < 0.5 else -1].astype(np.float32)
    height = np.float32(0.02 + 0.075 * rng.random() ** 1.5) * creases
    size = (canvas.width, canvas.height)
    # Waves that are enlarged twice would show the intermediate grid on a large face.
    enlarged = canvas.width > _ENLARGED
    if enlarged:
        # Enlarged four times and blurred by half a texel first: slopes of a cubic show the original grid.
        height = cv2.resize(height, None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC)
        height = cv2.resize(cv2.GaussianBlur(height, (0, 0), 2), size, interpolation=cv2.INTER_CUBIC)
    shape = height.shape
    height += np.float32(rng.uniform(0.0, 0.022)) * smooth_noise(shape, (6, 6), rng)
    if template.relief == "drape":
        height += np.float32(rng.uniform(0.01, 0.04)) * smooth_noise(shape, (3, 14), rng)
    if rng.random() < 0.6:
        height += np.float32(rng.uniform(0.0, 0.012)) * smooth_noise(shape, (16, 16), rng)
    if not enlarged:
        height = cv2.resize(height, size, interpolation=cv2.INTER_CUBIC)
    sx, sy = canvas.scale
    nx = cv2.Sobel(height, -1, 1, 0, ksize=3, scale=-sx / 8) + nx
    ny = cv2.Sobel(height, -1, 0, 1, ksize=3, scale=-sy / 8) + ny
    paler = min(max(-0.15, rng.normal(0.02, 0.1)), 0.3)
    ink = cv2.resize(1 - np.float32(paler) * rim, size, interpolation=cv2.INTER_LINEAR)
    if pleats is not None:
        ny += pleats[0]
        ink *= pleats[1]
    seams = _seams(canvas, template, top, bottom, outline, rng)
    ink -= seams * np.float32(rng.uniform(0.03, 0.3) / 255)
    cast = np.clip(smooth_noise(ink.shape, (0, 0), rng), -0.6, 1.3)  # a smaller shadow looks like dirt
    return Surface(nx, ny, ink, cast)
