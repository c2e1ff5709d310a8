"""Turn what users write about a photo into our types: text, 68 landmarks, attributes."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping

import numpy as np

from faceloom.schemas.photos import Scalar

_TYPED = re.compile(r"-?(0|[1-9][0-9]{0,17})(\.[0-9]+)?|true|false")


def is_missing(value: object) -> bool:
    """True for None, a blank text and a float that is not a number, which is how tables say that nothing is known."""
    return value is None or (isinstance(value, str) and not value.strip()) or (value != value) is True


def as_text(value: object) -> str | None:
    """A value as text without blanks around it; None if missing. A whole number read as a float loses its `.0`."""
    if is_missing(value):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    # JSON may hold halves of characters, which no table can store.
    return str(value).strip().encode("utf-8", "backslashreplace").decode()


def as_landmarks(value: object) -> bytes | None:
    """68 (x, y) points as float32 bytes from nested sequences, an array, or either as JSON; None if missing.

    Raises:
        ValueError: not 68 pairs of finite numbers.
    """
    try:
        if isinstance(value, str) and value.strip():
            value = json.loads(value)
    except RecursionError as error:
        raise ValueError("landmarks are 68 pairs of numbers, not nested so deep") from error
    if value is None or (isinstance(value, str | float) and is_missing(value)):
        return None
    try:
        with np.errstate(over="ignore"):  # what is too large becomes infinite, and is refused below
            points = np.asarray(value, dtype=np.float64).astype(np.float32)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError("landmarks are 68 pairs of numbers") from error
    if points.shape != (68, 2):
        raise ValueError(f"landmarks are 68 pairs of numbers, not of shape {points.shape}")
    if not np.isfinite(points).all():
        raise ValueError("a landmark is not a finite number")
    return points.tobytes()


def as_attributes(values: Mapping[str, object]) -> tuple[tuple[str, Scalar], ...]:
    """Named values sorted by name, missing ones left out; what is no text, number or truth value becomes JSON text."""
    kept = ((str(name), _scalar(value)) for name, value in values.items() if not is_missing(value))
    return tuple(sorted(kept, key=lambda item: item[0]))


def _scalar(value: object) -> Scalar:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    return json.dumps(value, default=str, sort_keys=True)


def typed(text: str) -> Scalar:
    """The number or truth value that a CSV cell spells out as JSON does, or the text: `007` and `1e5` stay text."""
    if _TYPED.fullmatch(text) is None:
        return text
    value: Scalar = json.loads(text)
    return value
