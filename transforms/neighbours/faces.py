"""Blocks of faces, and the published distance between two faces."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from faceloom.transforms.types import Image, Landmarks


class Textures(Protocol):
    """Textures as an array of uint8 (N, H, W, C) gives them; only a few are read, so they may lie on the disk."""

    @property
    def shape(self) -> tuple[int, ...]:
        """N, H, W, C."""

    def __getitem__(self, at: Any) -> Any:
        """One texture, or for a slice some of them."""


@dataclass(frozen=True)
class Metric:
    """d(A, B) = weight * |L_A - L_B| + |T_A - T_B| / white, Euclidean norms (Cole et al. 2017, Anti-Mask 2022).

    Attributes:
        weight: lambda, of landmarks in pixels of the texture.
        white: the texture value that counts as 1: 255 for textures from 0 to 1, 1 for grey levels.
    """

    weight: float = 10.0
    white: float = 255.0

    def total(self, landmark: float, texture: float) -> float:
        """The distance, from its two parts; `texture` in units of `white`."""
        return self.weight * landmark + texture


class Neighbour(NamedTuple):
    """One row: a face, one of its nearest faces, and how far apart they are.

    Attributes:
        query, neighbour: keys of the faces.
        rank: 0 for the nearest.
        distance: d of the metric.
        landmark_distance: |L_A - L_B| in pixels of the texture.
        texture_distance: |T_A - T_B| / white.
    """

    query: str
    neighbour: str
    rank: int
    distance: float
    landmark_distance: float
    texture_distance: float


@dataclass(frozen=True, eq=False)
class Faces:
    """A block of faces of one split.

    Attributes:
        keys: of the faces, all different.
        photos: of each face, the photo that it is in; faces of one photo are never neighbours.
        identities: of each face, who it is.
        landmarks: float32 (N, 68, 2), pixels of the texture.
        textures: uint8 (N, H, W, C).
        sketches: float32 (N, D), of `sketch`.
    """

    keys: Sequence[str]
    photos: Sequence[str]
    identities: Sequence[str]
    landmarks: Landmarks
    textures: Textures
    sketches: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, part: slice) -> Faces:
        return Faces(
            self.keys[part],
            self.photos[part],
            self.identities[part],
            self.landmarks[part],
            self.textures[part],
            self.sketches[part],
        )


def landmark_distance(first: Landmarks, second: Landmarks) -> float:
    """Euclidean norm of the difference of two sets of landmarks; the same in any order of summing."""
    difference = np.subtract(first, second, dtype=np.float64).ravel()
    return math.sqrt(math.fsum((difference * difference).tolist()))


def texture_distance(first: Image, second: Image) -> float:
    """Euclidean norm of the difference of two textures in grey levels: the root of a whole number, exactly rounded."""
    import cv2

    # OpenCV goes over a square root, so that what it returns can be off a whole number in its last digits.
    return math.sqrt(round(cv2.norm(first, second, cv2.NORM_L2SQR)))


def compare(faces: Faces, number: int, others: Faces, other: int, metric: Metric) -> tuple[float, float, float]:
    """Distance of two faces, its landmark and its texture part, of the metric."""
    landmark = landmark_distance(faces.landmarks[number], others.landmarks[other])
    texture = texture_distance(np.asarray(faces.textures[number]), np.asarray(others.textures[other])) / metric.white
    return metric.total(landmark, texture), landmark, texture
