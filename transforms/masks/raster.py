"""From vectors to pixels in a region of interest: coverage of outlines and straps, and the cloth's backward warp."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faceloom.transforms.masks.canvas import Canvas, Field
from faceloom.transforms.masks.fit import FaceFit
from faceloom.transforms.masks.polygon import fill_outline

Image = NDArray[np.uint8]


@dataclass(frozen=True)
class Region:
    """A box of an image: columns x0..x1, rows y0..y1, ends excluded."""

    x0: int
    y0: int
    x1: int
    y1: int

    @classmethod
    def around(cls, points: NDArray[np.floating], margin: float, shape: tuple[int, ...]) -> Region:
        """The box of points (N, 2) with a margin, cut at the image's edge; may be empty."""
        height, width = shape[:2]
        (left, top), (right, bottom) = points.min(0).tolist(), points.max(0).tolist()
        x0, y0 = (min(max(0, math.floor(v - margin)), most) for v, most in ((left, width), (top, height)))
        x1, y1 = (min(max(0, math.ceil(v + margin) + 1), most) for v, most in ((right, width), (bottom, height)))
        return cls(x0, y0, max(x0, x1), max(y0, y1))

    @property
    def shape(self) -> tuple[int, int]:
        """Rows, columns."""
        return self.y1 - self.y0, self.x1 - self.x0

    @property
    def slices(self) -> tuple[slice, slice]:
        """To index an image with."""
        return slice(self.y0, self.y1), slice(self.x0, self.x1)


def cover(polygons: Sequence[NDArray[np.floating]], region: Region) -> Field:
    """Exact coverage 0..1 of the union of polygons (N, 2) in image pixels, float32 of the region's shape."""
    corner = np.array([region.x0, region.y0], np.float64)
    covered = [fill_outline(polygon - corner, region.shape) for polygon in polygons]
    return covered[0] if len(covered) == 1 else np.maximum.reduce(covered)


def ribbons(lines: NDArray[np.float64], width: float) -> NDArray[np.float64]:
    """The polygons (L, 2 N, 2) that lines (L, N, 2) of some width cover."""
    along = np.empty_like(lines)
    along[:, 1:-1] = lines[:, 2:] - lines[:, :-2]
    along[:, [0, -1]] = lines[:, [1, -1]] - lines[:, [0, -2]]
    off = along[..., ::-1] * np.array([-width / 2, width / 2])
    off /= np.maximum(np.sqrt((along * along).sum(2, keepdims=True)), 1e-9)
    return np.concatenate([lines + off, (lines - off)[:, ::-1]], axis=1)


def stroke(lines: NDArray[np.float64], width: float, region: Region) -> Field:
    """Coverage 0..1 of lines (L, N, 2) `width` pixels wide, however thin, float32 of the region's shape."""
    polygons = ribbons(lines, width)
    closed = np.concatenate([polygons, polygons[:, :1]], axis=1)
    # One outline for all: the bridges from one to the next are walked back again, so they cover nothing.
    return cover([np.concatenate([closed.reshape(-1, 2), polygons[-2::-1, 0]])], region)


def lay(sheet: Image, canvas: Canvas, fit: FaceFit, region: Region) -> Image:
    """Warp a lit sheet onto the face: uint8 (rows, columns, channels) of the region.

    The backward thin-plate map is evaluated on a coarse grid and interpolated: it is far smoother than the grid.
    """
    import cv2

    rows, columns = region.shape
    cell = max(4, -(-max(rows, columns) // 12))
    down, across = -(-rows // cell) + 2, -(-columns // cell) + 2
    grid = np.empty((down, across, 2), np.float32)
    grid[..., 0] = np.arange(region.x0 - 0.5 - cell / 2, region.x0 + (across - 1) * cell, cell)
    grid[..., 1] = np.arange(region.y0 - 0.5 - cell / 2, region.y0 + (down - 1) * cell, cell)[:, None]
    coarse = canvas.texels(fit.to_mask(grid.reshape(-1, 2))).astype(np.float32).reshape(down, across, 2)
    fine = cv2.resize(coarse, (across * cell, down * cell), interpolation=cv2.INTER_LINEAR)
    where = fine[cell : cell + rows, cell : cell + columns]
    out: Image = cv2.remap(sheet, where, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return out


def silhouette(
    outline: NDArray[np.floating], fit: FaceFit, ridge_top: float, ridge_bottom: float
) -> list[NDArray[np.float64]]:
    """The polygons whose union a worn mask covers in the image.

    On a turned head the ridge over nose and mouth can stand before the far cheek; the cloth spans from it to the chin,
    so the hull of the far half belongs to the mask too.

    Args:
        outline: mask frame (N, 2).
        ridge_top, ridge_bottom: mid-line extent of the mask, mask frame.
    """
    import cv2

    polygons = [fit.to_image(outline)]
    if fit.kind == "warp" and abs(fit.yaw) > 0.3:
        y = np.linspace(ridge_top, ridge_bottom, 9)
        ridge = fit.to_image(np.stack([0 * y, y], 1))
        far = outline[outline[:, 0] * fit.yaw > 0]
        lower = far[far[:, 1] > ridge_top + 0.35 * (ridge_bottom - ridge_top)]
        together = np.concatenate([ridge, fit.to_image(lower)]) if len(lower) else ridge
        hull = cv2.convexHull(together.astype(np.float32))[:, 0]
        polygons.append(hull.astype(np.float64))
    return polygons
