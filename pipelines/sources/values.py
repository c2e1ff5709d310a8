"""Convert what users state about a photo: text, 68 landmarks, attributes."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping

import numpy as np

from faceloom.schemas.photos import Scalar

_TYPED = re.compile(r"-?(0|[1-9][0-9]{0,17})(\.[0-9]+)?|true|false")


def is_missing(value: object) -> bool:
    """True for None, blank text and NaN, the missing values of tables."""
    return value is None or (isinstance(value, str) and not value.strip()) or (value != value) is True


def as_text(value: object) -> str | None:
    """Return a value as stripped text; None if missing. A whole number read as a float loses its `.0`."""
    if is_missing(value):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    # JSON may hold lone surrogates, which a table cannot store.
    return str(value).strip().encode("utf-8", "backslashreplace").decode()


def as_landmarks(value: object) -> bytes | None:
    """Convert 68 (x, y) points to float32 bytes, from nested sequences, an array, or JSON text; None if missing.

    Raises:
        ValueError: the value is not 68 pairs of finite numbers.
    """
    try:
        if isinstance(value, str) and value.strip():
            value = json.loads(value)
    except RecursionError as error:
        raise ValueError("landmarks must be 68 pairs of numbers; this value is nested too deep") from error
    if value is None or (isinstance(value, str | float) and is_missing(value)):
        return None
    try:
        with np.errstate(over="ignore"):  # a value too large becomes infinite and is refused below
            points = np.asarray(value, dtype=np.float64).astype(np.float32)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError("landmarks must be 68 pairs of numbers") from error
    if points.shape != (68, 2):
        raise ValueError(f"landmarks must be 68 pairs of numbers, not of shape {points.shape}")
    if not np.isfinite(points).all():
        raise ValueError("a landmark is not a finite number")
    return points.tobytes()


def as_attributes(values: Mapping[str, object]) -> tuple[tuple[str, Scalar], ...]:
    """Sort named values by name and drop missing ones; a value other than text, number or bool becomes JSON text."""
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
    """Convert a CSV cell that is a JSON number or bool; any other cell stays text, such as `007` and `1e5`."""
    if _TYPED.fullmatch(text) is None:
        return text
    value: Scalar = json.loads(text)
    return value
