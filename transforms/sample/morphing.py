"""Morphs in the render: mixes two planned faces into one working picture, which then renders like any other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from pydantic import JsonValue

from faceloom.schemas.plan import PlannedFace
from faceloom.schemas.recipe import Recipe
from faceloom.transforms.align import arcface_matrix, crop_reduction, eye_level_matrix
from faceloom.transforms.decode import decode_rgb
from faceloom.transforms.geometry import apply_affine, compose, invert
from faceloom.transforms.morph.morph import morph_faces
from faceloom.transforms.sample.working import Working, crop_matrix, crop_record, cut_working
from faceloom.transforms.types import Matrix


def morph_working(working: Working, face: PlannedFace, other_photo: bytes, recipe: Recipe) -> Working:
    """Mix a neighbour into a face's working picture.

    Args:
        working: of the first face.
        face: the planned morph.
        other_photo: bytes of the neighbour's photo.
        recipe: its `align` also aligns the two faces with each other.

    Returns:
        The working picture with the morph in it, its landmarks, and the crop aligned by them.

    Raises:
        PhotoError: `morph_folds`, or the neighbour's photo cannot be used.
    """
    assert face.morph is not None and recipe.morph is not None and working.landmarks is not None
    neighbour = face.morph.other
    matrix = crop_matrix(recipe, neighbour)
    reduction = crop_reduction(matrix)
    photo = decode_rgb(other_photo, reduction=reduction, max_pixels=recipe.faces.max_pixels)
    other = cut_working(photo, neighbour, matrix, reduction, recipe)
    assert other.landmarks is not None
    morphed = morph_faces(
        working.image,
        working.landmarks,
        other.image,
        other.landmarks,
        compose(invert(working.matrix), other.matrix),
        shape_weight=face.morph.shape_weight,
        texture_weight=face.morph.texture_weight,
        background=recipe.morph.background,
    )
    to_crop = _aligned(working, morphed.landmarks, recipe)
    from_photo = compose(compose(to_crop, invert(working.matrix)), working.matrix_photo)
    record = crop_record(from_photo, recipe.align.width_height, working.photo_size)
    return replace(
        working,
        image=morphed.image,
        landmarks=morphed.landmarks,
        five=None,
        matrix=to_crop,
        matrix_photo=from_photo,
        landmarks_crop=apply_affine(to_crop, morphed.landmarks).astype(np.float32),
        alignment={**working.alignment, **record},
        read_from=morphed.read_from if recipe.needs_labels else None,  # large, and only labels need it
    )


def _aligned(working: Working, landmarks: np.ndarray, recipe: Recipe) -> Matrix:
    """Working picture to crop for the morphed landmarks: a mix of two aligned faces is only nearly aligned."""
    align = recipe.align
    width, height = align.width_height
    if align.mode == "arcface" and recipe.faces.assume != "aligned":
        return arcface_matrix(landmarks, height, width=width)
    if align.mode == "eye_level":
        return eye_level_matrix(landmarks, (width, height))
    return working.matrix


def morph_record(face: PlannedFace, recipe: Recipe) -> dict[str, JsonValue]:
    """The record of the morph in its sample."""
    assert face.morph is not None and recipe.morph is not None
    morph, how = face.morph, recipe.morph
    return {
        "name": "morph",
        "neighbour": morph.other.key,
        "rank": morph.rank,
        "distance": morph.distance,
        "landmark_distance": morph.landmark_distance,
        "texture_distance": morph.texture_distance,
        "lambda": how.lambda_,
        "texture": how.texture,
        "texture_size": how.texture_size,
        "texture_units": how.texture_units,
        "shape_weight": morph.shape_weight,
        "texture_weight": morph.texture_weight,
        "background": how.background,
    }
