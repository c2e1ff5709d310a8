"""Solid landmark masks of NIST FRVT part 6A (NISTIR 8311), shapes A to F, with exact coverage."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from faceloom.schemas.masks import PolygonMask, PolygonShape
from faceloom.transforms.align import five_points
from faceloom.transforms.geometry import apply_affine, rotate
from faceloom.transforms.masks.composite import alpha_over
from faceloom.transforms.masks.painted import PaintedMask
from faceloom.transforms.types import Coverage, Image, Outline, Points, Region

JAW = range(1, 16)
ROUND_WIDTH = 0.8
"""Full width of the ellipses, in widths of the jaw between landmarks 3 and 13."""
LOW_TOP = 0.33
"""Distance from landmark 29 down to the top of the low ellipse, in distances between landmarks 40 and 46."""
_ELLIPSE_POINTS = 128


def outline(landmarks: Points, shape: PolygonShape) -> Outline:
    """Corners (N, 2) of the mask's outline, in the frame of the landmarks.

    NIST draws on upright frontal faces. For a tilted head, the shapes follow the axes of the head:
    the landmarks are rotated upright, and the outline is rotated back.
    """
    points = landmarks.astype(np.float64)
    left_eye, right_eye = five_points(points)[:2].tolist()
    roll, centre = math.atan2(right_eye[1] - left_eye[1], right_eye[0] - left_eye[0]), points[28].tolist()
    level = apply_affine(rotate(-roll, centre), points)
    corners = _polygon(level, shape) if shape in ("A", "C", "E") else _ellipse(level, shape)
    return np.asarray(apply_affine(rotate(roll, centre), corners), np.float64)


def _polygon(p: Points, shape: PolygonShape) -> Outline:
    top = {
        "A": [(p[42, 0], p[15, 1]), p[27], (p[39, 0], p[1, 1])],
        "C": [p[29]],
        "E": [p[35], p[34], p[33], p[32], p[31]],
    }[shape]
    return np.vstack([p[JAW], *top])


def _ellipse(p: Points, shape: PolygonShape) -> Outline:
    top = {
        "B": (p[27, 1] + p[28, 1]) / 2,
        "D": p[29, 1],
        "F": p[29, 1] + LOW_TOP * (p[46, 0] - p[40, 0]),
    }[shape]
    bottom, half_width = p[8, 1], ROUND_WIDTH * (p[13, 0] - p[3, 0]) / 2
    angles = np.linspace(0, 2 * math.pi, _ELLIPSE_POINTS, endpoint=False)
    # A polygon with its corners on the ellipse is a little too small; this corrects its area.
    swell = math.sqrt(2 * math.pi / (_ELLIPSE_POINTS * math.sin(2 * math.pi / _ELLIPSE_POINTS)))
    radii = np.array([half_width, (bottom - top) / 2]) * swell
    centre = np.array([p[28, 0], (top + bottom) / 2])
    return np.asarray(centre + radii * np.column_stack([np.cos(angles), np.sin(angles)]))


def polygon_coverage(landmarks: Points, shape: PolygonShape, size: tuple[int, int]) -> Coverage:
    """Compute how much of each pixel the mask covers.

    Args:
        landmarks: (68, 2), iBUG order, in pixels of the picture.
        shape: A, C, E: polygons over the jaw, wide, from high to low; B, D, F: ellipses, from high to low.
        size: height and width of the picture.

    Returns:
        float32 (height, width), 0..1; 0.5 and above is the binary mask.
    """
    return fill_outline(outline(landmarks, shape), size)


def fill_outline(corners: Outline, size: tuple[int, int]) -> Coverage:
    """Exact coverage, float32 (H, W), of the polygon through `corners` (N, 2) in a picture of (height, width).

    cv2.fillPoly draws a border line, which adds 0.45 pixels on every side (0.65 with LINE_AA); here the area is that of
    the polygon. By Green's theorem each short piece of the outline covers, signed by its direction, part of its own
    cell and everything to the right of it; a cumulative sum along the rows adds these areas.
    """
    coverage = np.zeros(size, np.float32)
    region = outline_region(corners, size)
    if region is not None:
        shifted = corners - np.array([region.left, region.top])
        coverage[region.slices] = fill_outlines([shifted], region.shape)[0]
    return coverage


def fill_outlines(outlines: Sequence[Outline], size: tuple[int, int]) -> Coverage:
    """Coverage, float32 (N, H, W), of N outlines in a picture of (height, width); see `fill_outline`.

    It is exact for one polygon that does not cross itself. Where several overlap, it is that of their union, but on a
    pixel that edges of several cross: there the areas add up, to 1 at most.

    Args:
        outlines: each is a polygon (M, 2), or P polygons (P, M, 2) of one direction, such as pieces of one shape.
        size: height and width of the picture.
    """
    rows, columns = size
    if not outlines:
        return np.zeros((0, *size), np.float32)
    layered = [(number, one) for number, some in enumerate(outlines) for one in some.reshape(-1, *some.shape[-2:])]
    layers, polygons = zip(*layered, strict=True)
    lengths = [len(polygon) for polygon in polygons]
    start = np.concatenate(polygons).T + 0.5  # pixel x now spans x to x + 1
    following = np.arange(1, start.shape[1] + 1)
    ends = list(accumulate(lengths))
    following[np.array(ends) - 1] = [0, *ends[:-1]]
    along = start[:, following] - start
    edge, begin, end = _cut_at_pixel_edges(start, along)
    first, step = start.take(edge, axis=1), along.take(edge, axis=1)
    x, y = first + (begin + end) / 2 * step
    rise = (end - begin) * step[1] * ((y > 0) & (y < rows))  # other pieces cover nothing, wherever they are put
    x, y = np.minimum(np.maximum(x, 0), columns), np.minimum(np.maximum(y, 0), rows - 1)
    cell = x.astype(np.intp)
    stride = columns + 2  # pieces at the right edge spill over into two more columns
    top = np.repeat(np.array(layers) * rows, lengths).take(edge)
    index, spill = (top + y.astype(np.intp)) * stride + cell, rise * (x - cell)
    places, areas = np.concatenate([index, index + 1]), np.concatenate([rise - spill, spill])
    length = len(outlines) * rows * stride
    changes = np.bincount(places, areas, length)
    # Few cells change the sum along a row, which is 0 at its end: sums of these alone, each repeated up to the next.
    at = np.append(np.flatnonzero(changes), length)
    sums = np.abs(changes.take(at[:-1]).cumsum())
    # Near 1, float32 has steps of 1e-7, so the error of the sums, about 1e-14, is rounded away.
    shares = (sums + 1).astype(np.float32)
    np.minimum(shares, 2, out=shares)  # outlines that overlap count some pixels twice
    shares -= 1
    covered = np.zeros(length, np.float32)
    covered[at[0] :] = np.repeat(shares, at[1:] - at[:-1])
    return covered.reshape(-1, rows, stride)[..., :columns]


def outline_region(corners: Outline, size: tuple[int, int]) -> Region | None:
    """The region of a picture of (height, width) that a polygon can touch; None if it lies outside."""
    low, high = corners.min(axis=0).tolist(), corners.max(axis=0).tolist()
    left, top = (max(0, math.floor(edge + 0.5)) for edge in low)
    right, bottom = (min(most, math.ceil(edge + 0.5)) for edge, most in zip(high, size[::-1], strict=True))
    return Region(left, top, right, bottom) if left < right and top < bottom else None


def _cut_at_pixel_edges(
    start: Outline, along: Outline
) -> tuple[NDArray[np.intp], NDArray[np.float64], NDArray[np.float64]]:
    """Cut edges into pieces wherever they cross from one pixel into the next.

    Args:
        start: of each edge, (2, M), rows x and y.
        along: from its start to its end, (2, M).

    Returns:
        For each piece the number of its edge, and where on the edge it begins and ends, 0 to 1; (N,).
    """
    count = start.shape[1]
    # Edges along x and along y in one array: few calls on long arrays.
    start, along = start.ravel(), along.ravel()
    end = start + along
    low = np.ceil(np.minimum(start, end))
    crossings = (np.ceil(np.maximum(start, end)) - low).astype(np.intp)
    edge = np.repeat(np.arange(2 * count), crossings)
    line = np.arange(len(edge)) + (low - (crossings.cumsum() - crossings)).take(edge)
    share = (line - start.take(edge)) / along.take(edge)
    # A position on the edges is the number of an edge plus the fraction of that edge.
    place = np.sort(np.concatenate([np.arange(count + 1.0), edge % count + share]))
    edge = np.minimum(place[:-1].astype(np.intp), count - 1)
    begin, following = place[:-1] - edge, place[1:] - edge
    return edge, begin, np.minimum(following, 1)


def paint_polygon(image: Image, landmarks: Points, mask: PolygonMask) -> PaintedMask:
    """Paint a landmark mask in one solid colour, without shading, as NIST does.

    Args:
        image: uint8 (H, W, 3), RGB; not changed.
        landmarks: (68, 2) in pixels of `image`.
        mask: shape and colour.
    """
    corners, size = outline(landmarks, mask.shape), (image.shape[0], image.shape[1])
    alpha, region = fill_outline(corners, size), outline_region(corners, size)
    painted = alpha_over(image, mask.colour, alpha, region=region)
    return PaintedMask(painted, alpha, parameters={"shape": mask.shape, "colour": list(mask.colour)})
