"""Painting any RGBA picture of a mask, placed by six anchor points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from faceloom.schemas.base import did_you_mean
from faceloom.schemas.errors import RecipeError
from faceloom.schemas.masks import PictureMask
from faceloom.schemas.plain_values import shown, step
from faceloom.transforms.masks import fabric, shapes
from faceloom.transforms.masks.canvas import Canvas
from faceloom.transforms.masks.fit import FixedPoints, fit_face, thin_plate
from faceloom.transforms.masks.painted import PaintedMask
from faceloom.transforms.masks.profile import refuse_bulge
from faceloom.transforms.masks.scene import Layers, compose_mask
from faceloom.transforms.masks.shade import draw_lamp, measure_light, tone
from faceloom.transforms.masks.straps import Strap, draw_straps
from faceloom.transforms.types import Grey, Image

ANCHORS = ("left_top", "top", "right_top", "right_bottom", "bottom", "left_bottom")
"""Names of the anchors, clockwise to the eye; left and right as seen in the picture."""

# Their positions in the mask frame: where the levels of nose tip and lower lip cross the jaw, half-way down
# the bridge of the nose, and the chin.
_PLACES = np.array([(-1.07, 0.52), (0.0, 0.24), (1.07, 0.52), (0.87, 1.23), (0.0, 1.78), (-0.87, 1.23)])


@dataclass(frozen=True, eq=False)
class MaskPicture:
    """A picture of a mask.

    Attributes:
        rgba: uint8 (H, W, 4), RGB and straight alpha.
        anchors: (6, 2) x, y pixels of the picture, in the order of `ANCHORS`.
    """

    rgba: Image
    anchors: NDArray[np.float64]

    def __post_init__(self) -> None:
        if self.rgba.dtype != np.uint8 or self.rgba.ndim != 3 or self.rgba.shape[2] != 4:
            raise RecipeError("a mask picture must be 8-bit RGBA", value=f"{self.rgba.dtype} {self.rgba.shape}")
        if self.anchors.shape != (6, 2) or not np.isfinite(self.anchors).all():
            raise RecipeError("a mask picture needs six anchors", value=self.anchors.shape)


def picture_anchors(document: Mapping[str, object]) -> NDArray[np.float64]:
    """Anchors (6, 2) from a mapping of the names of `ANCHORS` to [x, y] in pixels of the picture.

    Raises:
        RecipeError: a name is missing or unknown, or a value is no pair of finite numbers; `where` is its path.
    """
    names = f"The anchors are {', '.join(ANCHORS)}"
    for key in document:
        if key not in ANCHORS:
            raise RecipeError(f"no such anchor{did_you_mean(key, ANCHORS)}", where=f"${step(key)}", remedy=names)
    for name in ANCHORS:
        if name not in document:
            raise RecipeError(f"the anchor `{name}` is missing", where="$", remedy=names)
        pair = document[name]
        if not (isinstance(pair, list) and len(pair) == 2 and all(map(_is_number, pair))):
            remedy = "Write it as `[100, 5.5]`"
            value = f"[{', '.join(map(shown, pair[:4]))}]" if isinstance(pair, list) else shown(pair)
            raise RecipeError(
                "an anchor is [x, y] in pixels of the picture", where=f"$.{name}", value=value, remedy=remedy
            )
    return np.array([document[name] for name in ANCHORS], np.float64)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e9


def check_anchors(points: NDArray[np.float64], width: int, height: int) -> None:
    """Check that anchors lie inside a picture, and in an order that does not flip the mask.

    Raises:
        RecipeError: they do not; `where` is the path of the anchor.
    """
    place = dict(zip(ANCHORS, points, strict=True))
    for name, (x, y) in place.items():
        if not (0 <= x <= width and 0 <= y <= height):
            remedy = f"The picture has {width}x{height} pixels"
            raise RecipeError("lies outside the picture", where=f"$.{name}", value=_pair((x, y)), remedy=remedy)
    remedy = "Left and right are those of the picture"
    for left, middle, right in ((0, 1, 2), (5, 4, 3)):
        if not points[left][0] < points[middle][0] < points[right][0]:
            what = f"must lie from left to right: {', '.join(ANCHORS[number] for number in (left, middle, right))}"
            raise RecipeError(what, where=f"$.{ANCHORS[middle]}", value=_pair(points[middle]), remedy=remedy)
    for above, below in ((0, 5), (1, 4), (2, 3)):
        if not points[above][1] < points[below][1]:
            what = f"must lie above {ANCHORS[below]}"
            raise RecipeError(what, where=f"$.{ANCHORS[above]}", value=_pair(points[above]), remedy=remedy)


def _pair(point: Sequence[float] | NDArray[np.float64]) -> str:
    return f"[{point[0]:g}, {point[1]:g}]"


def _bleed(rgba: Image) -> Image:
    """Give transparent pixels the colour of the nearest opaque ones, so that filtering adds no fringe."""
    import cv2

    alpha = rgba[..., 3].astype(np.float32) / 255
    weighted = cv2.blur(rgba[..., :3].astype(np.float32) * alpha[..., None], (9, 9))
    spread = weighted / np.maximum(cv2.blur(alpha, (9, 9)), 1e-4)[..., None]
    out = rgba.copy()
    clear = alpha < 0.02
    out[clear, :3] = np.clip(spread[clear], 0, 255).astype(np.uint8)
    return out


def _sheet(picture: MaskPicture, places: NDArray[np.float64], texels: float) -> tuple[Canvas, Image]:
    """The picture resampled over the mask frame, RGBA."""
    import cv2

    height, width = picture.rgba.shape[:2]
    edge = np.array([(x * width, y * height) for x in (0, 0.5, 1) for y in (0, 0.5, 1)]) - 0.5
    canvas = Canvas.over(thin_plate(picture.anchors, places)(edge), texels)
    back = thin_plate(places, picture.anchors)
    gx, gy = np.meshgrid(canvas.x, canvas.y)
    where = back(np.stack([gx, gy], -1).reshape(-1, 2)).astype(np.float32).reshape(*gx.shape, 2)
    # A picture far finer than the sheet would alias: shrink it first.
    shrink = min(1.0, 1.2 * max(canvas.width / width, canvas.height / height))
    rgba = _bleed(picture.rgba)
    if shrink < 1:
        size = (max(2, round(width * shrink)), max(2, round(height * shrink)))
        rgba = cv2.resize(rgba, size, interpolation=cv2.INTER_AREA)
        where = ((where + 0.5) * (size[0] / width, size[1] / height) - 0.5).astype(np.float32)
    colour = cv2.remap(rgba[..., :3], where, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    alpha = cv2.remap(rgba[..., 3], where, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=0)
    return canvas, np.dstack([colour, alpha])


def paint_picture(image: Image, landmarks: NDArray[np.floating], picture: MaskPicture, mask: PictureMask,
                  rng: np.random.Generator) -> PaintedMask:  # fmt: skip
    """Put a picture of a mask on a face, with the same fit, light, shadow, sharpness and noise as our own masks.

    The picture keeps its own colours and folds; its alpha is the truth. Straps in the picture count as mask; those that
    `mask.straps` adds do not.

    Args:
        image: uint8 (H, W, 3) RGB.
        landmarks: (68, 2) x, y pixels of `image`.
        rng: the only source of randomness.

    Raises:
        PhotoError: `mask_fit`, if the landmarks allow no plausible placement or the mask lies outside the picture;
            `mask_folds`, if the mask would stand out from the nose of a near-profile.
    """
    places = shapes.wear(_PLACES, mask.wearing)
    fit = fit_face(landmarks, FixedPoints(_PLACES))
    refuse_bulge(places, landmarks, fit)
    light = measure_light(image, fit)
    lamp = draw_lamp(light, rng)
    canvas, sheet = _sheet(picture, places, 1.1 * fit.unit)
    side = 1 + np.float32(0.5 * lamp.side) * np.clip(canvas.x, -1.2, 1.2)
    gain = light.level / 250 * lamp.gain * np.array(light.tint) * np.array(lamp.tint)
    sheet[..., :3] = np.clip(sheet[..., :3] * gain.astype(np.float32) * side[None, :, None], 0, 255).astype(np.uint8)
    sheet[..., :3] = tone(np.ascontiguousarray(sheet[..., :3]), light)
    box = np.array([(canvas.x0, canvas.y0), (canvas.x1, canvas.y0), (canvas.x1, canvas.y1), (canvas.x0, canvas.y1)])
    t = np.linspace(0, 1, 8, endpoint=False)[:, None]
    outline = np.concatenate([a + (b - a) * t for a, b in zip(box, np.roll(box, -1, axis=0))])
    straps: list[Strap] = []
    colour = np.zeros(3, np.float32)
    if mask.straps == "auto":
        colour = fabric.draw_strap_colour(_mean_colour(picture.rgba), rng)
        straps = draw_straps("loops", _corners(canvas, sheet[..., 3], places), fit, landmarks, rng)
    painted = compose_mask(image, fit, Layers(outline, canvas, sheet, straps, colour), light, lamp, rng)
    parameters: dict[str, JsonValue] = {"picture": mask.label, "wearing": mask.wearing, **painted.parameters}
    return PaintedMask(painted.image, painted.alpha, painted.straps, parameters)


def _mean_colour(rgba: Image) -> NDArray[np.float32]:
    import cv2

    opaque = (rgba[..., 3] >= 128).view(np.uint8)
    return np.array(cv2.mean(np.ascontiguousarray(rgba[..., :3]), opaque)[:3], np.float32)


def _corners(canvas: Canvas, alpha: Grey, places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where loops are sewn on: the outermost opaque texel at the height of each of the four outer anchors.

    Returns:
        Mask frame (4, 2): right upper, right lower, left upper, left lower; NaN where the mask has no cloth.
    """
    found = np.full((4, 2), np.nan)
    for number, anchor in enumerate((2, 3, 0, 5)):
        x, y = places[anchor].tolist()
        row = int(np.clip(np.rint(canvas.texels(np.array([(x, y)]))[0, 1]), 0, canvas.height - 1))
        columns = np.flatnonzero(alpha[row] >= 128)
        if len(columns):
            found[number] = canvas.x[columns[-1] if x > 0 else columns[0]], y
    return found
