"""Quality of a masked picture: error against its target, position and sharpness of its mask, change of bare skin."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faceloom.transforms.guide.guide_mask import iou
from faceloom.transforms.types import BoolMask, Image

WINDOW, SIGMA = 11, 1.5
"""The Gaussian window of SSIM, in pixels; scikit-image derives the width from σ."""
ROUNDING = 1 / 12 / 255**2
"""Mean squared error of rounding to 8 bits. Smaller errors count as this one."""
FEWEST = 16
"""Minimum number of pixels for a variance."""


@dataclass(frozen=True)
class Scores:
    """The figures of one masked picture; NaN where there is nothing to measure.

    Attributes:
        mse: mean squared error against the target, levels 0..1.
        psnr: peak signal-to-noise ratio against the target, dB.
        ssim: structural similarity to the target, up to 1.
        iou: intersection over union of its mask and the true one, 0..1.
        detail, target_detail: variance of the Laplacian where both masks are, of this picture and of the target, in
            squared levels of 0..255.
        changed: mean absolute difference to the bare face outside the true mask, levels of 0..255.
    """

    mse: float
    psnr: float
    ssim: float
    iou: float
    detail: float
    target_detail: float
    changed: float


def score(face: Image, target: Image, truth: BoolMask, output: Image, region: BoolMask) -> Scores:
    """Measure one masked picture.

    Args:
        face, target, output: uint8 (H, W, 3), RGB: the bare face, the expected masked face, and the one to measure.
        truth, region: bool (H, W): the expected mask, and the mask of `output`.
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
    """Mean squared difference over pixels and channels, for levels from 0 to 1; 0 for equal pictures.

    Args:
        one, other: uint8 (H, W, 3).
    """
    from skimage import metrics

    return float(metrics.mean_squared_error(one, other)) / 255**2


def signal_to_noise(one: Image, other: Image) -> float:
    """Peak signal-to-noise ratio in dB, of scikit-image: -10·log10 of the mean squared error for levels from 0 to 1.

    Two equal 8-bit pictures may come from two that differ by rounding. So the error counts as at least that of
    rounding, and the ratio is finite, at most 58.9 dB, where scikit-image returns infinity.

    Args:
        one, other: uint8 (H, W, 3).
    """
    from skimage import metrics

    if mean_squared_error(one, other) <= ROUNDING:
        return -10 * math.log10(ROUNDING)
    return float(metrics.peak_signal_noise_ratio(one, other, data_range=255))


def structural_similarity(one: Image, other: Image) -> float:
    """Mean structural similarity (SSIM), of scikit-image; at most 1, for equal pictures.

    With the settings of Wang, Bovik, Sheikh and Simoncelli (IEEE Trans. Image Processing 13(4), 2004): on luma (ITU-R
    BT.601, not rounded), a Gaussian window of 11x11 pixels with σ 1.5, K1 = 0.01, K2 = 0.03, L = 255, population
    covariance, averaged over all places where the window lies inside the picture.

    Args:
        one, other: uint8 (H, W, 3), RGB, sides of at least 11 pixels.

    Raises:
        ValueError: the pictures differ in size, or are smaller than the window.
    """
    from skimage import metrics

    if one.shape != other.shape or min(one.shape[:2]) < WINDOW:
        given = f"{one.shape} and {other.shape}"
        raise ValueError(f"SSIM needs two pictures of the same size, at least {WINDOW}x{WINDOW}, not {given}")
    options = {"data_range": 255, "gaussian_weights": True, "sigma": SIGMA, "use_sample_covariance": False}
    return float(metrics.structural_similarity(luma(one), luma(other), **options))


def laplacian_variance(picture: Image, region: BoolMask) -> float:
    """Variance of the Laplacian of luma inside a region, in squared levels of 0..255: the amount of fine detail.

    A focus measure of Pech-Pacheco et al. (ICPR 2000), with the kernel of a pixel and its four neighbours. The region
    is eroded by two pixels, so that its edge and the mixed pixels along it do not count as detail.

    Args:
        picture: uint8 (H, W, 3), RGB.
        region: bool (H, W).

    Returns:
        NaN if fewer than `FEWEST` pixels are left.
    """
    import cv2

    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    inner = cv2.erode(region.astype(np.uint8), cross, iterations=2, borderType=cv2.BORDER_CONSTANT, borderValue=0) > 0
    if inner.sum() < FEWEST:
        return float("nan")
    return float(cv2.Laplacian(luma(picture), cv2.CV_64F, ksize=1)[inner].var())


def mean_change(one: Image, other: Image, region: BoolMask) -> float:
    """Mean absolute difference over the pixels of a region and all channels, levels of 0..255; NaN if it is empty.

    Args:
        one, other: uint8 (H, W, 3).
        region: bool (H, W).
    """
    difference = np.abs(one[region].astype(np.float64) - other[region])
    return float(difference.mean()) if difference.size else float("nan")


def luma(picture: Image) -> NDArray[np.float64]:
    """Luma (ITU-R BT.601) of an RGB picture, float64 (H, W), 0..255, not rounded."""
    return np.asarray(picture @ np.array([0.299, 0.587, 0.114]), np.float64)
