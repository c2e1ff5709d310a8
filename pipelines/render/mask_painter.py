"""Paint the masks of a recipe on working pictures. Files of the masks are loaded once per process."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from faceloom.pipelines.render.learned_masks import PredictedMask, checkpoint_digest, paint_predicted, predict_masks
from faceloom.schemas.errors import PhotoError, RecipeError
from faceloom.schemas.keys import digest
from faceloom.schemas.masks import AutoencoderMask, Mask, PictureMask, PolygonMask, TemplateMask
from faceloom.schemas.recipe import Recipe
from faceloom.transforms.masks.painted import PaintedMask
from faceloom.transforms.masks.picture import ANCHORS, MaskPicture, paint_picture, picture_anchors
from faceloom.transforms.masks.polygon import paint_polygon
from faceloom.transforms.masks.template import paint_template
from faceloom.transforms.sample.working import Working

NETWORK_BATCH = 32
"""Batch size of a network. The working pictures of a batch stay in memory until the network returns."""
_PATHS = ("path", "anchors", "checkpoint")


def mask_digests(recipe: Recipe) -> tuple[str, ...]:
    """Digest of each mask of a recipe, over everything that changes its samples: label, settings except weight, files.

    Raises:
        RecipeError: a file of a mask cannot be read.
    """
    settings = [mask.model_dump(mode="json", exclude={"weight", *_PATHS}) for mask in recipe.masks]
    return tuple(
        digest(mask.label, settings[number], *_file_digests(number, mask)) for number, mask in enumerate(recipe.masks)
    )


def check_masks(recipe: Recipe, digests: tuple[str, ...]) -> None:
    """Check that the files of a recipe's masks have not changed.

    Args:
        recipe: with the masks.
        digests: of `mask_digests` when the build began.

    Raises:
        RecipeError: a file has changed.
    """
    for number, (now, then) in enumerate(zip(mask_digests(recipe), digests, strict=False)):
        if now != then:
            remedy = "Run the same command again; finished shards of the old files keep their own names"
            what = "files of this mask changed while the build ran"
            raise RecipeError(what, where=f"$.masks[{number}]", remedy=remedy)


@dataclass(frozen=True, slots=True, eq=False)
class MaskRequest:
    """A mask to paint on one face.

    Attributes:
        picture: the face's working picture.
        mask: the mask of the recipe.
        seed: of all random draws while painting.
        predicted: output of the mask's network for this face, or its error; see `MaskPainter.predict`.
    """

    picture: Working
    mask: Mask
    seed: int
    predicted: PredictedMask | PhotoError | None = None


@dataclass(frozen=True)
class MaskPainter:
    """Paints the masks of a recipe: `predict` for a batch of requests first, then `paint` for each of them.

    Attributes:
        pictures: of picture masks, by the paths of picture and anchors.
        weights: digests of the weights of learned masks, by checkpoint.
    """

    pictures: Mapping[tuple[str, str], MaskPicture] = field(default_factory=dict)
    weights: Mapping[str, str] = field(default_factory=dict)

    @property
    def batch(self) -> int:
        """Number of faces to call `predict` for at once."""
        return NETWORK_BATCH if self.weights else 1

    def predict(self, requests: Sequence[MaskRequest]) -> list[MaskRequest]:
        """Run the networks of learned masks, each once for all its requests; other requests are returned unchanged.

        The predictions are as small as the networks' crops; `paint` makes the full picture.
        """
        results = list(requests)
        for mask in {one.mask for one in requests if isinstance(one.mask, AutoencoderMask)}:
            numbers = [number for number, one in enumerate(requests) if one.mask == mask]
            pictures, seeds = [requests[n].picture for n in numbers], [requests[n].seed for n in numbers]
            predictions = predict_masks(mask, self.weights[mask.checkpoint], pictures, seeds)
            for number, predicted in zip(numbers, predictions, strict=True):
                results[number] = replace(requests[number], predicted=predicted)
        return results

    def paint(self, request: MaskRequest) -> PaintedMask:
        """Paint one mask.

        Raises:
            PhotoError: the mask cannot be placed on this face.
        """
        picture, mask = request.picture, request.mask
        if isinstance(mask, AutoencoderMask):
            if isinstance(request.predicted, PhotoError):
                raise request.predicted
            assert request.predicted is not None, "`predict` comes first"
            return paint_predicted(mask, picture, request.predicted)
        assert picture.landmarks is not None, "the plan gives faces without landmarks only learned masks"
        if isinstance(mask, PolygonMask):
            return paint_polygon(picture.image, picture.landmarks, mask)
        rng = np.random.default_rng(request.seed)
        if isinstance(mask, PictureMask):
            return paint_picture(picture.image, picture.landmarks, self.pictures[mask.path, mask.anchors], mask, rng)
        assert isinstance(mask, TemplateMask)
        return paint_template(picture.image, picture.landmarks, mask, rng)


def load_painter(masks: tuple[Mask, ...]) -> MaskPainter:
    """The painter of a recipe's masks. Files are loaded once per process, and again when they change.

    Raises:
        RecipeError: a file of a mask cannot be used.
    """
    return _load_painter(masks, tuple(tuple(_file_digests(number, mask)) for number, mask in enumerate(masks)))


@lru_cache(maxsize=4)
def _load_painter(masks: tuple[Mask, ...], files: tuple[tuple[str, ...], ...]) -> MaskPainter:
    return MaskPainter(
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
        RecipeError: a file cannot be read, or its content is invalid.
    """
    from PIL import Image, UnidentifiedImageError

    from faceloom.pipelines.recipe.yaml_text import parse_yaml

    where = f"$.masks[{number}]"
    data, anchors = _read(number, "path", mask.path), _read(number, "anchors", mask.anchors)
    try:
        with Image.open(io.BytesIO(data)) as picture:
            rgba = np.array(picture.convert("RGBA"))
    except (UnidentifiedImageError, OSError, ValueError) as error:
        raise RecipeError(f"not a picture ({error})", where=f"{where}.path", value=mask.path) from None
    if rgba[..., 3].min() == 255:
        remedy = "Give a PNG or WEBP with a transparent background"
        raise RecipeError("the picture has no transparency", where=f"{where}.path", value=mask.path, remedy=remedy)
    try:
        document = parse_yaml(anchors)
    except RecipeError as error:
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
    """Raise an error if anchors lie outside their picture, or in an order that would flip the mask."""
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
