"""The surface of a worn mask: pleats, panels, seams, creases. Heights in eye distances, on a `Canvas`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faceloom.transforms.masks.canvas import Canvas, Field, smooth_noise
from faceloom.transforms.masks.catalogue import Template
from faceloom.transforms.masks.shapes import Outline


@dataclass(frozen=True, eq=False)
class Surface:
    """Shape of the cloth.

    Attributes:
        normal_x, normal_y: slope of the surface towards the right and down, float32 (h, w), 0 facing the camera.
        ink: factor on the cloth's brightness for folds, seams and the rim, about 0.4 to 1.15, float32 (h, w).
    """

    normal_x: Field
    normal_y: Field
    ink: Field


def _steps(
    canvas: Canvas, template: Template, top: float, bottom: float, rng: np.random.Generator
) -> tuple[Field, Field]:
    """Pleats: slope down the cloth and shadow under each fold; they sag in the middle and close at the sides."""
    count = int(rng.integers(2, 5))
    t = np.linspace(0, 1, 512, dtype=np.float32)
    slope, shadow = np.zeros(512, np.float32), np.ones(512, np.float32)
    upward = rng.random() < 0.25  # worn upside down
    depth, dark = rng.uniform(0.1, 0.8), rng.uniform(0.03, 0.42)
    first, last = rng.uniform(0.18, 0.36), rng.uniform(0.6, 0.85)
    for k in range(count):
        at = first + (last - first) * k / max(1, count - 1) + rng.normal(0, 0.02)
        width = rng.uniform(0.03, 0.09)
        d = (t - at) * (-1 if upward else 1)
        slope += np.float32(depth * rng.uniform(0.5, 1.4)) * np.exp(-((d / width) ** 2)) * np.sign(d)
        shadow -= np.float32(dark * rng.uniform(0.4, 1.3)) * np.exp(-np.clip(d, 0, None) / 0.025) * (d >= 0)
    x = np.clip(canvas.x / 0.95, -1, 1)
    sag = np.float32(rng.uniform(-0.02, 0.16)) * (1 - x * x) + np.float32(rng.normal(0, 0.03)) * x
    level = (canvas.y[:, None] - sag[None, :] * (bottom - top) - top) / (bottom - top)
    index = np.clip(level * 511, 0, 511).astype(np.intp)
    open_ = 1 - np.float32(rng.uniform(0.2, 0.9)) * x * x
    return np.take(slope, index) * open_, 1 - np.take(1 - np.clip(shadow, 0.4, 1), index) * open_


def _creases(canvas: Canvas, count: int, outline: Outline, rng: np.random.Generator) -> Field:
    """Height of random creases: most run from the edge inwards as straps pull, some hang across."""
    import cv2

    size = (40, 48)
    small = Canvas(canvas.x0, canvas.y0, canvas.x1, canvas.y1, size[1], size[0])
    total = np.zeros(size, np.float32)
    for sign in (1.0, -1.0):
        sheet = np.zeros(size, np.uint8)
        for _ in range(int(rng.poisson(max(0.2, count / 2)))):
            start = outline[int(rng.integers(len(outline)))] * rng.uniform(0.75, 1.0)
            end = np.array([rng.normal(0, 0.4), rng.normal(1.0, 0.35)])
            middle = (start + end) / 2 + rng.normal(0, 0.12, 2)
            reach = rng.uniform(0.4, 1.0)
            points = np.array([start, start + (middle - start) * reach, start + (end - start) * reach])
            small.line(sheet, points, rng.uniform(0.04, 0.1))
        total += np.float32(sign) * cv2.GaussianBlur(sheet, (0, 0), rng.uniform(0.9, 2.2)).astype(np.float32) / 255
    out: Field = cv2.resize(total, (canvas.width, canvas.height), interpolation=cv2.INTER_CUBIC)
    return out


def _rim(canvas: Canvas, outline: Outline, rng: np.random.Generator) -> Field:
    """1 along the edge and fading inwards: cloth curls away from the light there, or is doubled and paler."""
    import cv2

    sheet = np.zeros((40, 48), np.uint8)
    small = Canvas(canvas.x0, canvas.y0, canvas.x1, canvas.y1, 48, 40)
    small.line(sheet, outline, rng.uniform(0.06, 0.16), closed=True)
    soft = cv2.GaussianBlur(sheet, (0, 0), rng.uniform(0.8, 2.0)).astype(np.float32) * np.float32(1 / 255)
    out: Field = cv2.resize(soft, (canvas.width, canvas.height), interpolation=cv2.INTER_LINEAR)
    return out


def _base(
    canvas: Canvas, template: Template, top: float, bottom: float, rng: np.random.Generator
) -> tuple[Field, Field]:
    """Slopes of the whole: a dome over nose and chin, or the planes of a folded respirator."""
    x, y = canvas.x[None, :], canvas.y[:, None]
    t = np.clip((y - top) / (bottom - top), 0, 1)
    round_ = np.float32(0.4 + rng.random() ** 1.5)
    nx = round_ * np.clip(x, -1.3, 1.3) * (0.6 + 0.4 * np.abs(x))
    fold = np.float32(rng.uniform(0.15, 0.7))
    nose = np.float32(rng.uniform(0.15, 0.6)) * np.tanh(x / 0.22) * np.exp(-((t / 0.35) ** 2))
    ny = np.float32(rng.uniform(-0.35, -0.05)) + np.float32(rng.uniform(0.5, 1.6)) * t**2
    # Under the chin the cloth turns away from the light.
    ny = ny + np.float32(rng.uniform(0, 1.6)) * np.clip((t - np.float32(rng.uniform(0.68, 0.9))) * 8, 0, 1)
    if template.relief in ("centre_fold", "panels", "cup"):
        nx = nx + fold * np.tanh(x / np.float32(0.03 if template.relief == "centre_fold" else 0.25))
    if template.relief == "bill":
        edge = np.float32(rng.uniform(0.5, 0.68))
        sag = edge - np.float32(0.12) * np.minimum(x * x, 1)
        ny = np.where(t < sag, -0.35, 0.85).astype(np.float32) + 0 * x
    elif template.relief == "panels":
        ny = ny + np.float32(0.35) * (np.tanh((t - 0.62) / 0.05) - np.tanh((0.33 - t) / 0.05))
    return nx + nose + 0 * y, ny + 0 * x


def _seams(canvas: Canvas, template: Template, top: float, bottom: float, outline: Outline,
           rng: np.random.Generator) -> NDArray[np.uint8]:  # fmt: skip
    """Lines sewn or welded into the cloth, uint8 (h, w)."""
    sheet = np.zeros((canvas.height, canvas.width), np.uint8)
    x = np.linspace(-0.97, 0.97, 17)
    thin = rng.uniform(0.012, 0.03)
    height = bottom - top
    if template.relief == "centre_fold":
        canvas.line(sheet, np.array([(0, top), (rng.normal(0, 0.03), bottom)]), thin)
    if template.relief == "panels":
        for at, bend in (
            (rng.uniform(0.3, 0.4), rng.uniform(-0.15, 0.0)),
            (rng.uniform(0.58, 0.72), rng.uniform(0, 0.2)),
        ):
            canvas.line(sheet, np.stack([x, top + height * (at + bend * (1 - x * x))], 1), thin)
    if template.relief == "bill":
        canvas.line(sheet, np.stack([x, top + height * (0.6 - 0.12 * x * x)], 1), thin)
    if rng.random() < template.hem:  # a weld or stitching along the edge, inside it
        centre = np.array([0, (top + bottom) / 2])
        for inset in rng.uniform(0.035, 0.1, int(rng.integers(1, 3))):
            canvas.line(sheet, centre + (outline - centre) * (1 - inset), thin * 0.8, closed=True)
    if rng.random() < 0.35:  # nose wire
        w = np.linspace(-0.42, 0.42, 9)
        canvas.line(sheet, np.stack([w, top + 0.09 + 0.25 * w * w], 1), rng.uniform(0.02, 0.05))
    return sheet


def surface(canvas: Canvas, template: Template, outline: Outline, rng: np.random.Generator) -> Surface:
    """Draw the shape of one worn mask.

    Args:
        outline: the mask as worn, mask frame.
    """
    import cv2

    top, bottom = float(outline[:, 1].min()), float(outline[:, 1].max())
    nx, ny = _base(canvas, template, top, bottom, rng)
    ink = np.ones((canvas.height, canvas.width), np.float32)
    if template.relief == "pleats":
        slope, shadow = _steps(canvas, template, top, bottom, rng)
        ny, ink = ny + slope, ink * shadow
    shape = (canvas.height, canvas.width)
    height = np.float32(0.02 + 0.13 * rng.random() ** 1.5) * _creases(
        canvas, int(rng.poisson(template.folds)), outline, rng
    )
    height += np.float32(rng.uniform(0.0, 0.045)) * smooth_noise(shape, (6, 6), rng)
    if template.relief == "drape":
        height += np.float32(rng.uniform(0.01, 0.04)) * smooth_noise(shape, (3, 14), rng)
    if rng.random() < 0.6:
        height += np.float32(rng.uniform(0.0, 0.012)) * smooth_noise(shape, (16, 16), rng)
    sx, sy = canvas.scale
    nx = nx - cv2.Sobel(height, -1, 1, 0, ksize=3, scale=sx / 8)
    ny = ny - cv2.Sobel(height, -1, 0, 1, ksize=3, scale=sy / 8)
    ink *= 1 - np.float32(np.clip(rng.normal(0.08, 0.15), -0.15, 0.4)) * _rim(canvas, outline, rng)
    seams = _seams(canvas, template, top, bottom, outline, rng)
    ink -= seams.astype(np.float32) * np.float32(rng.uniform(0.03, 0.3) / 255)
    return Surface(nx.astype(np.float32), ny.astype(np.float32), ink)
