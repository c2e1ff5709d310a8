"""The aligned pictures of one sample: face, masked face, coverage, all in the pixels of the crop."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from faceloom.pipelines.working import Image, Matrix, Points, Working
from faceloom.schemas.recipe import Recipe
from faceloom.transforms.align import warp_alpha, warp_image
from faceloom.transforms.geometry import apply_affine, invert
from faceloom.transforms.masks.painted import PaintedMask

COVERED = 0.5
"""A pixel counts as mask from this coverage on."""


@dataclass(frozen=True, slots=True)
class Crops:
    """What a sample shows.

    Attributes:
        face: uint8 (H, W, 3), RGB.
        landmarks: float32 (68, 2), pixels of the crop; None if no face was found.
        masked: uint8 like `face`, or None if the sample has no mask.
        alpha: float32 (H, W), coverage by the mask, 0..1; None if the sample has no mask.
    """

    face: Image
    landmarks: Points | None
    masked: Image | None = None
    alpha: npt.NDArray[np.float32] | None = None

    @property
    def mask(self) -> Image:
        """Ground truth: uint8 (H, W), 255 where the mask covers at least half a pixel, else 0."""
        assert self.alpha is not None
        return (self.alpha >= COVERED).astype(np.uint8) * np.uint8(255)


@dataclass(frozen=True, slots=True)
class BareCrop:
    """What all samples of one face share.

    Attributes:
        face: uint8 (H, W, 3), RGB.
        outside: bool, which pixels of the crop show what lies outside the photo; None if all of it lies inside.
    """

    face: Image
    outside: npt.NDArray[np.bool_] | None


def bare_crop(working: Working, recipe: Recipe) -> BareCrop:
    """Cut the aligned face from its working picture."""
    size = recipe.align.width_height
    face = warp_image(working.image, working.matrix, size, border=recipe.align.border)
    return BareCrop(face, _outside(working.image, working.matrix, size))


def masked_crops(bare: BareCrop, working: Working, painted: PaintedMask, recipe: Recipe) -> Crops:
    """Cut the masked face and its coverage as the face was cut."""
    size, output = recipe.align.width_height, recipe.output
    truth = painted.alpha
    if output.straps and painted.straps is not None:
        truth = np.maximum(truth, painted.straps)
    masked = warp_image(painted.image, working.matrix, size, border=recipe.align.border)
    alpha = warp_alpha(truth, working.matrix, size)
    if bare.outside is not None:
        # No mask is drawn out or mirrored beyond the photo: there both pictures show the same.
        masked[bare.outside], alpha[bare.outside] = bare.face[bare.outside], 0
    return Crops(bare.face, working.landmarks_crop, masked, alpha)


def _outside(image: Image, matrix: Matrix, size: tuple[int, int]) -> npt.NDArray[np.bool_] | None:
    """Which pixels of a crop read anything outside of the picture; None if none does."""
    right, bottom = size[0] - 0.5, size[1] - 0.5
    corners = apply_affine(invert(matrix), np.array([(-0.5, -0.5), (right, -0.5), (right, bottom), (-0.5, bottom)]))
    limits = np.array([image.shape[1], image.shape[0]]) - 0.5
    if (corners >= -0.5 - 1e-6).all() and (corners <= limits + 1e-6).all():
        return None
    inside = warp_alpha(np.ones(image.shape[:2], np.float32), matrix, size)
    return inside < 1 - 1e-4
