"""Augmentation: drawn parameters are plain data, and applying them again gives the same bytes.

Albumentations changes the pictures; glasses are our own. Parameters are ranges: one value is drawn from each range,
stored, and applied as a range of that single value; a stored seed fixes the noise. Geometric steps are stored as
matrices, so that pictures, masks and landmarks move by the same numbers.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceloom.schemas.augment import Affine, Augment, HorizontalFlip, MotionBlur, Perspective
from faceloom.transforms.align import border_flag
from faceloom.transforms.geometry import rotate, translate
from faceloom.transforms.glasses import draw_glasses
from faceloom.transforms.mirror import MIRRORED_LANDMARKS
from faceloom.transforms.types import Border, Coverage, Image, Landmarks, Mask, Size

Drawn = dict[str, Any]
"""One drawn step: `kind` and its parameters, as JSON values."""

_ALWAYS: dict[str, dict[str, Any]] = {
    "GaussianBlur": {"blur_limit": 0},  # the size of the kernel follows from sigma
    "MotionBlur": {"allow_shifted": False, "direction_range": (0.0, 0.0)},  # masks and landmarks stay where they are
}
"""Fixed arguments to Albumentations, in addition to the recipe's."""


@dataclass(frozen=True, eq=False)
class Layers:
    """The pictures, masks and landmarks of one sample, which move together.

    Attributes:
        pictures: uint8 (H, W, 3), RGB: the face, the masked face.
        masks: uint8 (H, W), labels or 0 and 255: ground truth, guide mask; nearest-neighbour interpolation.
        alphas: float32 (H, W), 0..1; linear interpolation.
        landmarks: float32 (68, 2), pixels.
    """

    pictures: Mapping[str, Image]
    masks: Mapping[str, Mask] = field(default_factory=dict)
    alphas: Mapping[str, Coverage] = field(default_factory=dict)
    landmarks: Mapping[str, Landmarks] = field(default_factory=dict)


def draw(steps: Sequence[Augment], rng: np.random.Generator, size: Size) -> list[Drawn]:
    """Draw which steps are applied, and their parameters.

    Args:
        steps: of the recipe.
        rng: seeded by recipe, sample and operation.
        size: of the crop.

    Returns:
        The applied steps in order, as JSON values.
    """
    return [_drawn(step, rng, size) for step in steps if rng.random() < step.p]


def apply(drawn: Sequence[Drawn], layers: Layers) -> Layers:
    """Apply drawn steps to all layers of a sample.

    All pictures get the same change, noise included, so that pairs stay pairs. Layers that no step changes are returned
    as they are.
    """
    for step in drawn:
        if step["kind"] == "HorizontalFlip":
            layers = _mirror(layers)
        elif "matrix" in step:
            layers = _move(layers, np.array(step["matrix"]), step["border"])
        elif step["kind"] == "Glasses":
            layers = _wear_glasses(step, layers)
        else:
            changed = {name: _change(step, picture) for name, picture in layers.pictures.items()}
            layers = replace(layers, pictures=changed)
    return layers


def is_mirrored(drawn: Sequence[Drawn]) -> bool:
    """Whether the steps together turn left into right."""
    return sum(step["kind"] == "HorizontalFlip" for step in drawn) % 2 == 1


def _drawn(step: Augment, rng: np.random.Generator, size: Size) -> Drawn:
    if isinstance(step, HorizontalFlip):
        return {"kind": step.kind}
    if isinstance(step, Affine | Perspective):
        matrix = _affine(step, rng, size) if isinstance(step, Affine) else _perspective(step, rng, size)
        return {"kind": step.kind, "matrix": matrix.tolist(), "border": step.border}
    values = step.model_dump(exclude={"kind", "p"})
    drawn: Drawn = {"kind": step.kind, "seed": int(rng.integers(2**32))}
    for name, (low, high) in values.items():
        if isinstance(low, int):
            value = int(rng.integers(low, high + 1))
            drawn[name] = value | 1 if isinstance(step, MotionBlur) else value
        else:
            drawn[name] = float(rng.uniform(low, high))
    return drawn


def _affine(step: Affine, rng: np.random.Generator, size: Size) -> NDArray[np.float64]:
    """Shear, turn and scale about the centre, then shift: 3x3, from the crop to the augmented crop."""
    width, height = size
    centre = (width - 1) / 2, (height - 1) / 2
    scale, angle = rng.uniform(*step.scale), math.radians(rng.uniform(*step.rotate))
    shear = np.tan(np.radians(rng.uniform(*step.shear, 2)))
    shift = rng.uniform(*step.translate_percent, 2) * size
    linear = np.eye(3)
    linear[:2, :2] = np.array([[1, shear[0]], [shear[1], 1]]) * scale
    there, back = _square(translate(*centre)), _square(translate(-centre[0], -centre[1]))
    return _square(translate(*shift.tolist())) @ there @ _square(rotate(angle)) @ linear @ back


