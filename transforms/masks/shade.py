"""Light: measured on the skin of the face, applied to the cloth, and darkened under the mask (contact shadow)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faceloom.transforms.masks.canvas import quantile
from faceloom.transforms.masks.fit import FaceFit, FixedPoints
from faceloom.transforms.masks.relief import Surface
from faceloom.transforms.types import Field, Image

# Skin of the upper face that no usual mask covers: cheek bones, temples, forehead, between the brows. Mask frame.
_SKIN = FixedPoints(np.array([
    (-0.75, 0.2), (0.75, 0.2), (-0.55, 0.28), (0.55, 0.28), (-0.45, -0.55), (0.45, -0.55), (0.0, -0.5),
    (-0.2, -0.65), (0.2, -0.65), (-0.7, -0.5), (0.7, -0.5), (0.0, -0.15), (0.0, 0.1), (-0.95, 0.05), (0.95, 0.05),
]))  # fmt: skip
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
# Red and blue of skin over its green under neutral light: the middle of light and dark skins.
_SKIN_CHROMA = (1.26, 0.86)
# Scatter of a photo's chroma around a function of its luma, in levels: sepia photos have 1 to 2.5, others 3.4 or more.
_TONED = (2.0, 3.4)
# Skin whose log ratios deviate less from that may be any skin in white light; the rest of a deviation is the light.
_ANY_SKIN = 0.3
# Log ratios that no skin has in white light, since it is red before green before blue; overexposed skin is white.
_LEAST_RED, _MOST_BLUE = -math.log(_SKIN_CHROMA[0]), -math.log(_SKIN_CHROMA[1])
# Beyond them by this, all of the deviation is the light.
_SURELY_LIT = 0.15
# How far white may lie from all of a photo's colours: a face that fills it is no tint.
_WHITER = 0.15
_LOG = np.log(np.arange(256, dtype=np.float32) + 12)
# Steps of 8 levels of luma in a photo; a drawing of fewer flat colours fits any curve.
_SHADES = 5
_RIDGE = 0.01 * np.eye(3)
# Offsets x and y of 5 x 5 places in a patch, in units of its radius.
_PATCH = np.stack(np.meshgrid(np.linspace(-1, 1, 5), np.linspace(-1, 1, 5))).reshape(2, -1)
_SUM = np.tile(np.eye(3, dtype=np.float32), (_PATCH.shape[1], 1))


@dataclass(frozen=True)
class Light:
    """Light on a face.

    Attributes:
        level: luma of white cloth that faces the camera, 0..255.
        tint: RGB factors of the light's colour, luma kept.
        side: log-luma slope from the image's left to its right, per eye distance.
        skin: median RGB of the skin.
        own: how much of its own colour cloth keeps: 1 in a colour photo, 0 in one whose colour follows from its luma,
            such as a sepia one.
        toning: the photo's red and blue chroma as a function of luma / 255: two polynomials, constant term first.
    """

    level: float
    tint: tuple[float, float, float]
    side: float
    skin: tuple[float, float, float]
    own: float = 1.0
    toning: tuple[float, ...] = (0.0,) * 6


def measure_light(image: Image, fit: FaceFit) -> Light:
    """Light from small patches of upper-face skin; median and least squares, so that hair on some does not matter.

    Args:
        image: uint8 (H, W, 3) RGB.
    """
    import cv2

    height, width = image.shape[:2]
    at = fit.to_image(_SKIN)
    radius = max(1, round(0.05 * fit.unit))
    x, y = at.T
    inside = (x >= 0) & (y >= 0) & (x <= width - 1) & (y <= height - 1)
    count = int(np.count_nonzero(inside))
    if count < 3:
        return Light(225.0, (1.0, 1.0, 1.0), 0.0, (170.0, 130.0, 110.0))
    # 25 pixels of each patch; pixels outside the picture are clamped to its edge.
    offsets = np.rint(_PATCH * radius)
    x = np.minimum(np.maximum(np.rint(x[inside])[:, None] + offsets[0], 0), width - 1).astype(np.intp)
    y = np.minimum(np.maximum(np.rint(y[inside])[:, None] + offsets[1], 0), height - 1).astype(np.intp)
    # A product is faster than a mean over the middle axis, and as exact: its sums are whole numbers.
    patches = image[y, x].reshape(count, -1).astype(np.float32) @ _SUM / np.float32(_PATCH.shape[1])
    luma = patches @ _LUMA
    level = np.log(luma + 8)
    middle = math.log(quantile(luma, 0.5) + 8)
    keep = np.abs(level - middle) < 0.7  # the rest is hair, glasses, background
    kept = patches[keep]
    red, green, blue = np.sort(kept, axis=0)[len(kept) // 2].tolist()
    u, level = _SKIN.points[inside, 0][keep], level[keep]
    u = u - u.sum() / len(u)
    # Ridge regression: a handful of patches must not invent a strong slope.
    side = float(u @ (level - level.sum() / len(level)) / (u @ u + 0.6))
    few = cv2.resize(image, (20, 40), interpolation=cv2.INTER_NEAREST)
    planes = cv2.cvtColor(few, cv2.COLOR_RGB2YCrCb).reshape(-1, 3)
    lumas = planes[:, 0]
    counts = np.bincount(lumas, minlength=256)
    half, bright = np.searchsorted(counts.cumsum(), (len(lumas) // 2, int(0.96 * len(lumas))), side="right").tolist()
    own, toning = _toning(planes, counts)
    white = 0.55 * 1.45 * _luma(red, green, blue) + 0.45 * bright
    # Lamps differ between blue and yellow; the redness of skin depends more on blood, and hardly tints the cloth.
    skin_ratios = (red + 12) / (green + 12), (blue + 12) / (green + 12)
    warm, cold = (math.log(ratio / neutral) for ratio, neutral in zip(skin_ratios, _SKIN_CHROMA))
    any_warm, any_cold = (min(max(-_ANY_SKIN, v), _ANY_SKIN) for v in (warm, cold))
    red_light = 0.19 * any_warm - 0.11 * any_cold + (warm - any_warm)
    blue_light = 0.19 * any_cold - 0.11 * any_warm + (cold - any_cold)
    # Skin in blue light is bluer than it is green.
    lit = min(max(0.0, _LEAST_RED - warm, cold - _MOST_BLUE) / _SURELY_LIT, 1.0)
    red_light += (warm - red_light) * lit
    blue_light += (cold - blue_light) * lit
    # White cloth has about a colour that the photo has: in a tinted one no bright pixel is neutral.
    ranges = _log_ratios(few.reshape(-1, 3)[lumas >= half])
    near = _WHITER * (1 - lit)
    red_light, blue_light = (_within(v, found, near) for v, found in zip((red_light, blue_light), ranges))
    chroma = [math.exp(red_light), 1.0, math.exp(blue_light)]
    whole = _luma(*chroma)
    tint_red, tint_green, tint_blue = (min(max(0.3, v / whole), 2.5) for v in chroma)
    return Light(
        level=min(max(16.0, white), 245.0),
        tint=(tint_red, tint_green, tint_blue),
        side=min(max(-0.5, side), 0.5),
        skin=(red, green, blue),
        own=own,
        toning=toning,
    )


def _log_ratios(pixels: Image) -> list[list[float]]:
    """Range of the logarithms of red and blue over green, without their outer twentieths.

    Noise of dark pixels hardly affects them.
    """
    logs = _LOG[pixels]
    ratios = logs[:, ::2] - logs[:, 1:2]
    low, high = len(ratios) // 20, len(ratios) - 1 - len(ratios) // 20
    ranges: list[list[float]] = np.partition(ratios, (low, high), axis=0)[[low, high]].T.tolist()
    return ranges


def _within(value: float, found: list[float], near: float) -> float:
    """A value in a range, or that near to it."""
    return min(max(found[0] - near, value), found[1] + near)


def _toning(planes: Image, counts: NDArray[np.intp]) -> tuple[float, tuple[float, ...]]:
    """`Light.own` and `Light.toning` of pixels.

    Args:
        planes: uint8 (N, 3), luma, red and blue chroma.
        counts: number of pixels of each luma, (256,).
    """
    import cv2

    # In float64: sums of float32 differ between processors, and decide pixels.
    terms = np.empty((5, len(planes)))
    terms[0] = 1
    np.divide(planes[:, 0], 255, out=terms[1])
    np.multiply(terms[1], terms[1], out=terms[2])
    np.subtract(planes[:, 1:].T, 128, out=terms[3:], dtype=np.float64)
    products = terms @ terms.T
    # Ridge regression: a picture of one colour fixes no curve.
    curves = cv2.solve(products[:3, :3] + _RIDGE, products[:3, 3:], flags=cv2.DECOMP_CHOLESKY)[1]
    rest = terms[3:] - curves.T @ terms[:3]
    scatter = math.sqrt(float(np.vdot(rest, rest)) / len(planes))
    # A dark picture has less chroma, but its noise stays.
    scatter /= min(max(0.5, float(products[0, 1]) / len(planes) / 0.4), 1.0)
    own = min(max(0.0, (scatter - _TONED[0]) / (_TONED[1] - _TONED[0])), 1.0)
    if np.count_nonzero(counts.reshape(32, 8).sum(axis=1) > 0.01 * len(planes)) < _SHADES:
        own = 1.0
    return own, tuple(curves.T.ravel().tolist())


def tone(cloth: Image, light: Light) -> Image:
    """Bring lit cloth into the colours of a sepia, toned or grey photo; in a colour photo it stays as it is.

    Args:
        cloth: uint8 (H, W, 3) RGB.
    """
    import cv2

    if light.own >= 1:
        return cloth
    luma, red, blue = cv2.split(cv2.cvtColor(cloth, cv2.COLOR_RGB2YCrCb))
    steps = np.linspace(0, 1, 256)
    toned = [luma]
    for plane, curve in ((red, light.toning[:3]), (blue, light.toning[3:])):
        table = np.clip(np.rint(128 + np.polyval(curve[::-1], steps)), 0, 255).astype(np.uint8)
        toned.append(cv2.addWeighted(plane, light.own, cv2.LUT(luma, table), 1 - light.own, 0))
    out: Image = cv2.cvtColor(cv2.merge(toned), cv2.COLOR_YCrCb2RGB)
    return out


def _luma(red: float, green: float, blue: float) -> float:
    return 0.299 * red + 0.587 * green + 0.114 * blue


@dataclass(frozen=True)
class Lamp:
    """Random variation of the measured light.

    Attributes:
        above, side: where it stands, as slopes towards the top and the right.
        hard: share of directional light; the rest is ambient.
        gain: factor on the measured level.
        gloss: strength of the cloth's shine.
        tint: RGB factors.
        drift: how red and blue change from the top of the mask to its bottom (light from floor and clothes).
        cast: depth of a broad shadow on the mask from objects outside the picture.
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
    """Draw a lamp that matches the measured slope; values that skin does not reveal are random."""
    warm, drift = float(rng.normal(-0.015, 0.035)), float(rng.normal(0, 0.04))
    return Lamp(
        above=float(rng.normal(0.45, 0.35)),
        side=float(2.0 * light.side + rng.normal(0, 0.25)),
        hard=float(rng.uniform(0.2, 0.8)),
        gain=math.exp(rng.normal(0.0, 0.14)),
        gloss=float(abs(rng.normal(0, 0.1))),
        tint=(math.exp(warm), 1.0, math.exp(-warm)),
        drift=(drift, -drift),
        cast=float(abs(rng.normal(0, 0.14))),
    )


