"""Masks by trained networks in the pipeline: one network per process, faces in batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydantic import JsonValue

from faceloom.models.checkpoint import BEST, CARD, check_weights, read_card
from faceloom.pipelines.store.fetched import fetched_folder
from faceloom.schemas.errors import CheckpointError, PhotoError, RecipeError
from faceloom.schemas.masks import AutoencoderMask
from faceloom.schemas.recipe import Align
from faceloom.schemas.urls import url_of
from faceloom.transforms.align import (
    arcface_matrix,
    cut_crop,
    eye_level_matrix,
    face_box_matrix,
    whole_photo_matrix,
)
from faceloom.transforms.box_alignment import box_aligned_matrix, box_matrix
from faceloom.transforms.detect import FaceBox
from faceloom.transforms.geometry import apply_affine, compose, invert, translate
from faceloom.transforms.masks.learned import PaintedCrop, paint_learned
from faceloom.transforms.masks.painted import PaintedMask
from faceloom.transforms.sample.working import Working
from faceloom.transforms.types import Image, Matrix

if TYPE_CHECKING:
    from faceloom.models.predict import MaskPredictor


def checkpoint_folder(checkpoint: str) -> Path:
    """The folder of a run, on this machine: one that is named by URL is copied, the card and the best weights.

    Raises:
        CheckpointError: the URL names no run.
        StorageError: its object store cannot be used.
    """
    try:
        return fetched_folder(checkpoint, (CARD, BEST))
    except OSError as error:
        remedy = "Give the URL of a folder that holds card.json and best.safetensors, as `faceloom train` writes them"
        what = f"cannot be read ({error.strerror})"
        raise CheckpointError(what, where=str(error.filename), remedy=remedy) from None


def checkpoint_digest(number: int, mask: AutoencoderMask) -> str:
    """Digest of the weights of a recipe's mask, from their card; the weights must exist.

    Raises:
        RecipeError: the folder is no checkpoint of faceloom, or its weights are missing or truncated.
    """
    try:
        folder = checkpoint_folder(mask.checkpoint)
        card = read_card(folder, "autoencoder")
        check_weights(folder, card, digest=False)
    except CheckpointError as error:
        raise _of_recipe(number, mask, error) from None
    return card.files[BEST].sha256


def check_checkpoint(number: int, mask: AutoencoderMask) -> None:
    """Load a network as the workers do, check its weights against their digest, and mask a grey picture.

    Raises:
        RecipeError: the checkpoint is damaged, or PyTorch is not installed.
    """
    try:
        from faceloom.models.predict import MaskPredictor
        from faceloom.models.threads import one_thread

        predictor = MaskPredictor.load(checkpoint_folder(mask.checkpoint), digest=True)
        with one_thread():
            predictor.predict(np.full((1, predictor.size, predictor.size, 3), 128, np.uint8))
    except CheckpointError as error:
        raise _of_recipe(number, mask, error) from None
    except ImportError as error:
        remedy = "Run: pip install 'faceloom[torch]'"
        where = f"$.masks[{number}].kind"
        raise RecipeError("a learned mask needs PyTorch", where=where, value=error, remedy=remedy) from None


def _of_recipe(number: int, mask: AutoencoderMask, error: CheckpointError) -> RecipeError:
    place = mask.checkpoint if url_of(mask.checkpoint) else error.where
    where = f"$.masks[{number}].checkpoint"
    return RecipeError(f"cannot be used: {place}: {error.what}", where=where, value=error.value, remedy=error.remedy)


@lru_cache(maxsize=4)
def load_predictor(checkpoint: str, weights: str) -> MaskPredictor:
    """The network of a checkpoint, loaded once per process; its pages are shared between processes.

    Args:
        checkpoint: folder of the run, or its URL. A copy is checked against its digest.
        weights: digest of its weights; another digest loads the network again.
    """
    from faceloom.models.predict import MaskPredictor

    return MaskPredictor.load(checkpoint_folder(checkpoint), digest=url_of(checkpoint) is not None)


def network_matrix(align: Align, working: Working, size: int) -> Matrix:
    """Matrix from a working picture to a network's crop, aligned as its training data.

    Args:
        align: the training data's `align`.
        working: the picture; a whole photo without a face gives its middle.
        size: side of the network's crop.
    """
    points = working.landmarks if working.five is None else working.five
    if align.beyond == "fit" and not working.whole:
        to_photo = compose(invert(working.matrix_photo), working.matrix)
        box = working.box
        edges = apply_affine(to_photo, np.array([(box.left, box.top), (box.right, box.bottom)]))
        (left, top), (right, bottom) = edges.tolist()
        in_photo = FaceBox(left, top, right, bottom, turn=box.turn)
        fitted = box_matrix(align, in_photo, (size, size), working.photo_size)
        return compose(fitted, to_photo)
    if points is None and not working.whole:
        return box_aligned_matrix(align, working.box, (size, size))
    if points is None:
        box = working.box
        whole = whole_photo_matrix((round(box.width), round(box.height)), (size, size))
        return compose(whole, translate(-(box.left + 0.5), -(box.top + 0.5)))
    if align.mode == "arcface":
        return arcface_matrix(points, size)
    if align.mode == "eye_level":
        return eye_level_matrix(points, size)
    return face_box_matrix(working.box, points, size, margin=align.margin)


@dataclass(frozen=True, slots=True)
class PredictedMask:
    """Prediction of a network for one face.

    Attributes:
        crop: the network's output, in the pixels of its crop.
        matrix: working picture to that crop, 2x3.
        preset, weights: the network and the digest of its weights, for the record of the sample.
    """

    crop: PaintedCrop
    matrix: Matrix
    preset: str
    weights: str


def predict_masks(
    mask: AutoencoderMask, weights: str, pictures: Sequence[Working], seeds: Sequence[int]
) -> list[PredictedMask | PhotoError]:
    """Run a mask's network on several faces in one call.

    Args:
        mask: names the checkpoint.
        weights: digest of its weights.
        pictures: of the faces.
        seeds: one for each face.

    Returns:
        For each face the prediction, or the error if the network's crop cannot be cut.
    """
    from faceloom.models.threads import one_thread

    predictor = load_predictor(mask.checkpoint, weights)
    card, size = predictor.card, predictor.size
    align = card.data.align
    results: dict[int, PredictedMask | PhotoError] = {}
    crops: list[Image] = []
    matrices: dict[int, Matrix] = {}
    for number, picture in enumerate(pictures):
        try:
            matrix = network_matrix(align, picture, size)
            crops.append(cut_crop(picture.image, matrix, (size, size), align.border)[0])
            matrices[number] = matrix
        except PhotoError as error:
            results[number] = error
    if crops:
        with one_thread():
            predicted = predictor.predict(np.stack(crops), [seeds[number] for number in matrices])
        outputs = zip(predicted.colour, predicted.alpha, predicted.straps, predicted.output, strict=True)
        for (number, matrix), output in zip(matrices.items(), outputs, strict=True):
            results[number] = PredictedMask(PaintedCrop(*output), matrix, card.preset, card.files[BEST].sha256)
    return [results[number] for number in range(len(pictures))]


def paint_predicted(mask: AutoencoderMask, picture: Working, predicted: PredictedMask) -> PaintedMask:
    """Paint a predicted mask on its picture."""
    painted = paint_learned(picture.image, predicted.matrix, predicted.crop, mask.blend)
    facts: dict[str, JsonValue] = {
        "preset": predicted.preset,
        "weights": predicted.weights,
        "device": "cpu",
        "placed_by": "whole_photo" if picture.whole else "box" if picture.landmarks is None else "landmarks",
        **painted.parameters,
    }
    return PaintedMask(painted.image, painted.alpha, painted.straps, facts)
