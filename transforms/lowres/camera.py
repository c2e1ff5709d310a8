"""Simulation of a distant camera: lens blur, sensor noise and JPEG compression."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from faceloom.transforms.types import Image, Size

BLUR = (0.4, 1.2)
"""Standard deviation of the lens's blur, in pixels of the small picture: from sharp to somewhat out of focus."""
FULL_WELL = (200.0, 10_000.0)
"""Electrons that make a pixel white, drawn evenly on a logarithmic scale: from dim light to good light."""
READ_NOISE = (2.0, 12.0)
"""Standard deviation of the noise that the electronics add, in electrons."""
QUALITY = (30, 90)
"""JPEG quality, first and last."""
SEEDS = 2**53
"""Seeds of noise are below this: any JSON reader gives them back whole."""


class Exposure(NamedTuple):
    """Camera parameters of one picture; see the ranges above for units."""

    blur: float
    full_well: float
    read_noise: float
    quality: int
    noise_seed: int


def draw_exposure(rng: np.random.Generator) -> Exposure:
    """Draw camera parameters, rounded so that they are stored exactly."""
    return Exposure(
        blur=round(float(rng.uniform(*BLUR)), 4),
        full_well=round(float(np.exp(rng.uniform(*np.log(FULL_WELL)))), 1),
        read_noise=round(float(rng.uniform(*READ_NOISE)), 3),
        quality=int(rng.integers(QUALITY[0], QUALITY[1] + 1)),
        noise_seed=int(rng.integers(SEEDS)),
    )


def photograph(image: Image, size: Size, exposure: Exposure) -> Image:
    """Simulate a photo of the picture by a distant camera.

    Light adds up linearly, so blur, averaging over pixels and noise are done on linear intensities. Photon noise has
    the variance of what is counted; its normal limit is used, so that the same seed gives the same pattern of noise
    wherever two pictures agree.

    Args:
        image: uint8 (H, W, 3), RGB, sRGB-encoded.
        size: (width, height) of the result.
        exposure: camera parameters.

    Returns:
        uint8 (height, width, 3), RGB, after one pass through JPEG.
    """
    import cv2

    light = _linear()[image]
    sigma = exposure.blur * image.shape[0] / size[1]
    light = cv2.GaussianBlur(light, (0, 0), sigma, borderType=cv2.BORDER_REFLECT_101)
    counted = cv2.resize(light, size, interpolation=cv2.INTER_AREA) * np.float32(exposure.full_well)
    pattern = np.random.default_rng(exposure.noise_seed).standard_normal(counted.shape, np.float32)
    counted += np.sqrt(counted + np.float32(exposure.read_noise**2)) * pattern
    grey = _encoded(counted / np.float32(exposure.full_well))
    data = cv2.imencode(".jpg", grey[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, exposure.quality])[1]
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR_RGB), np.uint8)


@lru_cache(maxsize=1)
def _linear() -> npt.NDArray[np.float32]:
    """Linear intensity 0..1 of each sRGB value (IEC 61966-2-1)."""
    value = np.arange(256) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4).astype(np.float32)


def _encoded(light: npt.NDArray[np.float32]) -> Image:
    """sRGB values of linear intensities, cut to 0..1 and rounded to the nearest."""
    light = light.clip(0, 1)
    value = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** np.float32(1 / 2.4) - 0.055)
    return np.rint(value * 255).astype(np.uint8)
