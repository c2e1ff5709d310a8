"""How good a masked picture is: against its target, where its mask lies, how sharp it is, what it left alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faceloom.transforms.guide.guide_mask import iou

Image = NDArray[np.uint8]
Region = NDArray[np.bool_]

WINDOW, SIGMA = 11, 1.5
"""The Gaussian window of SSIM, in pixels."""
ROUNDING = 1 / 12 / 255**2
"""Mean squared error that rounding to 8 bits makes by itself: what is closer than that counts as being so far apart."""
FEWEST = 16
"""Pixels below which a variance says nothing."""


@dataclass(frozen=True)
class Scores:
    """What is measured of one masked picture; not a number where there is nothing to measure.

    Attributes:
        mse: mean squared error against the target, levels 0..1.
        psnr: peak signal-to-noise ratio against the target, dB.
        ssim: structural similarity to the target, up to 1.
        iou: intersection over union of its mask and the true one, 0..1.
        detail, target_detail: variance of the Laplacian where both masks are, levels² of 0..255: here, in the target.
        changed: mean absolute difference to the face where the truth leaves it bare, levels of 0..255.
    """

    mse: float
    psnr: float
    ssim: float
    iou: float
    detail: float
    target_detail: float
    changed: float


def score(face: Image, target: Image, truth: Region, output: Image, region: Region) -> Scores:
    """Measure one masked picture.

    Args:
        face, target, output: uint8 (H, W, 3), RGB: the bare face, how it should look masked, and how it does.
        truth, region: bool (H, W): where the mask should be, and where it is.
    """
    both = truth & region
    return Scores(
        mse=mean_squared_error(output, target),
        psnr=signal_to_noise(output, target),
        ssim=structural_similarity(output, target),
        iou=iou(region, truth),
        detail=laplacian_variance(output, both),
        target_detail=laplacian_variance(target, both),
        changed=mean_change(output, face, ~truth),
    )


def mean_squared_error(one: Image, other: Image) -> float:
    """Mean over pixels and channels of the squared difference, for levels from 0 to 1 (0 is the same picture)."""
    return float(np.mean((one.astype(np.float64) - other) ** 2)) / 255**2


def signal_to_noise(one: Image, other: Image) -> float:
    """Peak signal-to-noise ratio in dB: -10·log10 of the mean squared error for levels from 0 to 1.

    Two equal pictures of 8 bits may come from two that differ by their rounding, so no error counts as smaller than
    that of rounding: the ratio is finite, at most 58.9 dB.
    """
    return float(-10 * np.log10(max(mean_squared_error(one, other), ROUNDING)))


def structural_similarity(one: Image, other: Image) -> float:
    """Mean structural similarity, up to 1, which only equal pictures reach.

    As Wang, Bovik, Sheikh and Simoncelli define it (IEEE Trans. Image Processing 13(4), 2004): on luma (ITU-R BT.601),
    in a Gaussian window of 11x11 pixels with σ 1.5, K1 = 0.01, K2 = 0.03, L = 255, averaged over all places where the
    window lies inside the picture.

    Args:
        one, other: uint8 (H, W, 3), RGB, sides of at least 11 pixels.

    Raises:
        ValueError: the pictures differ in size, or are smaller than the window.
    """
    if one.shape != other.shape or min(one.shape[:2]) < WINDOW:
        given = f"{one.shape} and {other.shape}"
        raise ValueError(f"two pictures of the same size, at least {WINDOW}x{WINDOW}, not {given}")
    x, y = luma(one), luma(other)
    mean_x, mean_y = _windowed(x), _windowed(y)
    variance_x, variance_y = _windowed(x * x) - mean_x**2, _windowed(y * y) - mean_y**2
    covariance = _windowed(x * y) - mean_x * mean_y
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    likeness = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    structure = (2 * covariance + c2) / (variance_x + variance_y + c2)
    return float((likeness * structure).mean())


def _windowed(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Means weighted by the window, at every place where it lies inside."""
    import cv2

    blurred = cv2.GaussianBlur(values, (WINDOW, WINDOW), SIGMA)
    edge = WINDOW // 2
    return np.asarray(blurred[edge:-edge, edge:-edge], np.float64)


def laplacian_variance(picture: Image, region: Region) -> float:
    """Variance of the Laplacian of luma inside a region, levels² of 0..255: how much fine detail there is.

    The variance of the Laplacian is a focus measure of Pech-Pacheco et al. (ICPR 2000). The kernel takes a pixel and
    its four neighbours. Only pixels count that lie two steps inside the region, so that its edge is no detail, nor the
    pixels along the edge, which may show a bit of what lies behind.

    Args:
        picture: uint8 (H, W, 3), RGB.
        region: bool (H, W).

    Returns:
        Not a number if fewer than `FEWEST` pixels count.
    """
    import cv2

    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    inner = cv2.erode(region.astype(np.uint8), cross, iterations=2, borderType=cv2.BORDER_CONSTANT, borderValue=0) > 0
    if inner.sum() < FEWEST:
        return float("nan")
    return float(cv2.Laplacian(luma(picture), cv2.CV_64F, ksize=1)[inner].var())


def mean_change(one: Image, other: Image, region: Region) -> float:
    """Mean absolute difference over a region's pixels and all channels, levels of 0..255; not a number if it is empty.

    Args:
        one, other: uint8 (H, W, 3).
        region: bool (H, W).
    """
    difference = np.abs(one[region].astype(np.float64) - other[region])
    return float(difference.mean()) if difference.size else float("nan")


def luma(picture: Image) -> NDArray[np.float64]:
    """Luma of an RGB picture after ITU-R BT.601, float64 (H, W), 0..255, not rounded."""
    return np.asarray(picture @ np.array([0.299, 0.587, 0.114]), np.float64)
