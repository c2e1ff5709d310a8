"""Sketches of textures: a few thousand numbers that give lower and upper bounds for the distance of two pictures.

A texture is cut into cells. The mean of a cell, times the root of its number of pixels, is its coordinate along an
orthonormal direction, so distances between sketches are distances between projections. What is left of a texture, its
detail, is known by its length in each region of two by two cells. For two textures with projections a, b and details of
lengths r, s in each region, |a - b|^2 + sum (r - s)^2 <= |T_A - T_B|^2 <= |a - b|^2 + sum (r + s)^2.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Sketches = NDArray[np.float32]

GRID = 28
"""Cells along a side at most: faces differ by 92 % of their squared distance in 28 x 28 cells."""
MIDDLE = 128
"""Taken off every pixel: it changes no difference, and shorter vectors lose less in float32."""


def sketch(textures: NDArray[np.uint8]) -> Sketches:
    """Sketches of textures.

    Args:
        textures: uint8 (N, H, W, C).

    Returns:
        float32 (N, D): coordinates of the cells, then lengths of the details of the regions. `split_at` is between.
    """
    import cv2

    cell, down, across, channels = _grid(textures.shape)
    cells = 4 * down * across * channels
    out = np.empty((len(textures), cells + down * across), np.float32)
    height, width = textures.shape[1:3]
    pixels = np.zeros((2 * down * cell, 2 * across * cell, channels), np.float32)
    for number, texture in enumerate(textures):
        np.subtract(texture, np.float32(MIDDLE), out=pixels[:height, :width], dtype=np.float32)
        sums = _means(pixels, cell) * np.float32(cell)
        energy = _means(cv2.multiply(pixels, pixels), cell).astype(np.float64) * cell**2
        detail = (energy - np.square(sums, dtype=np.float64)).reshape(down, 2, across, 2, channels).sum(axis=(1, 3, 4))
        out[number, :cells] = sums.ravel()
        out[number, cells:] = np.sqrt(np.maximum(detail, 0)).ravel()
    return out


def split_at(shape: tuple[int, ...]) -> int:
    """How many numbers of a sketch are coordinates of cells, for textures of shape (N, H, W, C)."""
    _, down, across, channels = _grid(shape)
    return 4 * down * across * channels


def coarser(sketches: Sketches, shape: tuple[int, ...]) -> Sketches:
    """The coordinates along regions instead of cells, float32 (N, D / 4 about), for textures of shape (N, H, W, C)."""
    _, down, across, channels = _grid(shape)
    cells = sketches[:, : split_at(shape)].reshape(-1, down, 2, across, 2, channels)
    return np.asarray(cells.sum(axis=(2, 4)) / 2, np.float32).reshape(len(sketches), down * across * channels)


def _means(pixels: NDArray[np.float32], cell: int) -> NDArray[np.float32]:
    """Means of the cells, float32 (rows, columns, channels)."""
    import cv2

    size = pixels.shape[1] // cell, pixels.shape[0] // cell
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA).reshape(size[1], size[0], -1)


def _grid(shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Side of a cell in pixels; regions down, across; channels. Cells that reach outside are filled up with nothing."""
    height, width, channels = shape[1:]
    cell = -(-max(height, width) // GRID)
    return cell, -(-height // (2 * cell)), -(-width // (2 * cell)), channels
