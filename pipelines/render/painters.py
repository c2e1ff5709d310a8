"""From the masks of a recipe to a function that paints them, with what they read from files loaded once."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from faceloom.pipelines.render.learned_masks import checkpoint_digest, paints_learned
from faceloom.pipelines.render.render_photos import Painter
from faceloom.pipelines.render.sample import Paint, Unpainted
from faceloom.schemas.errors import RecipeError
from faceloom.schemas.keys import digest
from faceloom.schemas.masks import AutoencoderMask, Mask, PictureMask, PolygonMask, TemplateMask
from faceloom.schemas.recipe import Recipe
from faceloom.transforms.masks.painted import PaintedMask
from faceloom.transforms.masks.picture import ANCHORS, MaskPicture, paint_picture, picture_anchors
from faceloom.transforms.masks.polygon import paint_polygon
from faceloom.transforms.masks.template import paint_template

NETWORK_BATCH = 32
"""Faces whose pictures are kept at once while a network looks at them all."""
_PATHS = ("path", "anchors", "checkpoint")


def mask_digests(recipe: Recipe) -> tuple[str, ...]:
    """For each mask of a recipe, a digest of all that decides its samples: name, settings but the weight, files.

    Raises:
        RecipeError: a picture or anchors file cannot be read.
    """
    settings = [mask.model_dump(mode="json", exclude={"weight", *_PATHS}) for mask in recipe.masks]
    return tuple(
        digest(mask.label, settings[number], *_file_digests(number, mask)) for number, mask in enumerate(recipe.masks)
    )


def check_masks(recipe: Recipe, digests: tuple[str, ...]) -> None:
    """Refuse to go on if a mask's files are not what they were.

    Raises:
        RecipeError: one changed.
    """
    for number, (now, then) in enumerate(zip(mask_digests(recipe), digests, strict=False)):
        if now != then:
            remedy = "Run the same command again; what the old ones made stays under its own name"
            raise RecipeError(
                "files of this mask changed while the build ran", where=f"$.masks[{number}]", remedy=remedy
            )


def painter_for(masks: tuple[Mask, ...]) -> Painter:
    """The function that paints a recipe's masks. Files are loaded once per process, and again when they change."""
    return _painter(masks, tuple(tuple(_file_digests(number, mask)) for number, mask in enumerate(masks)))


@dataclass(frozen=True)
class _Painter:
    """Paints every kind of mask; see `render.Painter`."""

    pictures: Mapping[tuple[str, str], MaskPicture]
    weights: Mapping[str, str]

    @property
    def batch(self) -> int:
        return NETWORK_BATCH if self.weights else 1

    def prepare(self, wanted: Sequence[Unpainted]) -> list[Paint]:
        paints: list[Paint] = [partial(self._paint, one) for one in wanted]
        for mask in {one.mask for one in wanted if isinstance(one.mask, AutoencoderMask)}:
            numbers = [number for number, one in enumerate(wanted) if one.mask == mask]
            pictures, seeds = [wanted[n].working for n in numbers], [wanted[n].seed for n in numbers]
            learned = paints_learned(mask, self.weights[mask.checkpoint], pictures, seeds)
            for number, paint in zip(numbers, learned, strict=True):
                paints[number] = paint
        return paints

    def _paint(self, wanted: Unpainted) -> PaintedMask:
        image, landmarks, mask = wanted.working.image, wanted.working.landmarks, wanted.mask
        assert landmarks is not None, "faces without landmarks are only planned with learned masks"
        if isinstance(mask, PolygonMask):
            return paint_polygon(image, landmarks, mask)
        rng = np.random.default_rng(wanted.seed)
        if isinstance(mask, PictureMask):
            return paint_picture(image, landmarks, self.pictures[mask.path, mask.anchors], mask, rng)
        assert isinstance(mask, TemplateMask)
        return paint_template(image, landmarks, mask, rng)


@lru_cache(maxsize=4)
def _painter(masks: tuple[Mask, ...], files: tuple[tuple[str, ...], ...]) -> Painter:
    return _Painter(
        {
            (mask.path, mask.anchors): load_picture(number, mask)
            for number, mask in enumerate(masks)
            if isinstance(mask, PictureMask)
        },
        {
            mask.checkpoint: digests[0]
            for mask, digests in zip(masks, files, strict=True)
            if isinstance(mask, AutoencoderMask)
        },
    )


def _file_digests(number: int, mask: Mask) -> list[str]:
    if isinstance(mask, AutoencoderMask):
        return [checkpoint_digest(number, mask)]
    if not isinstance(mask, PictureMask):
        return []
    return [hashlib.sha256(_read(number, name, getattr(mask, name))).hexdigest() for name in ("path", "anchors")]


def load_picture(number: int, mask: PictureMask) -> MaskPicture:
    """Load the picture and the anchors of a recipe's mask.

    Args:
        number: of the mask in the recipe, for messages.
        mask: names an RGBA picture, and a JSON or YAML file that maps anchor names to [x, y] pixels of it.

    Raises:
        RecipeError: a file cannot be read, or does not hold what it should.
    """
    import yaml
    from PIL import Image, UnidentifiedImageError

    where = f"$.masks[{number}]"
    data, anchors = _read(number, "path", mask.path), _read(number, "anchors", mask.anchors)
    try:
        with Image.open(io.BytesIO(data)) as picture:
            rgba = np.array(picture.convert("RGBA"))
    except (UnidentifiedImageError, OSError, ValueError) as error:
        raise RecipeError(f"not a picture ({error})", where=f"{where}.path", value=mask.path) from None
    if rgba[..., 3].min() == 255:
        remedy = "Give a PNG or WEBP whose background is transparent"
        raise RecipeError("the picture has no transparency", where=f"{where}.path", value=mask.path, remedy=remedy)
    try:
        document = yaml.safe_load(anchors)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RecipeError(f"not JSON or YAML ({error})", where=f"{where}.anchors", value=mask.anchors) from None
    if not isinstance(document, dict):
        raise RecipeError("must map anchor names to [x, y]", where=f"{where}.anchors", value=mask.anchors)
    try:
        points = picture_anchors(document)
        _refuse_wild_anchors(points, rgba.shape[1], rgba.shape[0])
        return MaskPicture(rgba, points)
    except RecipeError as error:
        raise RecipeError(f"{error.where} {error.what}".strip(), where=f"{where}.anchors", value=error.value) from None


def _refuse_wild_anchors(points: npt.NDArray[np.float64], width: int, height: int) -> None:
    """Refuse anchors that lie outside their picture, or in an order that would turn the mask over."""
    place = dict(zip(ANCHORS, points, strict=True))
    for name, (x, y) in place.items():
        if not (0 <= x <= width and 0 <= y <= height):
            size = f"The picture has {width}x{height} pixels"
            raise RecipeError("lies outside the picture", where=f"$.{name}", value=[x, y], remedy=size)
    for left, middle, right in ((0, 1, 2), (5, 4, 3)):
        if not points[left][0] < points[middle][0] < points[right][0]:
            names = ", ".join(ANCHORS[number] for number in (left, middle, right))
            raise RecipeError("must lie from left to right as seen in the picture", where=f"$: {names}")
    for above, below in ((0, 5), (1, 4), (2, 3)):
        if not points[above][1] < points[below][1]:
            raise RecipeError(f"must lie above {ANCHORS[below]}", where=f"$.{ANCHORS[above]}")


def _read(number: int, key: str, path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        where = f"$.masks[{number}].{key}"
        raise RecipeError(f"cannot be read ({error.strerror})", where=where, value=path) from None
