"""From vectors to pixels in a region of interest: coverage of outlines and straps, and the cloth's backward warp."""

from __future__ import annotations

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
        low, high = np.floor(points.min(0) - margin), np.ceil(points.max(0) + margin) + 1
        x0, x1 = (int(np.clip(v, 0, width)) for v in (low[0], high[0]))
        y0, y1 = (int(np.clip(v, 0, height)) for v in (low[1], high[1]))
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
    covered = [fill_outline(polygon.astype(np.float64) - (region.x0, region.y0), region.shape) for polygon in polygons]
    return covered[0] if len(covered) == 1 else np.maximum.reduce(covered)


def ribbon(line: NDArray[np.floating], width: float) -> NDArray[np.float64]:
    """The polygon that a line (N, 2) of some width covers."""
    along = np.gradient(line.astype(np.float64), axis=0)
    along /= np.maximum(np.hypot(along[:, :1], along[:, 1:]), 1e-9)
    off = along[:, ::-1] * (-width / 2, width / 2)
    return np.concatenate([line + off, (line - off)[::-1]])


def stroke(lines: Sequence[NDArray[np.floating]], width: float, region: Region) -> Field:
    """Coverage 0..1 of lines `width` pixels wide, however thin, float32 of the region's shape."""
    ribbons = [ribbon(line, width) for line in lines]
    closed = [np.concatenate([polygon, polygon[:1]]) for polygon in ribbons]
    # One outline for all: the bridges from one to the next are walked back again, so they cover nothing.
    return cover([np.concatenate([*closed, *(polygon[:1] for polygon in closed[-2::-1])])], region)


def lay(sheet: Image, canvas: Canvas, fit: FaceFit, region: Region) -> Image:
    """Warp a lit sheet onto the face: uint8 (rows, columns, channels) of the region.

    The backward thin-plate map is evaluated on a coarse grid and interpolated: it is far smoother than the grid.
    """
    import cv2

    rows, columns = region.shape
    cell = max(4, -(-max(rows, columns) // 14))
    down, across = -(-rows // cell) + 2, -(-columns // cell) + 2
    gx = region.x0 + (np.arange(across) - 0.5) * cell - 0.5
    gy = region.y0 + (np.arange(down) - 0.5) * cell - 0.5
    grid = np.stack(np.broadcast_arrays(gx[None, :], gy[:, None]), -1).reshape(-1, 2)
    coarse = canvas.texels(fit.to_mask(grid)).astype(np.float32).reshape(down, across, 2)
    fine = cv2.resize(coarse, (across * cell, down * cell), interpolation=cv2.INTER_LINEAR)
    where = np.ascontiguousarray(fine[cell : cell + rows, cell : cell + columns])
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