def _perspective(step: Perspective, rng: np.random.Generator, size: Size) -> NDArray[np.float64]:
    """Map four points near the corners to the corners: 3x3, from the crop to the augmented crop."""
    import cv2

    width, height = size
    corners = np.array([(0, 0), (width - 1, 0), (width - 1, height - 1), (0, height - 1)], np.float32)
    # Below a third the four points are always convex, so that no part of the picture is turned over.
    spread = rng.uniform(*step.scale)
    inwards = np.minimum(np.abs(rng.normal(0, spread, (4, 2))), 0.3) * size
    points = corners + inwards * np.array([(1, 1), (-1, 1), (-1, -1), (1, -1)])
    return np.asarray(cv2.getPerspectiveTransform(points.astype(np.float32), corners), np.float64)


def _square(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.vstack([matrix, (0, 0, 1)])


def _mirror(layers: Layers) -> Layers:
    def flipped(pictures: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        return {name: np.ascontiguousarray(picture[:, ::-1]) for name, picture in pictures.items()}

    width = next(iter(layers.pictures.values())).shape[1]
    points = {}
    for name, landmarks in layers.landmarks.items():
        turned = landmarks[MIRRORED_LANDMARKS]
        turned[:, 0] = width - 1 - turned[:, 0]
        points[name] = turned
    return Layers(flipped(layers.pictures), flipped(layers.masks), flipped(layers.alphas), points)


def _move(layers: Layers, matrix: NDArray[np.float64], border: Border) -> Layers:
    """Warp all layers by a 3x3 matrix, with the same border mode for pictures and masks."""
    import cv2

    mode = border_flag(border)

    def warped(pictures: Mapping[str, NDArray[Any]], method: int) -> dict[str, NDArray[Any]]:
        return {
            name: cv2.warpPerspective(picture, matrix, picture.shape[1::-1], flags=method, borderMode=mode)
            for name, picture in pictures.items()
        }

    points = {}
    for name, landmarks in layers.landmarks.items():
        ahead = np.column_stack([landmarks, np.ones(len(landmarks))]) @ matrix.T
        points[name] = (ahead[:, :2] / ahead[:, 2:]).astype(np.float32)
    return Layers(
        warped(layers.pictures, cv2.INTER_LINEAR),
        warped(layers.masks, cv2.INTER_NEAREST),
        warped(layers.alphas, cv2.INTER_LINEAR),
        points,
    )


def _wear_glasses(step: Drawn, layers: Layers) -> Layers:
    """Draw the same glasses on all pictures, in the light of the first; masks end at their rims."""
    landmarks = next(iter(layers.landmarks.values()), None)
    if landmarks is None:
        return layers
    face = next(iter(layers.pictures.values()))
    rng = np.random.default_rng(step["seed"])
    glasses = draw_glasses(face, landmarks, step["rim_range"], step["tint_range"], rng)
    if glasses is None:
        return layers
    return replace(
        layers,
        pictures={name: glasses.put_on(picture) for name, picture in layers.pictures.items()},
        alphas={name: glasses.end_mask(alpha) for name, alpha in layers.alphas.items()},
    )


def _change(step: Drawn, picture: Image) -> Image:
    values = {name: (value, value) for name, value in step.items() if name not in ("kind", "seed")}
    transform = getattr(load_albumentations(), step["kind"])(p=1.0, **values, **_ALWAYS.get(step["kind"], {}))
    transform.set_random_seed(step["seed"])
    return np.asarray(transform(image=picture)["image"], np.uint8)


@cache
def load_albumentations() -> Any:
    """Import Albumentations with its version check (a network request) turned off.

    The import takes seconds; a process pool may call this before it starts its workers.
    """
    # This environment variable, read on import, is the only switch. It is set here, the only place that imports the
    # package, so that no caller can forget it, and restored afterwards.
    switch = "NO_ALBUMENTATIONS_UPDATE"
    before = os.environ.get(switch)
    os.environ[switch] = "1"
    try:
        import albumentations
    finally:
        os.environ.pop(switch)
        if before is not None:
            os.environ[switch] = before
    return albumentations
