"""Draw the masks that faces wear, by the recipe's weights, from those that each face can wear.

Each mask waits for a random time at the rate of its weight, and the first one is drawn. The time depends on no other
mask, so a mask that is added, removed or moved in the recipe changes only the samples that wear it.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter

import numpy as np
import numpy.typing as npt

from faceloom.schemas.keys import variant_key
from faceloom.schemas.masks import (
    serves_pairs,
    serves_unsure_landmarks,
    serves_with_landmarks,
    serves_without_landmarks,
)
from faceloom.schemas.recipe import Recipe

_NEAR = 1e-9
"""Two waiting times that differ by less than this share are compared as Python computes them."""
_BLOCK = 2**15
"""Faces that are drawn for at once."""


def _waits(name: str, rate: float) -> float:
    """A random time from an exponential distribution, decided by a name."""
    drawn = int.from_bytes(hashlib.sha256(name.encode()).digest()[:6]) + 1
    return -math.log(drawn / 2**48) / rate


def draw_all_masks(
    recipe: Recipe,
    heads: npt.NDArray[np.uint64],
    numbers: npt.NDArray[np.integer],
    landmarks: npt.NDArray[np.bool_],
    found: npt.NDArray[np.bool_],
    paired: npt.NDArray[np.bool_] | None = None,
) -> npt.NDArray[np.int16]:
    """Draw the masks of many faces.

    Args:
        recipe: of the build.
        heads: first 64 bits of each photo's sha256, (F,).
        numbers: of the face in its photo, (F,).
        landmarks: whether the face has trusted landmarks, (F,).
        found: whether it was found, (F,); otherwise it is a whole photo.
        paired: whether there is a photo of the face with a mask, (F,); None if there is none of any.

    Returns:
        Numbers of masks, (F, variants); -1 for faces that wear none.
    """
    drawn = np.full((len(heads), recipe.per_face if recipe.masks else 0), -1, np.int16)
    kinds = [(True, True, False), (False, True, False), (False, False, False)]
    if paired is not None:
        kinds += [(True, True, True), (False, True, True)]
    for has, is_face, is_paired in kinds:
        waiting = _waiting(recipe, has, is_face, is_paired)
        of_kind = (landmarks == has) & (found == is_face)
        if paired is not None:
            of_kind &= (paired & found) == is_paired
        rows = np.flatnonzero(of_kind) if waiting else np.zeros(0, np.int64)
        for start in range(0, len(rows), _BLOCK):
            block = rows[start : start + _BLOCK]
            faces = zip(heads[block].tolist(), numbers[block].tolist(), strict=True)
            keys = [b"%d %016x-f%02d" % (recipe.seed, head, number) for head, number in faces]
            for variant in range(recipe.per_face):
                drawn[block, variant] = _draw_block(keys, variant, waiting)
    return drawn


def draw_morph_masks(recipe: Recipe, keys: list[str]) -> npt.NDArray[np.int16]:
    """Draw the masks of many morphs, by their keys; they have landmarks.

    Returns:
        Numbers of masks, (M, variants); -1 if no mask of the recipe can be worn.
    """
    drawn = np.full((len(keys), recipe.per_face if recipe.masks else 0), -1, np.int16)
    if waiting := _waiting(recipe, landmarks=True, found=True, paired=False):
        seeded = [f"{recipe.seed} {key}".encode() for key in keys]
        for variant in range(recipe.per_face):
            drawn[:, variant] = _draw_block(seeded, variant, waiting)
    return drawn


def _draw_block(keys: list[bytes], variant: int, waiting: list[tuple[int, str, float]]) -> npt.NDArray[np.int16]:
    """The mask that each face draws for a variant; `keys` are of faces or morphs, after the seed."""
    sha256 = hashlib.sha256
    times = np.empty((len(keys), len(waiting)))
    for at, (_, name, rate) in enumerate(waiting):
        end = f"{variant_key('', variant)} {name}".encode()
        digests = b"".join([sha256(key + end).digest() for key in keys])
        numbers = (np.frombuffer(digests, ">u8")[::4] >> 16).astype(np.float64)
        times[:, at] = -np.log((numbers + 1) / 2**48) / rate
    best = times.argmin(axis=1)
    if len(waiting) > 1:  # NumPy's logarithm may differ from Python's in the last bit
        first, second = np.partition(times, 1, axis=1)[:, :2].T
        for row in np.flatnonzero(second - first <= _NEAR * second).tolist():
            times_of_row = [
                _waits(f"{variant_key(keys[row].decode(), variant)} {name}", rate) for _, name, rate in waiting
            ]
            best[row] = times_of_row.index(min(times_of_row))
    return np.array([number for number, _, _ in waiting], np.int16)[best]


def _waiting(recipe: Recipe, landmarks: bool, found: bool, paired: bool) -> list[tuple[int, str, float]]:
    """Number, name and weight of the masks that a face, or a whole photo, can wear."""
    fits = serves_unsure_landmarks if found else serves_without_landmarks
    if landmarks:
        fits = serves_with_landmarks
    seen: Counter[str] = Counter()
    waiting: list[tuple[int, str, float]] = []
    for number, mask in enumerate(recipe.masks):
        label = mask.label
        if (paired and found) if serves_pairs(mask) else fits(mask):
            waiting.append((number, f"{label} {seen[label]}", mask.weight))
        seen[label] += 1
    return waiting
