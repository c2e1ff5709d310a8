"""Paint the masks of a recipe on working pictures. Files of the masks are loaded once per process."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np

from faceloom.pipelines.render.learned_masks import PredictedMask, checkpoint_digest, paint_predicted, predict_masks
from faceloom.pipelines.render.picture_files import load_picture, load_tile, read_mask_file
from faceloom.schemas.errors import PhotoError, RecipeError
from faceloom.schemas.keys import digest
from faceloom.schemas.masks import (
    AutoencoderMask,
    Mask,
    PictureMask,
    PolygonMask,
    RealMask,
    TemplateMask,
    lies_behind,
    named_files,
)
from faceloom.schemas.recipe import Recipe
from faceloom.transforms.masks.in_front import put_in_front
from faceloom.transforms.masks.painted import PaintedMask
from faceloom.transforms.masks.picture import MaskPicture, paint_picture
from faceloom.transforms.masks.polygon import paint_polygon
from faceloom.transforms.masks.template import paint_template
from faceloom.transforms.sample.working import Working
from faceloom.transforms.types import Image

NETWORK_BATCH = 32
"""Batch size of a network. The working pictures of a batch stay in memory until the network returns."""


def mask_digests(recipe: Recipe) -> tuple[str, ...]:
    """Digest of each mask of a recipe, over everything that changes its samples: label, settings except weight and
    defaults, files.

    Raises:
        RecipeError: a file of a mask cannot be read.
    """
    settings = [
        mask.model_dump(mode="json", exclude={"weight", *named_files(mask)}, exclude_defaults=True)
        for mask in recipe.masks
    ]
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
        tiles: of templates with a fabric of the user's, by its path and the colour of the cloth.
        weights: digests of the weights of learned masks, by checkpoint.
    """

    pictures: Mapping[tuple[str, str], MaskPicture] = field(default_factory=dict)
    tiles: Mapping[tuple[str, object], Image] = field(default_factory=dict)
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
        """Paint one mask, behind what stays in front of it.

        Raises:
            PhotoError: the mask cannot be placed on this face.
        """
        painted, front = self._paint(request), request.picture.front
        if front is None or not lies_behind(request.mask):
            return painted
        return put_in_front(request.picture.image, painted, front)

    def _paint(self, request: MaskRequest) -> PaintedMask:
        picture, mask = request.picture, request.mask
        if isinstance(mask, AutoencoderMask):
            if isinstance(request.predicted, PhotoError):
                raise request.predicted
            assert request.predicted is not None, "`predict` comes first"
            return paint_predicted(mask, picture, request.predicted)
        if isinstance(mask, RealMask):
            if isinstance(picture.pair, PhotoError):
                raise picture.pair
            assert picture.pair is not None, "the plan gives real masks to faces of pairs only"
            return picture.pair.painted()
        assert picture.landmarks is not None, "the plan gives faces without landmarks only learned masks"
        if isinstance(mask, PolygonMask):
            return paint_polygon(picture.image, picture.landmarks, mask)
        rng = np.random.default_rng(request.seed)
        if isinstance(mask, PictureMask):
            return paint_picture(picture.image, picture.landmarks, self.pictures[mask.path, mask.anchors], mask, rng)
        assert isinstance(mask, TemplateMask)
        tile = self.tiles.get((mask.pattern, mask.colour))
        return paint_template(picture.image, picture.landmarks, mask, rng, tile)


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
            (mask.pattern, mask.colour): load_tile(number, mask)
            for number, mask in enumerate(masks)
            if isinstance(mask, TemplateMask) and mask.fabric
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
    data = [read_mask_file(number, key, path) for key, path in named_files(mask).items()]
    names = [mask.pattern_name] if isinstance(mask, TemplateMask) and mask.fabric else []
    return names + [hashlib.sha256(one).hexdigest() for one in data]
