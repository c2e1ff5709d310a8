"""Rasterises vectors in a region of interest: coverage of outlines and straps, and the cloth's backward warp."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from faceloom.transforms.masks.canvas import Canvas
from faceloom.transforms.masks.fit import FaceFit
from faceloom.transforms.masks.polygon import fill_outlines
from faceloom.transforms.types import Field, Image, Region


def coverages(outlines: Sequence[NDArray[np.floating]], region: Region) -> Field:
    """Exact coverage 0..1 of each of N outlines in image pixels, float32 (N, rows, columns) of the region.

    Each is a polygon (M, 2), or several (P, M, 2) that cover their union, see `fill_outlines`.
    """
    corner = np.array([region.left, region.top], np.float64)
    return fill_outlines([outline - corner for outline in outlines], region.shape)


def ribbons(lines: NDArray[np.float64], width: float) -> NDArray[np.float64]:
    """Polygons (L, 2 N, 2) of lines (L, N, 2) that are `width` pixels wide, however thin."""
    along = np.empty_like(lines)
    along[:, 1:-1] = lines[:, 2:] - lines[:, :-2]
    along[:, [0, -1]] = lines[:, [1, -1]] - lines[:, [0, -2]]
    off = along[..., ::-1] * np.array([-width / 2, width / 2])
    off /= np.maximum(np.sqrt((along * along).sum(2, keepdims=True)), 1e-9)
    return np.concatenate([lines + off, (lines - off)[:, ::-1]], axis=1)


def warp_cloth(sheet: Image, canvas: Canvas, fit: FaceFit, region: Region) -> Image:
    """Warp a lit sheet onto the face: uint8 (rows, columns, channels) of the region.

    The backward thin-plate map is evaluated on a coarse grid and interpolated: it is far smoother than the grid.
    """
    import cv2

    rows, columns = region.shape
    cell = max(4, -(-max(rows, columns) // 12))
    down, across = -(-rows // cell) + 2, -(-columns // cell) + 2
    grid = np.empty((down, across, 2), np.float32)
    grid[..., 0] = np.arange(region.left - 0.5 - cell / 2, region.left + (across - 1) * cell, cell)
    grid[..., 1] = np.arange(region.top - 0.5 - cell / 2, region.top + (down - 1) * cell, cell)[:, None]
    coarse = canvas.texels(fit.to_mask(grid.reshape(-1, 2))).astype(np.float32).reshape(down, across, 2)
    fine = cv2.resize(coarse, (across * cell, down * cell), interpolation=cv2.INTER_LINEAR)
    where = fine[cell : cell + rows, cell : cell + columns]
    out: Image = cv2.remap(sheet, where, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return out


def silhouette(
    outline: NDArray[np.floating], fit: FaceFit, ridge_top: float, ridge_bottom: float
) -> list[NDArray[np.float64]]:
    """Polygons of a worn mask in the image; the mask covers their union.

    On a turned head the ridge over nose and mouth can hide the far cheek; the cloth spans from it to the chin, so the
    hull of the far half belongs to the mask too.

    Args:
        outline: mask frame (N, 2).
        ridge_top, ridge_bottom: mid-line extent of the mask, mask frame.
    """
    import cv2

    polygons = [fit.to_image(outline.astype(np.float32))]  # to a hundredth of a pixel, in a fifth of the time
    if fit.kind == "warp" and abs(fit.yaw) > 0.3:
        y = np.linspace(ridge_top, ridge_bottom, 9)
        ridge = fit.to_image(np.stack([0 * y, y], 1))
        far = outline[outline[:, 0] * fit.yaw > 0]
        lower = far[far[:, 1] > ridge_top + 0.35 * (ridge_bottom - ridge_top)]
        together = np.concatenate([ridge, fit.to_image(lower)]) if len(lower) else ridge
        hull = cv2.convexHull(together.astype(np.float32))[:, 0]
        polygons.append(hull.astype(np.float64))
    return polygons
