"""Plain values of a stranger, before a schema sees them: what they may be, and how messages show them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

MOST_DEPTH = 50
"""Lists and mappings inside each other."""
MOST_DIGITS = 300
"""Digits of a number."""
_SHOWN = 80
"""Letters of a value in a message."""


class PlainValueError(ValueError):
    """A value that no schema accepts.

    Attributes:
        path: where it stands, such as `$.masks[1].colour`.
        value: the value as a message shows it.
    """

    def __init__(self, what: str, path: str, value: str = "") -> None:
        super().__init__(what)
        self.path, self.value = path, value


def shown(value: object) -> str:
    """A value on one line of at most about 80 letters."""
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 4 * _SHOWN:
        return f"a number of {round(value.bit_length() * math.log10(2)):,} digits"
    if isinstance(value, str | bytes):
        text = repr(value[: 2 * _SHOWN])
        return text if len(value) <= _SHOWN else f"{text[:_SHOWN]}…{text[0]}, {len(value):,} in all"
    if isinstance(value, Mapping | list | tuple | set):
        return f"{type(value).__name__} of {len(value)}"
    text = " ".join(repr(value).split())
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def step(key: object) -> str:
    """A key or the number of a list item as a step of a path, such as `.masks` or `[1]`."""
    if isinstance(key, int):
        return f"[{key}]"
    text = key if isinstance(key, str) and key.isprintable() else shown(key)
    return f".{text}" if len(text) <= _SHOWN else f".{text[:_SHOWN]}…"


def plain_values(data: Any, path: str = "$", depth: int = MOST_DEPTH) -> Any:
    """A copy with tuples for lists, as frozen models hold them.

    Raises:
        PlainValueError: the data nests too deep, a key is no text, a text cannot be written as UTF-8 or holds a null
            character, a whole number has too many digits, or a value is of another type than JSON has.
    """
    if not depth:
        raise PlainValueError(f"nests deeper than {MOST_DEPTH} levels", path)
    if isinstance(data, Mapping):
        return {_key(key, path): plain_values(value, f"{path}{step(key)}", depth - 1) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return tuple(plain_values(value, f"{path}[{number}]", depth - 1) for number, value in enumerate(data))
    if isinstance(data, str):
        return _sound(data, path)
    if isinstance(data, int) and data.bit_length() > MOST_DIGITS * math.log2(10):
        raise PlainValueError(f"a number has at most {MOST_DIGITS} digits", path, shown(data))
    if not isinstance(data, int | float | None):
        raise PlainValueError("expected text, a number, true or false, a list or a mapping", path, shown(data))
    return data


def _key(key: Any, path: str) -> str:
    if not isinstance(key, str):
        raise PlainValueError("a key must be text", path, shown(key))
    return _sound(key, path)


def _sound(text: str, path: str) -> str:
    if "\0" in text:
        raise PlainValueError("text must not hold a null character", path, shown(text))
    if not is_utf8(text):
        raise PlainValueError("text must not hold half of a surrogate pair", path, shown(text))
    return text


def is_utf8(text: str) -> bool:
    """Whether a text can be written as UTF-8: it holds no half of a surrogate pair."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
