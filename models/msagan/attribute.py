"""Whether a face has an attribute: as its sample records it, or derived from its landmarks."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

MOUTH_OPEN = "mouth_open"
"""The attribute that is derived from landmarks."""
CLOSED, OPEN = 0.05, 0.1
"""A mouth is closed if the gap between its lips is smaller than the first share of its width, open if it is larger than
the second. Between them, landmarks are too inexact to decide."""
_GAP, _CORNERS = ((61, 67), (62, 66), (63, 65)), (60, 64)
_YES, _NO = ("true", "1", "1.0", "yes"), ("false", "0", "0.0", "-1", "-1.0", "no")


def mouth_opening(landmarks: NDArray[np.float32]) -> NDArray[np.float64]:
    """The mean gap between the lips, relative to the width of the mouth.

    Args:
        landmarks: (..., 68, 2), iBUG order, in pixels.

    Returns:
        float64 (...); NaN for unknown landmarks.
    """
    points = landmarks.astype(np.float64)
    above, below = (points[..., list(ends), :] for ends in zip(*_GAP, strict=True))
    gap = np.linalg.norm(above - below, axis=-1).mean(-1)
    width = np.linalg.norm(points[..., _CORNERS[0], :] - points[..., _CORNERS[1], :], axis=-1)
    return np.asarray(gap / np.maximum(width, 1e-6))


def derived(landmarks: NDArray[np.float32]) -> NDArray[np.float64]:
    """`mouth_open` of landmarks (..., 68, 2): 1 or 0; NaN if they are unknown or do not decide."""
    opening = mouth_opening(landmarks)
    return np.where((opening < CLOSED) | (opening > OPEN), opening > OPEN, np.nan)


def recorded(attribute: str, record: Mapping[str, Any]) -> float:
    """An attribute of a sample: 1 or 0; NaN if it is missing or no truth value, as for morphs.

    Sources write truth values as true and false, 1 and 0, or, like CelebA, 1 and -1; also as text.

    Args:
        attribute: its name.
        record: the member `json` of the sample.
    """
    value = record["attributes"].get(attribute, "")
    text = str(value).strip().lower()
    return 1.0 if text in _YES else 0.0 if text in _NO else math.nan


def attribute_of(attribute: str, sample: Mapping[str, Any]) -> float:
    """An attribute of a sample that was read with its `json` and, for `mouth_open`, its `landmarks`: 1, 0 or NaN."""
    if attribute == MOUTH_OPEN:
        return float(derived(np.asarray(sample["landmarks"])))
    return recorded(attribute, sample["json"])


def members_for(attribute: str) -> tuple[str, ...]:
    """Members of a sample that `attribute_of` needs."""
    return ("landmarks",) if attribute == MOUTH_OPEN else ("json",)
