"""Convert what users state about a photo: text, landmarks, face boxes, attributes."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import chain

import numpy as np
import numpy.typing as npt

from faceloom.pipelines.sources.person_names import as_person
from faceloom.schemas.json_text import parse_json
from faceloom.schemas.photos import Scalar
from faceloom.schemas.plain_values import MOST_DIGITS

LONGEST_TEXT = 1_000
"""Characters of an identity, of the name of an attribute, and of its text."""
LONGEST_TERMS = 10_000
"""Characters of a licence or a consent, which may be its whole text."""
MOST_ATTRIBUTES = 1_000
"""Attributes of one photo."""

_LONGEST_JSON = 1_000_000  # bytes; 68 landmarks take some 3,000
_FLATTEST = 0.01
"""Least extent of five points across the line through them, in their extent along it."""
_NOT_NUMBERS = {bool, str, bytes, np.bool_, np.str_}
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
    return _plain(str(value).strip())


def as_role(role: str, value: object) -> str | None:
    """Return the identity, split, licence or consent as text; None if missing, or if an identity is a word for no name.

    Raises:
        ValueError: it is longer than `LONGEST_TEXT`, or `LONGEST_TERMS`.
    """
    text = as_text(value)
    longest = LONGEST_TERMS if role in ("licence", "consent") else LONGEST_TEXT
    if text is not None and len(text) > longest:
        raise ValueError(f"the {role} has {len(text):,} characters; at most {longest:,} are used")
    return as_person(text) if role == "identity" and text is not None else text


def as_landmarks(value: object) -> bytes | None:
    """Convert 68 or five (x, y) points to float32 bytes, from sequences, an array, or JSON text; None if missing.

    Raises:
        ValueError: the value is not 68 or five pairs of finite numbers, or five points coincide.
    """
    numbers = _as_numbers(value, "landmarks must be 68 or five pairs of numbers", ((68, 2), (5, 2)))
    if numbers is None:
        return None
    with np.errstate(over="ignore"):  # a value too large becomes infinite
        points = numbers.astype(np.float32)
    if not np.isfinite(points).all():
        raise ValueError("a landmark is not a finite number")
    if len(points) == 5:
        along, across = np.linalg.svd(numbers - numbers.mean(axis=0), compute_uv=False).tolist()
        if not across > _FLATTEST * along:
            raise ValueError("five landmarks that coincide or lie on one line make no face")
    return points.tobytes()


def as_box(value: object) -> tuple[float, float, float, float] | None:
    """Convert left, top, right and bottom to a box, from a sequence, an array, or JSON text; None if missing.

    Raises:
        ValueError: the value is not four finite numbers, or the box has no size.
    """
    if isinstance(value, Sequence) and not isinstance(value, str) and all(map(is_missing, value)):
        return None
    edges = _as_numbers(value, "a face box must be four numbers: left, top, right, bottom", ((4,),))
    if edges is None:
        return None
    left, top, right, bottom = edges.tolist()
    if not (math.isfinite(right - left) and math.isfinite(bottom - top) and right > left and bottom > top):
        raise ValueError("a face box must be left, top, right and bottom, with left < right and top < bottom")
    return left, top, right, bottom


def _as_numbers(value: object, expected: str, shapes: Sequence[tuple[int, ...]]) -> npt.NDArray[np.float64] | None:
    if isinstance(value, str) and value.strip():
        value = parse_json(value, _LONGEST_JSON, lenient=True)
    if value is None or (isinstance(value, str | float) and is_missing(value)):
        return None
    try:
        numbers = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(expected) from error
    if numbers.shape not in shapes:
        raise ValueError(f"{expected}, not of shape {numbers.shape}")
    if not _holds_numbers(value if numbers.ndim == 2 else [value]):
        raise ValueError(f"{expected}, not of text or booleans")
    return numbers


def _holds_numbers(pairs: object) -> bool:
    """Whether pairs are numbers already: NumPy converts text and booleans too."""
    if isinstance(pairs, np.ndarray):
        return pairs.dtype.kind in "iuf"
    return isinstance(pairs, Sequence) and _NOT_NUMBERS.isdisjoint(map(type, chain.from_iterable(pairs)))


def as_object(value: object) -> dict[str, object]:
    """Attributes as an object, from JSON text or an object; empty if missing.

    Raises:
        ValueError: it is something else.
    """
    if is_missing(value):
        return {}
    try:
        parsed = parse_json(value, _LONGEST_JSON, lenient=True) if isinstance(value, str) else value
    except ValueError as error:
        raise ValueError(f"attributes must be a JSON object ({error})") from error
    if not isinstance(parsed, dict):
        raise ValueError("attributes must be a JSON object")
    return parsed


def as_attributes(values: Mapping[str, object], left_out: Counter[str] | None = None) -> tuple[tuple[str, Scalar], ...]:
    """Sort named values by name and drop missing ones; a value other than text, number or bool becomes JSON text.

    Args:
        values: of one photo.
        left_out: counts, by name, the values that are longer than `LONGEST_TEXT` and become no attribute.

    Raises:
        ValueError: more than `MOST_ATTRIBUTES`, or a whole number of more than `MOST_DIGITS` digits.
    """
    kept: list[tuple[str, Scalar]] = []
    for given, value in values.items():
        if is_missing(value):
            continue
        name, scalar = _plain(str(given)), _scalar(value)
        if len(name) <= LONGEST_TEXT and not (isinstance(scalar, str) and len(scalar) > LONGEST_TEXT):
            kept.append((name, scalar))
        elif left_out is not None:
            left_out[name[:LONGEST_TEXT]] += 1
    if len(kept) > MOST_ATTRIBUTES:
        raise ValueError(f"{len(kept):,} attributes; at most {MOST_ATTRIBUTES:,} are used")
    return tuple(sorted(kept, key=lambda item: item[0]))


def notices_of(left_out: Counter[str]) -> tuple[str, ...]:
    """What a source reports about the values that `as_attributes` left out."""
    names = sorted(left_out)
    shown = ", ".join(f"{ascii(name)[1:-1][:60]} ({left_out[name]:,})" for name in names[:5])
    more = f" and {len(names) - 5} more names" if len(names) > 5 else ""
    what = (
        f"values that are longer than {LONGEST_TEXT:,} characters, cannot be read or exceed {MOST_ATTRIBUTES:,} of a "
        f"photo are no attributes: {shown}{more}"
    )
    return (what,) if names else ()


def _plain(text: str) -> str:
    # JSON may hold lone surrogates, which a table cannot store.
    return text.encode("utf-8", "backslashreplace").decode()


def _scalar(value: object) -> Scalar:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, int) and not -(10 ** (MOST_DIGITS - 1)) < value < 10**MOST_DIGITS:
        raise ValueError(f"a whole number has more than {MOST_DIGITS} digits")
    if isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return _plain(value)
    return json.dumps(value, default=str, sort_keys=True)


def typed(text: str) -> Scalar:
    """Convert a CSV cell that is a JSON number or bool; any other cell stays text, such as `007` and `1e5`."""
    if _TYPED.fullmatch(text) is None:
        return text
    value: Scalar = json.loads(text)
    return value
