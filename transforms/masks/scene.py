"""Composites lit cloth, straps and shadow into the photo. Shared by templates and pictures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from faceloom.schemas.errors import PhotoError
from faceloom.transforms.masks.canvas import Canvas, solid_colour
from faceloom.transforms.masks.fit import FaceFit
from faceloom.transforms.masks.grain import Grain, add_grain, measure_grain, soften
from faceloom.transforms.masks.painted import PaintedMask
from faceloom.transforms.masks.raster import coverages, ribbons, silhouette, warp_cloth
from faceloom.transforms.masks.shade import Lamp, Light, contact_shadow, tone
from faceloom.transforms.masks.straps import Strap
from faceloom.transforms.types import Field, Image, Region

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


@dataclass(frozen=True, eq=False)
class Layers:
    """The parts of a mask to composite on the face.

    Attributes:
        outline: the mask as worn, mask frame (N, 2).
        canvas, cloth: the lit sheet, uint8 RGB, or RGBA; its alpha is combined with that of the outline.
        straps: visible straps.
        strap_colour: RGB 0..255 before lighting.
        strap_width: eye distances.
    """

    outline: NDArray[np.floating]
    canvas: Canvas
    cloth: Image
    straps: list[Strap]
    strap_colour: NDArray[np.float32]
    strap_width: float = 0.04


def is_grey(image: Image) -> bool:
    """Whether R = G = B everywhere in a picture."""
    for part in (image[::16, ::16], image):  # a few pixels suffice for most colour pictures
        if not ((part[..., 0] == part[..., 1]).all() and (part[..., 1] == part[..., 2]).all()):
            return False
    return True


def _blend(over: Image, under: Image, share: Field) -> Image:
    import cv2

    out: Image = cv2.blendLinear(over, under, share, 1 - share)
    return out


def compose_mask(
    image: Image, fit: FaceFit, layers: Layers, light: Light, lamp: Lamp, rng: np.random.Generator
) -> PaintedMask:
    """Shadow, straps, then the mask's body over the photo; all work stays in the region of the mask.

    Raises:
        PhotoError: `mask_fit`, if the mask lies outside the picture.
    """
    import cv2

    top, bottom = float(layers.outline[:, 1].min()), float(layers.outline[:, 1].max())
    polygons = silhouette(layers.outline, fit, top + 0.02, bottom - 0.02)
    lines = np.array([strap.line for strap in layers.straps])
    everything = np.concatenate([*polygons, *lines])
    region = Region.around(everything, 0.15 * fit.unit + 2, image.shape)
    if min(region.shape) < 2:
        raise PhotoError("mask_fit", "the mask lies outside the picture")
    outlines = [*polygons, ribbons(lines, layers.strap_width * fit.unit)] if layers.straps else polygons
    drawn = coverages(outlines, region)
    alpha = drawn[0] if len(polygons) == 1 else drawn[: len(polygons)].max(axis=0)
    band = drawn[-1] if layers.straps else None
    grain = measure_grain(image, fit)
    soft = grain.blur * float(rng.uniform(0.45, 0.9))  # rough, measured at the eyes, and often too high
    if soft > 0.33:  # an edge as soft as those of the photo
        alpha = cv2.GaussianBlur(alpha, (0, 0), soft)
        band = cv2.GaussianBlur(band, (0, 0), soft) if band is not None else None
    cloth = warp_cloth(layers.cloth, layers.canvas, fit, region)
    if cloth.shape[2] == 4:
        alpha = alpha * (cloth[..., 3].astype(np.float32) * np.float32(1 / 255))
        cloth = np.ascontiguousarray(cloth[..., :3])
    weave = float(rng.uniform(0.0, 2.0) * (0.5 + sum(cv2.mean(cloth)) / 3 / 255))  # hardly visible on dark cloth
    cloth = add_grain(soften(cloth, soft), 0.85 * grain.noise + weave, grain.blur, rng)
    gain = light.level / 255 * lamp.gain * rng.uniform(0.8, 1.0) * np.array(light.tint) * np.array(lamp.tint)
    grey = is_grey(image[region.slices])
    if grey:
        cloth = cv2.merge([cv2.cvtColor(cloth, cv2.COLOR_RGB2GRAY)] * 3)
    under = np.ascontiguousarray(image[region.slices])
    strength = float(0.05 + 0.4 * rng.random() ** 2)
    shadow = contact_shadow(alpha, fit.unit, lamp, strength)
    dark = np.array(light.skin) * (0.25, 0.16, 0.14)
    under = _blend(solid_colour(np.full(3, dark.mean()) if grey else dark, region.shape), under, shadow)
    if band is not None:
        strap_colour = tone(solid_colour(layers.strap_colour * gain, (1, 1)), light)[0, 0].astype(np.float32)
        if grey:
            strap_colour = np.full(3, strap_colour @ _LUMA, np.float32)
        under = _blend(solid_colour(strap_colour, region.shape), under, band)
    out = image.copy()
    out[region.slices] = _blend(cloth, under, alpha)
    whole = np.zeros(image.shape[:2], np.float32)
    whole[region.slices] = alpha
    straps = None
    if band is not None:
        straps = np.zeros(image.shape[:2], np.float32)
        straps[region.slices] = band * (1 - alpha)
    return PaintedMask(out, whole, straps, _record(fit, light, lamp, grain, strength, layers))


def _record(
    fit: FaceFit, light: Light, lamp: Lamp, grain: Grain, shadow: float, layers: Layers
) -> dict[str, JsonValue]:
    def plain(values: Light | Lamp | Grain) -> dict[str, JsonValue]:
        return {
            name: [round(item, 4) for item in value] if isinstance(value, tuple) else round(value, 4)
            for name, value in vars(values).items()
        }

    return {
        "fit": fit.kind, "fit_refused": fit.reason, "yaw": round(fit.yaw, 4), "unit": round(fit.unit, 3),
        "light": plain(light), "lamp": plain(lamp), "grain": plain(grain),
        "shadow": round(shadow, 4), "straps": [s.side for s in layers.straps],
    }  # fmt: skip
