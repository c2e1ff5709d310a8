"""Cloth in a colour of the photo: of the skin, the hair or the clothes. Such masks are the hardest to find."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from faceloom.transforms.masks.fabric import Colour, draw_colour_near
from faceloom.transforms.masks.shade import Light
from faceloom.transforms.types import Image

SHARES = {"surgical": 0.06, "respirator": 0.04, "cloth": 0.2, "any": 0.1}
"""How many masks of a palette take a colour of the photo."""

_PLACES: tuple[tuple[float, tuple[float, float]], ...] = ((0.45, (1.45, 2.3)), (0.3, (-1.2, -0.9)))
"""Share of clothes and of hair, and how far from the eyes towards the chin they are, in lengths of this line."""

_SIDE = 0.7
_RADIUS = 0.07


def draw_photo_colour(
    image: Image, landmarks: NDArray[np.floating], light: Light, rng: np.random.Generator
) -> Colour | None:
    """The colour that cloth must have to appear like skin, hair or clothes in the light of the photo.

    Args:
        image: uint8 (H, W, 3) RGB.
        landmarks: (68, 2) x, y pixels.

    Returns:
        RGB, float32 (3,) 0..255; None if the place that was drawn lies outside the photo.
    """
    dice, along, aside = rng.random(), rng.random(), rng.uniform(-_SIDE, _SIDE)
    seen = np.array(light.skin, np.float32)
    for share, (nearest, farthest) in _PLACES:
        if dice < share:
            eyes = landmarks[36:48].mean(0)
            down = landmarks[8] - eyes
            place = eyes + (nearest + along * (farthest - nearest)) * down + aside * down[::-1] * (1, -1)
            patch = _patch(image, place, max(1, round(_RADIUS * float(np.hypot(*down)))))
            if patch is None:
                return None
            seen = patch
            break
        dice -= share
    cloth = seen / (light.level / 255 * np.array(light.tint, np.float32))
    return np.clip(draw_colour_near(cloth, rng), 4, 254)


def _patch(image: Image, place: NDArray[np.floating], radius: int) -> Colour | None:
    """Mean colour around a place, which must lie inside the picture."""
    height, width = image.shape[:2]
    x, y = np.rint(place).astype(int).tolist()
    if not (radius <= x < width - radius and radius <= y < height - radius):
        return None
    part = image[y - radius : y + radius + 1, x - radius : x + radius + 1]
    mean: Colour = part.mean((0, 1), dtype=np.float32)
    return mean
