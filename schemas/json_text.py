"""Parse JSON whose author is a stranger: bounded in length and depth, and only values that can be written again."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from typing import Any, NoReturn

from faceloom.schemas.plain_values import MOST_DIGITS, is_utf8

MOST_DEPTH = 64
"""Lists and objects inside each other."""
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*+"?|[\[\]{}]', re.DOTALL)


def parse_json(data: bytes | str, most_bytes: int, *, most_depth: int = MOST_DEPTH, lenient: bool = False) -> Any:
    """The content of a JSON document.

    Args:
        data: UTF-8.
        most_bytes: a longer document is refused.
        most_depth: a document that nests deeper is refused before it is parsed.
        lenient: accept NaN, infinities and halves of surrogate pairs, which other tools write.

    Raises:
        ValueError: the document is too long, nests too deep, is not UTF-8 or not JSON, names a key twice in an object,
            or holds a number that is not finite, a number of more than `MOST_DIGITS` digits, or half of a surrogate
            pair. The message is one line.
    """
    raw = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    if len(raw) > most_bytes:
        raise ValueError(f"it has {len(raw):,} bytes; at most {most_bytes:,} are read")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"byte {error.start} is not UTF-8") from None
    if (depth := _depth(text)) > most_depth:
        raise ValueError(f"it nests {depth} levels deep; at most {most_depth} are read")
    try:
        value = json.loads(
            text,
            parse_constant=float if lenient else _refuse_constant,
            parse_int=_whole,
            parse_float=_real,
            object_pairs_hook=_object,
        )
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error.msg} in line {error.lineno}") from None
    if "\\u" in text and not lenient:
        _refuse_surrogates(value)
    return value


def _depth(text: str) -> int:
    """How deep a document nests; brackets inside strings do not count."""
    if (most := text.count("[") + text.count("{")) <= 1:
        return most
    depth = deepest = 0
    for found in _TOKEN.finditer(text):
        token = found.group()
        if token in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif token in "]}":
            depth -= 1
    return deepest


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a number of JSON")


def _whole(text: str) -> int:
    if len(text) > MOST_DIGITS:
        raise ValueError(f"a number has {len(text)} digits; at most {MOST_DIGITS} are read")
    return int(text)


def _real(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"the number {text[:20]} is too large")
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = Counter(name for name, _ in pairs).most_common(1)[0][0]
        raise ValueError(f"the key {ascii(twice)[:80]} is given twice")
    return found


def _refuse_surrogates(value: Any) -> None:
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            if not is_utf8(one):
                raise ValueError("a text holds half of a surrogate pair")
        elif isinstance(one, list):
            waiting += one
        elif isinstance(one, dict):
            waiting += [*one, *one.values()]
