"""Sharpness and noise of a photo, applied to a painted mask so that it matches the camera."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from faceloom.transforms.masks.canvas import noise_window, quantile
from faceloom.transforms.masks.fit import FaceFit, FixedPoints
from faceloom.transforms.types import Image, Region

_LONGEST = 128
_IMMERKAER = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
_EYES = FixedPoints(np.array([(-0.75, -0.35), (0.75, 0.25)]))


@dataclass(frozen=True)
class Grain:
    """Blur as the standard deviation of a Gaussian in pixels, noise as the standard deviation of the grey level."""

    blur: float
    noise: float


def measure_grain(image: Image, fit: FaceFit) -> Grain:
    """Measure blur and noise around the eyes, where every face has edges.

    Noise: Immerkaer, "Fast noise variance estimation", CVIU 1996, with median instead of mean, so edges do not count.
    Blur: how much steeper edges look over one pixel than over four; calibrated on Gaussian blur of portraits.
    """
    import cv2

    region = Region.around(fit.to_image(_EYES), 0, image.shape)
    rows, columns = region.shape
    if min(rows, columns) < 8:
        return Grain(0.6, 1.5)
    y, x = max(0, (rows - _LONGEST) // 2), max(0, (columns - 2 * _LONGEST) // 4)
    patch = image[region.slices][y : y + _LONGEST, x : x + _LONGEST]
    grey = cv2.cvtColor(patch, cv2.COLOR_RGB2GRAY)
    residue = cv2.convertScaleAbs(cv2.filter2D(grey, cv2.CV_16S, _IMMERKAER))
    noise = min(max(0.3, quantile(residue, 0.5) / 6 * 1.4826), 12.0)
    near, far = cv2.absdiff(grey[:, 1:], grey[:, :-1]), cv2.absdiff(grey[:, 4:], grey[:, :-4])
    # The steepest tenth of the edges over four pixels shows the optics; the rest is skin.
    strong = cv2.compare(far, quantile(far, 0.9), cv2.CMP_GT)
    pairs = cv2.max(near[:, 1:], near[:, :-1])
    steep, step = cv2.mean(far, strong)[0], cv2.mean(cv2.max(pairs[:, 2:], pairs[:, :-2]), strong)[0]
    if not steep:  # a single colour: a black bar over the eyes, or overexposure
        return Grain(0.6, noise)
    ratio = steep / max(1e-3, step)  # 1: a step within a pixel; 4: a ramp
    return Grain(min(max(0.0, (ratio - 1.35) * 1.15), 3.0), noise)


def soften(cloth: Image, sigma: float) -> Image:
    """Gaussian blur; below a third of a pixel the input is returned."""
    import cv2

    return cv2.GaussianBlur(cloth, (0, 0), sigma) if sigma > 0.33 else cloth


def add_grain(cloth: Image, noise: float, blur: float, rng: np.random.Generator) -> Image:
    """Add luma noise of a given strength, as coarse as the photo is blurred."""
    import cv2

    if noise < 0.4:
        return cloth
    coarse = round(min(blur, 1.2), 1) if blur > 0.8 else 0.0  # rounded to a tenth: each value needs its own tile
    field = noise_window(cloth.shape[:2], rng, coarse)
    out: Image = cv2.addWeighted(cloth, 1, cv2.merge([field, field, field]), noise, 0, dtype=cv2.CV_8U)
    return out
