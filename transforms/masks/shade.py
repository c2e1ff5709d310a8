"""Light: measured on the face's own skin, laid on the cloth, and kept from the skin where the mask's shadow falls."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faceloom.transforms.masks.canvas import Field, quantile, smooth_noise
from faceloom.transforms.masks.fit import FaceFit, Places
from faceloom.transforms.masks.relief import Surface

Image = NDArray[np.uint8]

# Skin of the upper face that no usual mask covers: cheek bones, temples, forehead, between the brows. Mask frame.
_SKIN = Places(np.array([
    (-0.75, 0.2), (0.75, 0.2), (-0.55, 0.28), (0.55, 0.28), (-0.45, -0.55), (0.45, -0.55), (0.0, -0.5),
    (-0.2, -0.65), (0.2, -0.65), (-0.7, -0.5), (0.7, -0.5), (0.0, -0.15), (0.0, 0.1), (-0.95, 0.05), (0.95, 0.05),
]))  # fmt: skip
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
# Red and blue of skin over its green under neutral light: the middle of light and dark skins.
_SKIN_CHROMA = np.array([1.26, 1.0, 0.86], np.float32)


@dataclass(frozen=True)
class Light:
    """Light on a face.

    Attributes:
        level: luma of white cloth that faces the camera, 0..255.
        tint: RGB factors of the light's colour, luma kept.
        side: log-luma slope from the image's left to its right, per eye distance.
        skin: median RGB of the skin.
    """

    level: float
    tint: tuple[float, float, float]
    side: float
    skin: tuple[float, float, float]


def measure_light(image: Image, fit: FaceFit) -> Light:
    """Light from small patches of upper-face skin; median and least squares, so that hair on some patches does no harm.

    Args:
        image: uint8 (H, W, 3) RGB.
    """
    import cv2

    height, width = image.shape[:2]
    at = fit.to_image(_SKIN)
    radius = max(1, round(0.05 * fit.unit))
    inside = (at[:, 0] >= 0) & (at[:, 1] >= 0) & (at[:, 0] <= width - 1) & (at[:, 1] <= height - 1)
    if inside.sum() < 3:
        return Light(225.0, (1.0, 1.0, 1.0), 0.0, (170.0, 130.0, 110.0))
    x, y = np.round(at[inside]).astype(int).T
    patches = np.array([
        cv2.mean(image[max(0, b - radius) : b + radius + 1, max(0, a - radius) : a + radius + 1])[:3]
        for a, b in zip(x, y)
    ], np.float32)  # fmt: skip
    luma = patches @ _LUMA
    middle = quantile(luma, 0.5)
    keep = np.abs(np.log((luma + 8) / (middle + 8))) < 0.7  # the rest is hair, glasses, background
    skin = np.sort(patches[keep], axis=0)[int(keep.sum()) // 2]
    u = _SKIN.points[inside][keep, 0]
    level = np.log(luma[keep] + 8)
    # Ridge regression: a handful of patches must not invent a strong slope.
    side = float(((u - u.mean()) @ (level - level.mean())) / (((u - u.mean()) ** 2).sum() + 0.6))
    bright = quantile(image[:: max(1, height // 40), :: max(1, width // 40)] @ _LUMA, 0.96)
    white = 0.55 * 1.45 * float(skin @ _LUMA) + 0.45 * bright
    chroma = np.power((skin + 12) / (skin[1] + 12) / _SKIN_CHROMA, 0.25)
    chroma /= chroma @ _LUMA
    tint = np.clip(chroma, 0.8, 1.25)
    return Light(
        level=float(np.clip(white, 40, 262)),
        tint=(float(tint[0]), float(tint[1]), float(tint[2])),
        side=float(np.clip(side, -0.5, 0.5)),
        skin=(float(skin[0]), float(skin[1]), float(skin[2])),
    )


@dataclass(frozen=True)
class Lamp:
    """What is drawn on top of the measured light.

    Attributes:
        above, side: where it stands, as slopes towards the top and the right.
        hard: share of light from one direction; the rest comes from all around.
        gain: factor on the measured level.
        gloss: strength of the cloth's shine.
        tint: RGB factors.
        drift: how red and blue change from the top of the mask to its bottom (light from floor and clothes).
        cast: depth of a broad shadow thrown on the mask by what is outside of the picture.
    """

    above: float
    side: float
    hard: float
    gain: float
    gloss: float
    tint: tuple[float, float, float]
    drift: tuple[float, float]
    cast: float


def draw_lamp(light: Light, rng: np.random.Generator) -> Lamp:
    """A lamp that agrees with the measured slope, with what skin does not tell drawn at random."""
    return Lamp(
        above=float(rng.normal(0.45, 0.35)),
        side=float(2.0 * light.side + rng.normal(0, 0.32)),
        hard=float(rng.uniform(0.25, 0.9)),
        gain=float(np.exp(rng.normal(0.0, 0.14))),
        gloss=float(max(0.0, rng.normal(0, 0.1))),
        tint=(float(np.exp(rng.normal(-0.015, 0.035))), 1.0, float(np.exp(rng.normal(0.015, 0.035)))),
        drift=(float(rng.normal(0, 0.05)), float(rng.normal(0, 0.05))),
        cast=float(abs(rng.normal(0, 0.14))),
    )


def light_cloth(sheet: Image, surface: Surface, light: Light, lamp: Lamp, rng: np.random.Generator) -> Image:
    """Lay the light on flat cloth: half-Lambert by the surface's slope, then gain and tint; uint8, same shape."""
    import cv2

    nx, ny = surface.normal_x, surface.normal_y
    facing = (1 + np.float32(lamp.side) * nx - np.float32(lamp.above) * ny) / np.sqrt(1 + nx * nx + ny * ny)
    shade = np.float32(1 - lamp.hard) + np.float32(lamp.hard) * np.clip(facing, 0, 1.6)
    # Camera curves flatten light: display values follow a power of it.
    factor = cv2.pow(np.maximum(shade, np.float32(0.02)), 0.7) * surface.ink
    factor *= 1 - np.float32(lamp.cast) * np.clip(smooth_noise(factor.shape, (1, 1), rng), -0.6, 2)
    gain = light.level / 255 * lamp.gain
    down = np.linspace(-1, 1, factor.shape[0])[:, None]
    shine = np.float32(3 * 255 * lamp.gloss * gain) * np.maximum(facing - np.float32(0.75), 0) ** 2
    planes = []
    for plane, tint, drift in zip(
        cv2.split(sheet), np.array(light.tint) * np.array(lamp.tint), (lamp.drift[0], 0, lamp.drift[1])
    ):
        white = (gain * tint * (1 + drift * down)).astype(np.float32)
        lit = plane * (factor * white) + shine
        # A soft shoulder instead of a hard clip: over-exposed cloth keeps a trace of its folds.
        planes.append(cv2.convertScaleAbs(np.minimum(lit, np.float32(0.4) * lit + np.float32(135))))
    merged: Image = cv2.merge(planes)
    return merged


def contact_shadow(alpha: Field, unit: float, lamp: Lamp, strength: float) -> Field:
    """How dark the mask's shadow makes what lies under it, 0..strength, float32 like `alpha`.

    Args:
        alpha: coverage in the region of interest.
        unit: eye distance in pixels.
    """
    import cv2

    height, width = alpha.shape
    step = max(1, int(unit / 12))
    small = cv2.resize(alpha, (max(2, width // step), max(2, height // step)), interpolation=cv2.INTER_AREA)
    blurred = cv2.GaussianBlur(small, (0, 0), max(0.6, 0.05 * unit / step))
    dx, dy = -lamp.side * 0.03 * unit / step, max(0.2, lamp.above) * 0.08 * unit / step
    shift = np.array([[1, 0, dx], [0, 1, dy]])
    moved = cv2.warpAffine(blurred, shift, (small.shape[1], small.shape[0]), borderMode=cv2.BORDER_REPLICATE)
    dark: Field = cv2.resize(moved * np.float32(strength), (width, height), interpolation=cv2.INTER_LINEAR)
    return dark
