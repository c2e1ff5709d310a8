"""Give all faces of a build the same attributes, each of one type: readers of other tools infer a schema from a few."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from faceloom.schemas.photos import Scalar
from faceloom.schemas.plan import PlannedFace

_EXACT = 2**53
"""Whole numbers from here on are not exact as float64, which many JSON readers use."""


def uniform_attributes(faces: Sequence[PlannedFace]) -> list[PlannedFace]:
    """Give all faces the same attributes, sorted by name.

    An attribute keeps its type if every face has it with this type; whole numbers beside decimal ones become decimal.
    Otherwise all its values become text: `true`, `31`, and empty text for faces that lack it.

    Args:
        faces: of the whole build, in any order.
    """
    types: dict[str, set[type]] = defaultdict(set)
    counts: dict[str, int] = defaultdict(int)
    for face in faces:
        for name, value in face.attributes:
            types[name].add(_LongNumber if type(value) is int and abs(value) >= _EXACT else type(value))
            counts[name] += 1
    wanted = {name: _common(types[name], counts[name] == len(faces)) for name in sorted(types)}
    if all(types[name] == {kind} and counts[name] == len(faces) for name, kind in wanted.items()):
        return list(faces)
    return [replace(face, attributes=_converted(dict(face.attributes), wanted)) for face in faces]


class _LongNumber:
    """Stands for the type of a whole number that is not exact as float64."""


def _common(types: set[type], everywhere: bool) -> type:
    if not everywhere or _LongNumber in types:
        return str
    if types == {int, float}:
        return float
    return next(iter(types)) if len(types) == 1 else str


def _converted(stated: dict[str, Scalar], wanted: dict[str, type]) -> tuple[tuple[str, Scalar], ...]:
    return tuple((name, _convert(stated.get(name, ""), kind)) for name, kind in wanted.items())


def _convert(value: Scalar, kind: type) -> Scalar:
    if kind is float:
        return float(value)
    if kind is str and not isinstance(value, str):
        return json.dumps(value)
    return value
