"""Paints one of our vector masks on a face."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from faceloom.schemas.masks import TemplateMask
from faceloom.transforms.geometry import apply_affine, similarity
from faceloom.transforms.masks import fabric, shapes
from faceloom.transforms.masks.canvas import Canvas, weighted_index
from faceloom.transforms.masks.catalogue import TEMPLATES, Template
from faceloom.transforms.masks.details import add_details
from faceloom.transforms.masks.fit import FixedPoints, fit_face
from faceloom.transforms.masks.painted import PaintedMask
from faceloom.transforms.masks.photo_colour import SHARES, draw_photo_colour
from faceloom.transforms.masks.profile import refuse_bulge
from faceloom.transforms.masks.relief import surface
from faceloom.transforms.masks.scene import Layers, compose_mask
from faceloom.transforms.masks.shade import Light, draw_lamp, light_cloth, measure_light
from faceloom.transforms.masks.straps import draw_straps
from faceloom.transforms.types import Image

_FAR_TURN = 0.45
"""Yaw in radians; above it the far edge of a mask is hidden."""

_SMALL_UNIT, _FEW_STEPS = 48, 4
"""Below so many pixels per eye distance, half of the points suffice for an outline: one each four pixels or less."""


@lru_cache
def _designed(name: str) -> FixedPoints:
    return FixedPoints(shapes.spline(*shapes.mirrored(TEMPLATES[name].half)))


def vary(
    template: Template, wearing: str, spread: float, rng: np.random.Generator
) -> tuple[NDArray[np.float64], dict[str, JsonValue]]:
    """Control points of one worn mask: size, place, tilt and small differences between the sides drawn at random.

    Args:
        spread: variation of the fit; 0 keeps the mask as designed.

    Returns:
        Control points (N, 2), mask frame, right half first; and the drawn values.
    """
    points, _ = shapes.mirrored(template.half)
    drawn = rng.normal(0, spread, 9).tolist()
    wide, high = 1 + 0.055 * drawn[0], 1 + 0.06 * drawn[1]
    shift_x, shift_y, tilt = 0.03 * drawn[2], 0.05 * drawn[3], 0.045 * drawn[4]
    bottom = points[:, 1].max()
    # The chin holds the lower edge; size moves the top, up to the lower eyelids.
    points = points * (wide, high) + (0, bottom - bottom * high)
    x, y = points.T  # views
    np.maximum(y, 0.08, out=y)
    # The lower edge ends somewhere under the chin, independently of the upper one.
    low = np.minimum(np.maximum((y - 1.0) / 0.8, 0), 1)
    y += low * (0.055 * drawn[5])
    # Pleats open to a different width under the chin; from the front, the edge folded there looks pointed.
    x *= 1 + 0.07 * drawn[7] * low
    y += 0.06 * abs(drawn[8]) * np.exp(-((x / 0.3) ** 2)) * (y > 1.4)
    y -= 0.06 * drawn[6] * np.exp(-((x / 0.35) ** 2)) * (y < 0.8)  # nose wire
    points += rng.normal(0, 0.022 * spread, points.shape)
    # Side edges vary in reach towards the ears, and stand off the cheeks.
    ends = [template.upper, template.lower, len(points) - template.upper, len(points) - template.lower]
    points[ends, 0] *= 1 + rng.normal(0.01, 0.035 * spread, 4)
    points = shapes.wear(points, wearing, shift_y if wearing == "correct" else 1.3 * shift_y)
    if wearing == "correct":
        points = shapes.cover_nose(points)
    points = shapes.hug(points, template.hug + 0.04 * spread * rng.normal())
    tilted = apply_affine(similarity(1, tilt, (0.0, 1.1), (shift_x, 1.1)), points)
    values: dict[str, JsonValue] = {
        "width": round(wide, 4), "height": round(high, 4), "shift_x": round(shift_x, 4),
        "shift_y": round(shift_y, 4), "tilt": round(tilt, 4),
    }  # fmt: skip
    return np.asarray(tilted, np.float64), values


def _pattern(mask: TemplateMask, template: Template, rng: np.random.Generator) -> str:
    names, weights = zip(*template.patterns)
    drawn: str = names[weighted_index(weights, rng)]
    return drawn if mask.pattern == "any" else mask.pattern_name


def _colour(
    image: Image,
    landmarks: NDArray[np.floating],
    mask: TemplateMask,
    light: Light,
    rng: np.random.Generator,
    tile: Image | None,
) -> fabric.Colour:
    if mask.colour != "any":
        return np.array(mask.colour, np.float32)
    if tile is not None:
        return tile.mean((0, 1), dtype=np.float32)
    palette = TEMPLATES[mask.template].palette
    if rng.random() < SHARES[palette]:
        of_photo = draw_photo_colour(image, landmarks, light, rng)
        if of_photo is not None:
            return of_photo
    return fabric.draw_colour(palette, rng)


def paint_template(
    image: Image,
    landmarks: NDArray[np.floating],
    mask: TemplateMask,
    rng: np.random.Generator,
    tile: Image | None = None,
) -> PaintedMask:
    """Put a vector mask on a face.

    The mask's outline, cloth, folds and straps are drawn in the frame of a mean face and warped to the landmarks by a
    thin-plate spline; a gate refuses wild warps and falls back to a similarity. Light, sharpness and noise
    follow the photo.

    Args:
        image: uint8 (H, W, 3) RGB; a grey picture (R = G = B) stays grey.
        landmarks: (68, 2) x, y pixels of `image`; may lie outside of it.
        mask: what to paint.
        rng: the only source of randomness: same picture, landmarks, mask and state give the same bytes.
        tile: uint8 (H, W, 3) RGB, the content of `mask.fabric`, if the mask has one. Trims and straps match its mean
            colour, unless the mask has a colour.

    Raises:
        PhotoError: `mask_fit`, if the landmarks allow no plausible placement or the mask lies outside the picture;
            `mask_folds`, if the mask would stand out from the nose of a near-profile.
    """
    template = TEMPLATES[mask.template]
    points, drawn = vary(template, mask.wearing, mask.spread, rng)
    _, corners = shapes.mirrored(template.half)
    fit = fit_face(landmarks, _designed(mask.template), template.stand_off)
    worn = shapes.spline(points, corners, _FEW_STEPS if fit.unit < _SMALL_UNIT else shapes.STEPS)
    refuse_bulge(worn, landmarks, fit)
    light = measure_light(image, fit)
    lamp = draw_lamp(light, rng)
    colour = _colour(image, landmarks, mask, light, rng, tile)
    pattern = _pattern(mask, template, rng)
    canvas = Canvas.over(worn, 1.1 * fit.unit)
    sheet = fabric.cloth(canvas, colour, pattern, rng) if tile is None else fabric.tiled(canvas, tile, rng)
    # From the side the bulge hides the far edge: a trim along it would appear across the cloth.
    seen = template if abs(fit.yaw) < _FAR_TURN else replace(template, hem=0.0)
    details = add_details(sheet, canvas, seen, worn, colour, rng)
    lit = light_cloth(sheet, surface(canvas, template, worn, rng), light, lamp)
    last = len(points)
    fixed = points[[template.upper, template.lower, last - template.upper, last - template.lower]]
    kind = template.straps if mask.straps else "none"
    straps = draw_straps(kind, fixed, fit, landmarks, rng) if kind != "none" else []
    layers = Layers(worn, canvas, lit, straps, fabric.draw_strap_colour(colour, rng))
    painted = compose_mask(image, fit, layers, light, lamp, rng)
    parameters: dict[str, JsonValue] = {
        "template": mask.template, "wearing": mask.wearing, "colour": [round(float(v)) for v in colour],
        "pattern": pattern, "worn": drawn, "details": details,
    }  # fmt: skip
    return PaintedMask(painted.image, painted.alpha, painted.straps, {**parameters, **painted.parameters})