def light_cloth(sheet: Image, surface: Surface, light: Light, lamp: Lamp) -> Image:
    """Lay the light on flat cloth: half-Lambert by the surface's slope, then gain and tint; uint8, same shape."""
    import cv2

    nx, ny = surface.normal_x, surface.normal_y
    facing = cv2.addWeighted(nx, lamp.side, ny, -lamp.above, 1)
    facing /= np.sqrt(cv2.addWeighted(nx * nx, 1, ny * ny, 1, 1))
    # Facing away counts as 0, and nothing is lit by more than 1.6; the rest comes from all around.
    shade = cv2.min(cv2.max(facing, 0), 1.6)
    shade *= np.float32(lamp.hard)
    shade += np.float32(max(0.02, 1 - lamp.hard))
    # Camera curves flatten light: display values follow a power of it.
    factor = cv2.pow(shade, 0.7)
    factor *= surface.ink
    factor *= 1 - np.float32(lamp.cast) * surface.cast
    # The level is that of the visible cloth: slopes and folds change the contrast, not the overall level.
    factor *= np.float32(1 / max(0.5, quantile(factor[::4, ::4], 0.5)))
    gain = light.level / 255 * lamp.gain
    rows = factor.shape[0]
    down = np.arange(rows, dtype=np.float32)[:, None] * np.float32(2 / (rows - 1)) - np.float32(1)
    planes = []
    for light_tint, lamp_tint, drift in zip(light.tint, lamp.tint, (lamp.drift[0], 0.0, lamp.drift[1])):
        white = np.float32(gain * light_tint * lamp_tint)
        planes.append(factor * (white + np.float32(white * drift) * down))
    lit = cv2.multiply(sheet, cv2.merge(planes), dtype=cv2.CV_32F)
    if lamp.gloss:  # independent of colour: shows most of the folds of black cloth
        shine = cv2.max(facing - np.float32(0.65), 0)
        shine *= shine * np.float32(3 * 255 * lamp.gloss * gain)
        lit += cv2.merge([shine, shine, shine])
    # A soft shoulder instead of a hard clip, in two steps: over-exposed cloth keeps its folds.
    shoulder = cv2.min(cv2.convertScaleAbs(lit), cv2.convertScaleAbs(lit, alpha=0.5, beta=105))
    out: Image = cv2.min(shoulder, cv2.convertScaleAbs(lit, alpha=0.15, beta=197))
    return tone(out, light)


def contact_shadow(alpha: Field, unit: float, lamp: Lamp, strength: float) -> Field:
    """Contact shadow of the mask, 0..strength, float32 like `alpha`.

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
