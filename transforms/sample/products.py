"""Makes the files of a sample from its aligned pictures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from faceloom.schemas.recipe import Recipe
from faceloom.transforms.halves import halves
from faceloom.transforms.lowres.degrade import degrade, small_mask
from faceloom.transforms.sample.crops import Crops
from faceloom.transforms.sample.encode import encode, npy

Files = list[tuple[str, bytes]]
_UNKNOWN = np.full((68, 2), np.nan, np.float32)
"""Landmarks of a face without trusted ones."""


def face_files(crops: Crops, recipe: Recipe) -> Files:
    """Files of the face without its mask: the face, its landmarks, its guide mask and its halves.

    All samples of a recipe have the same files, since other tools refuse sets in which they differ. Landmarks are NaN
    if there are no trusted ones.
    """
    output = recipe.output
    files = [(f"face.{output.image}", encode(crops.face, output.image, output.quality))]
    files.append(("landmarks.npy", npy(_UNKNOWN if crops.landmarks is None else crops.landmarks)))
    if crops.guide is not None:
        files.append((f"guide.{output.mask}", encode(crops.guide, output.mask)))
    if output.halves:
        upper, lower, lower_landmarks = halves(crops.face, crops.landmarks, output.halves.split_row)
        files.append((f"upper.{output.image}", encode(upper, output.image, output.quality)))
        files.append((f"lower.{output.image}", encode(lower, output.image, output.quality)))
        files.append(("lower_landmarks.npy", npy(_UNKNOWN if lower_landmarks is None else lower_landmarks)))
    return files


def mask_files(crops: Crops, recipe: Recipe) -> Files:
    """The masked face and its ground truth; nothing for a sample without a mask."""
    if crops.masked is None or crops.alpha is None:
        return []
    output = recipe.output
    files = [
        (f"masked.{output.image}", encode(crops.masked, output.image, output.quality)),
        (f"mask.{output.mask}", encode(crops.mask, output.mask)),
    ]
    if output.alpha:
        files.append((f"alpha.{output.mask}", encode(np.round(crops.alpha * 255).astype(np.uint8), output.mask)))
    return files


def small_files(crops: Crops, recipe: Recipe, parameters: Mapping[str, Any]) -> Files:
    """Low-resolution partners of face and masked face, made the same way, and their mask.

    They are lossless: JPEG would add block artefacts to a picture that may be two blocks wide.

    Args:
        crops: the sample's pictures.
        recipe: its `lowres` chooses which sizes are kept.
        parameters: from `degrade.draw`.
    """
    assert recipe.lowres is not None
    files: Files = []
    for suffix, picture in (("", crops.face), ("_masked", crops.masked)):
        if picture is None:
            continue
        small = degrade(picture, parameters, upsampled=recipe.lowres.upsampled)
        if recipe.lowres.native:
            files.append((f"lr{suffix}.png", encode(small.native, "png")))
        if small.upsampled is not None:
            files.append((f"lr{suffix}_upsampled.png", encode(small.upsampled, "png")))
    if crops.alpha is not None and recipe.lowres.native:
        files.append(("lr_mask.png", encode(small_mask(crops.alpha, parameters), "png")))
    return files
