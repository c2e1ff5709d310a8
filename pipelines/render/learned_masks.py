"""Masks by trained networks, in the pipeline: one network per process, many faces at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydantic import JsonValue

from faceloom.models.checkpoint import BEST, check_weights, read_card
from faceloom.schemas.errors import CheckpointError, PhotoError, RecipeError
from faceloom.schemas.masks import AutoencoderMask
from faceloom.schemas.recipe import Align
from faceloom.transforms.align import (
    arcface_matrix,
    eye_level_matrix,
    face_box_matrix,
    warp_image,
    whole_photo_matrix,
)
from faceloom.transforms.geometry import compose, translate
from faceloom.transforms.masks.learned import PaintedCrop, paint_learned
from faceloom.transforms.masks.painted import PaintedMask
from faceloom.transforms.sample.working import Image, Matrix, Working

if TYPE_CHECKING:
    from faceloom.models.predict import MaskPredictor


def checkpoint_digest(number: int, mask: AutoencoderMask) -> str:
    """Digest of the weights that a recipe's mask names, as their card has it; the weights must be there.

    Raises:
        RecipeError: there is no checkpoint of ours, or its weights are missing or cut short.
    """
    folder = Path(mask.checkpoint)
    try:
        card = read_card(folder)
        check_weights(folder, card, digest=False)
    except CheckpointError as error:
        raise _of_recipe(number, error) from None
    return card.files[BEST].sha256


def check_checkpoint(number: int, mask: AutoencoderMask) -> None:
    """Load a network as the workers will, and hold its weights to their digest.

    Raises:
        RecipeError: the checkpoint is damaged, or PyTorch is not installed.
    """
    try:
        from faceloom.models.predict import MaskPredictor

        MaskPredictor.load(Path(mask.checkpoint), digest=True)
    except CheckpointError as error:
        raise _of_recipe(number, error) from None
    except ImportError as error:
        remedy = "Run: pip install 'faceloom[torch]'"
        where = f"$.masks[{number}].kind"
        raise RecipeError("a learned mask needs PyTorch", where=where, value=error, remedy=remedy) from None


def _of_recipe(number: int, error: Exception) -> RecipeError:
    return RecipeError(f"cannot be used: {error}", where=f"$.masks[{number}].checkpoint")


@lru_cache(maxsize=4)
def load_predictor(checkpoint: str, weights: str) -> MaskPredictor:
    """The network of a checkpoint, loaded once per process; its pages are shared between processes.

    Args:
        checkpoint: folder of the run.
        weights: digest of its weights, so that others are loaded anew.
    """
    from faceloom.models.predict import MaskPredictor

    return MaskPredictor.load(Path(checkpoint), digest=False)


def network_matrix(align: Mapping[str, JsonValue], working: Working, size: int) -> Matrix:
    """From a working picture to a network's crop, cut as its training data was.

    Args:
        align: the training data's `align`.
        working: the picture; without landmarks, the middle of the face box is taken.
        size: side of the network's crop.
    """
    if working.landmarks is None:
        box = working.box
        whole = whole_photo_matrix((round(box.width), round(box.height)), (size, size))
        return compose(whole, translate(-(box.left + 0.5), -(box.top + 0.5)))
    how = Align.model_validate(dict(align))
    if how.mode == "arcface":
        return arcface_matrix(working.landmarks, size)
    if how.mode == "eye_level":
        return eye_level_matrix(working.landmarks, size)
    return face_box_matrix(working.box, working.landmarks, size, margin=how.margin)


def paints_learned(
    mask: AutoencoderMask, weights: str, pictures: Sequence[Working], seeds: Sequence[int]
) -> list[Callable[[], PaintedMask]]:
    """For each picture, the function that lays the network's mask over it; the network runs here, once for all."""
    from faceloom.models.threads import one_thread

    predictor = load_predictor(mask.checkpoint, weights)
    align, size = predictor.card.data.align, predictor.size
    border = Align.model_validate(dict(align)).border
    paints: list[Callable[[], PaintedMask]] = []
    seen: list[tuple[int, Matrix, Image]] = []
    for number, picture in enumerate(pictures):
        try:
            matrix = network_matrix(align, picture, size)
            seen.append((number, matrix, warp_image(picture.image, matrix, (size, size), border=border)))
            paints.append(_not_seen)
        except PhotoError as error:  # of this face alone
            paints.append(partial(_refuse, error))
    if seen:
        crops = np.stack([crop for _, _, crop in seen])
        with one_thread():
            predicted = predictor.predict(crops, [seeds[number] for number, _, _ in seen])
        for (number, matrix, _), *crop in zip(seen, predicted.colour, predicted.alpha, predicted.output, strict=True):
            paints[number] = partial(_paint, mask, predictor, pictures[number], matrix, PaintedCrop(*crop))
    return paints


def _refuse(error: PhotoError) -> PaintedMask:
    raise error


def _not_seen() -> PaintedMask:
    raise AssertionError("replaced as soon as the network has seen the face")


def _paint(
    mask: AutoencoderMask, predictor: MaskPredictor, picture: Working, matrix: Matrix, crop: PaintedCrop
) -> PaintedMask:
    painted = paint_learned(picture.image, matrix, crop, mask.blend)
    facts: dict[str, JsonValue] = {
        "preset": predictor.card.preset,
        "weights": predictor.card.files[BEST].sha256,
        "device": "cpu",
        "placed_by": "whole_photo" if picture.landmarks is None else "landmarks",
        **painted.parameters,
    }
    return PaintedMask(painted.image, painted.alpha, painted.straps, facts)
