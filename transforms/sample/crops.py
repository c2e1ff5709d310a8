"""The aligned pictures of one sample: face, masked face, coverage, all in the pixels of the crop."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt
from pydantic import JsonValue

from faceloom.schemas.errors import PhotoError
from faceloom.schemas.recipe import Recipe
from faceloom.transforms.align import cut_crop, warp_alpha, warp_image
from faceloom.transforms.augment import Layers, apply, draw, is_mirrored
from faceloom.transforms.guide.guide_mask import GuideMask, make_guide
from faceloom.transforms.guide.label_map import LabelMap
from faceloom.transforms.masks.painted import PaintedMask
from faceloom.transforms.mirror import mirrors_parts
from faceloom.transforms.sample.face_labels import labels_in_crop
from faceloom.transforms.sample.working import Working
from faceloom.transforms.types import Coverage, Image, Landmarks

COVERED = 0.5
"""Minimum coverage of a mask pixel in the binary ground truth."""


@dataclass(frozen=True, slots=True)
class Crops:
    """The pictures of a sample.

    Attributes:
        face: uint8 (H, W, 3), RGB.
        landmarks: float32 (68, 2), pixels of the crop; None without trusted ones.
        masked: uint8 like `face`, or None if the sample has no mask.
        alpha: float32 (H, W), coverage by the mask, 0..1; None if the sample has no mask.
        guide: uint8 (H, W), 0..255, mask of the parts in the recipe's guide; None without a guide.
    """

    face: Image
    landmarks: Landmarks | None
    masked: Image | None = None
    alpha: npt.NDArray[np.float32] | None = None
    guide: Image | None = None

    @property
    def mask(self) -> Image:
        """Ground truth: uint8 (H, W), 255 where the mask covers at least half a pixel, else 0."""
        assert self.alpha is not None
        return (self.alpha >= COVERED).astype(np.uint8) * np.uint8(255)


@dataclass(frozen=True, slots=True)
class BareCrop:
    """The data that all samples of one face share.

    Attributes:
        crops: face, landmarks and guide mask.
        outside: bool, pixels of the crop that lie outside the photo; None if there are none.
        guide_origin: record of the guide mask in the samples; None without one.
        flipped_guide: the guide mask of flipped samples, not yet flipped, or why there is none; None if it is `guide`.
    """

    crops: Crops
    outside: npt.NDArray[np.bool_] | None
    guide_origin: dict[str, JsonValue] | None = None
    flipped_guide: GuideMask | PhotoError | None = None


def bare_crop(working: Working, recipe: Recipe, labels: LabelMap | None = None) -> BareCrop:
    """Cut the aligned face, and its guide mask if the recipe asks for one, from its working picture.

    Raises:
        PhotoError: `no_labels` or `no_landmarks`, if a guide cannot be made and the recipe rejects such faces.
    """
    size = recipe.align.width_height
    face, outside = cut_crop(working.image, working.matrix, size, recipe.align.border)
    crops = Crops(face, working.landmarks_crop)
    if recipe.guide is None:
        return BareCrop(crops, outside)
    bits = None if labels is None else labels_in_crop(labels, working, size)
    make = partial(make_guide, recipe.guide, working.landmarks_crop, size, labels, bits)
    guide = make()
    other: GuideMask | PhotoError | None = None
    if mirrors_parts(recipe):
        try:
            other = make(flipped=True)
        except PhotoError as error:  # concerns flipped samples only
            other = error
    return BareCrop(replace(crops, guide=guide.mask), outside, guide.origin, other)


def masked_crops(bare: BareCrop, working: Working, painted: PaintedMask, recipe: Recipe) -> Crops:
    """Cut the masked face and its coverage as the face was cut.

    Args:
        bare: the crop without the mask.
        working: the picture that the mask was painted on; of `extended` a mask goes on beyond the photo.
        painted: the mask.
        recipe: sets the crop, and whether straps are truth.
    """
    size, output = recipe.align.width_height, recipe.output
    truth = painted.alpha
    if output.straps:
        truth = _body_and_straps(painted)
    masked = warp_image(painted.image, working.matrix, size, border=recipe.align.border)
    alpha = warp_alpha(truth, working.matrix, size)
    outside = bare.outside
    if outside is not None and working.extended:
        seen = warp_alpha(_body_and_straps(painted), working.matrix, size)
        masked[outside] = _blend(bare.crops.face[outside], masked[outside], seen[outside])
    elif outside is not None:
        # Outside the photo no mask is extended or mirrored: both pictures are equal there.
        masked[outside], alpha[outside] = bare.crops.face[outside], 0
    return replace(bare.crops, masked=masked, alpha=alpha)


def _body_and_straps(painted: PaintedMask) -> Coverage:
    return painted.alpha if painted.straps is None else np.maximum(painted.alpha, painted.straps)


def _blend(under: Image, over: Image, cover: Coverage) -> Image:
    mixed = under + cover[:, None] * (over.astype(np.float32) - under)
    return np.rint(mixed).astype(np.uint8)


def refuse_uncovered(crops: Crops, label: str, least: float) -> None:
    """Raise an error if the mask of a sample is not visible, or hardly.

    Args:
        crops: of the sample.
        label: of its mask, for the message.
        least: minimum share of the crop that the mask must cover.

    Raises:
        PhotoError: `mask_outside_crop`, if there is a mask and no pixel of the crop is covered; `mask_too_small`, if
            it covers less than `least`.
    """
    if crops.alpha is None:
        return
    share = np.count_nonzero(crops.alpha >= COVERED) / crops.alpha.size
    remedy = "Use a larger or looser crop, another way of wearing, or less augmentation"
    if not share:
        raise PhotoError("mask_outside_crop", "no pixel of the mask lies in the crop", value=label, remedy=remedy)
    if share < least:
        what = f"mask {label} covers {share:.2%} of the crop; the limit is at least {least:.2%} (min_mask_area)"
        raise PhotoError("mask_too_small", what)


@dataclass(frozen=True, slots=True)
class Augmented:
    """An augmented sample.

    Attributes:
        crops: its new pictures.
        drawn: the drawn values; `transforms.augment.apply` repeats the augmentation from them.
        guide_origin: record of its guide mask; None without one.
    """

    crops: Crops
    drawn: list[JsonValue]
    guide_origin: dict[str, JsonValue] | None


def augmented(crops: Crops, bare: BareCrop, recipe: Recipe, rng: np.random.Generator) -> Augmented:
    """Augment a sample: geometry changes everything alike, colours change in the pictures only, glasses end masks.

    A flipped sample gets the guide of the parts that have the recipe's names in the flipped picture.

    Raises:
        PhotoError: `no_labels`, if that guide cannot be made and the recipe rejects such faces.
    """
    pictures = {"face": crops.face, **({} if crops.masked is None else {"masked": crops.masked})}
    drawn = draw(recipe.augment, rng, recipe.align.width_height)
    if crops.landmarks is None:
        drawn = [step for step in drawn if step["kind"] != "Glasses"]
    origin = bare.guide_origin
    if bare.flipped_guide is not None and is_mirrored(drawn):
        if isinstance(bare.flipped_guide, PhotoError):
            raise bare.flipped_guide
        crops, origin = replace(crops, guide=bare.flipped_guide.mask), bare.flipped_guide.origin
    layers = apply(
        drawn,
        Layers(
            pictures,
            {} if crops.guide is None else {"guide": crops.guide},
            {} if crops.alpha is None else {"alpha": crops.alpha},
            {} if crops.landmarks is None else {"landmarks": crops.landmarks},
        ),
    )
    changed = Crops(
        layers.pictures["face"],
        layers.landmarks.get("landmarks"),
        layers.pictures.get("masked"),
        layers.alphas.get("alpha"),
        layers.masks.get("guide"),
    )
    return Augmented(changed, list(drawn), origin)
