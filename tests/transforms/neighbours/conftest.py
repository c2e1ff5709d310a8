"""Faces for the tests: a few close families among random ones, with twins, ties, and photos and people that repeat."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from faceloom.transforms.neighbours.faces import Faces
from faceloom.transforms.neighbours.sketch import sketch


def make_faces(seed: int, count: int, height: int = 20, width: int = 24, photos: int = 0, people: int = 0) -> Faces:
    """Faces drawn from a seed; some are exact copies of others, and some differ from them by one grey level."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(40, 216, (count, 5, 6, 3), dtype=np.uint8)
    textures = np.stack([cv2.resize(one, (width, height), interpolation=cv2.INTER_CUBIC) for one in coarse])
    landmarks = (rng.random((1, 68, 2)) * width + rng.normal(size=(count, 68, 2))).astype(np.float32)
    for copy in range(count // 4):
        original = int(rng.integers(count))
        textures[copy], landmarks[copy] = textures[original], landmarks[original]
        if copy % 3 == 0:
            textures[copy, 0, 0, 0] ^= 1
    return Faces(
        keys=[f"face-{number:04d}" for number in rng.permutation(count)],
        photos=[f"photo-{rng.integers(photos or 10**9)}" for _ in range(count)],
        identities=[f"person-{rng.integers(people or 10**9)}" for _ in range(count)],
        landmarks=landmarks,
        textures=textures,
        sketches=sketch(textures),
    )


@pytest.fixture(scope="session")
def make() -> Callable[..., Faces]:
    return make_faces


def make_likenesses(seed: int, count: int, side: int = 24) -> Faces:
    """Faces that differ as faces do: mixtures of a few smooth patterns and shapes, with a little grain of their own."""
    rng = np.random.default_rng(seed)
    made = make_faces(seed, count, side, side)
    patterns = np.stack([cv2.resize(one, (side, side)) for one in rng.normal(size=(6, 4, 4, 3))])
    mixtures = rng.normal(size=(count, 6))
    grain = rng.normal(size=made.textures.shape)
    textures = np.clip(128 + 30 * np.tensordot(mixtures, patterns, 1) + 2 * grain, 0, 255).astype(np.uint8)
    moves = np.tensordot(mixtures, rng.normal(size=(6, 68, 2)), 1) + 0.05 * rng.normal(size=(count, 68, 2))
    landmarks = (side / 2 + moves).astype(np.float32)
    return Faces(made.keys, made.photos, made.identities, landmarks, textures, sketch(textures))


@pytest.fixture(scope="session")
def likenesses() -> Callable[..., Faces]:
    return make_likenesses
