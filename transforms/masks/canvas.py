"""The flat sheet on which a mask's cloth is drawn before it is warped to the face: a grid over its bounding box."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from faceloom.transforms.types import Field


@dataclass(frozen=True, eq=False)
class Canvas:
    """A sheet of `height` x `width` texels over the box x0..x1, y0..y1 of the mask frame."""

    x0: float
    y0: float
    x1: float
    y1: float
    width: int
    height: int

    @classmethod
    def over(cls, outline: NDArray[np.floating], texels_per_unit: float) -> Canvas:
        """A sheet over the box of an outline (N, 2), with a small margin."""
        (x0, y0), (x1, y1) = (outline.min(0) - 0.05).tolist(), (outline.max(0) + 0.05).tolist()
        width, height = (min(max(24, round(size * texels_per_unit)), 1024) for size in (x1 - x0, y1 - y0))
        return cls(x0, y0, x1, y1, width, height)

    @cached_property
    def scale(self) -> tuple[float, float]:
        """Texels per eye distance, across and down."""
        return self.width / (self.x1 - self.x0), self.height / (self.y1 - self.y0)

    @cached_property
    def x(self) -> Field:
        """Mask-frame x of each column, float32 (width,)."""
        return np.float32(self.x0) + (np.arange(self.width, dtype=np.float32) + 0.5) / np.float32(self.scale[0])

    @cached_property
    def y(self) -> Field:
        """Mask-frame y of each row, float32 (height,)."""
        return np.float32(self.y0) + (np.arange(self.height, dtype=np.float32) + 0.5) / np.float32(self.scale[1])

    @cached_property
    def _affine(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        scale = np.array(self.scale)
        return scale, -scale * (self.x0, self.y0) - 0.5

    def texels(self, points: NDArray[np.floating]) -> NDArray[np.float64]:
        """Mask frame (N, 2) to texel coordinates, integers at texel centres."""
        scale, shift = self._affine
        out: NDArray[np.float64] = points * scale + shift
        return out

    def resized(self, height: int, width: int) -> Canvas:
        """The same box in another number of texels."""
        return Canvas(self.x0, self.y0, self.x1, self.y1, width, height)

    def line(self, sheet: NDArray[np.uint8], points: NDArray[np.floating], width: float, closed: bool = False) -> None:
        """Add a line `width` eye distances wide to a uint8 sheet, value 255; thinner than a texel it fades instead."""
        import cv2

        texels = width * min(self.scale)
        value = 255 if texels >= 1 else max(1, round(255 * texels))
        dots = np.rint(self.texels(points) * 16).astype(np.int32)
        cv2.polylines(sheet, [dots], closed, value, max(1, round(texels)), cv2.LINE_AA, 4)


def weighted_index(weights: Sequence[float], rng: np.random.Generator) -> int:
    """Index drawn with probability proportional to its weight."""
    totals = list(accumulate(weights))
    return bisect_right(totals, rng.random() * totals[-1])


def solid_colour(colour: NDArray[np.floating], shape: tuple[int, int]) -> NDArray[np.uint8]:
    """A picture (rows, columns, 3) of one RGB colour, rounded and clipped."""
    import cv2

    sheet = np.empty((*shape, 3), np.uint8)
    # Numpy is slow if the innermost axis is short.
    cv2.rectangle(sheet, (0, 0), (shape[1], shape[0]), [min(255, max(0, round(v))) for v in colour.tolist()], -1)
    return sheet


def quantile(values: NDArray[np.floating], share: float) -> float:
    """The `share` quantile of all values, without interpolation; much faster than numpy's."""
    line = values.ravel()
    at = min(line.size - 1, int(share * line.size))
    return float(np.partition(line, at)[at])


@lru_cache(maxsize=16)
def noise_tile(blur: float = 0.0, size: int = 512) -> Field:
    """Normal noise of unit spread, float32 (size, size), always the same; draws take a random window of it.

    Args:
        blur: standard deviation of the Gaussian that makes it coarse; 0 for white noise.
    """
    import cv2

    tile: Field = np.random.default_rng(20120220).standard_normal((size, size), np.float32)
    if blur:  # a Gaussian leaves 1 / (2 sqrt(pi) blur) of the spread
        tile = cv2.GaussianBlur(tile, (0, 0), blur) * np.float32(2 * np.sqrt(np.pi) * blur)
    return tile


def noise_window(shape: tuple[int, int], rng: np.random.Generator, blur: float = 0.0) -> Field:
    """A window of normal noise of any shape, drawn from a tile by a random offset."""
    tile = noise_tile(blur)
    size = tile.shape[0]
    (down, across), most = rng.random(2).tolist(), size - max(shape)
    if 2 * most >= size:  # leaves enough different windows that lie inside the tile
        y, x = int(down * most), int(across * most)
        return tile[y : y + shape[0], x : x + shape[1]]
    rows, columns = (int(down * size) + np.arange(shape[0])) % size, (int(across * size) + np.arange(shape[1])) % size
    wrapped: Field = tile[rows][:, columns]
    return wrapped


def smooth_noise(shape: tuple[int, int], cells: tuple[int, int], rng: np.random.Generator) -> Field:
    """Soft noise of unit spread with about `cells` (down, across) bumps, float32 `shape`."""
    import cv2

    rough = rng.standard_normal((cells[0] + 3, cells[1] + 3), np.float32)
    out: Field = cv2.resize(rough, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC)
    return out
