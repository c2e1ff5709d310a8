"""Give all faces of a build the same attributes, each of one type: readers of other tools infer a schema from a few."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from faceloom.pipelines.plan.planned_faces import PlannedFaces
from faceloom.schemas.photos import Scalar
from faceloom.schemas.plan import PlannedFace

_EXACT = 2**53
"""Whole numbers from here on are not exact as float64, which many JSON readers use."""


def uniform_attributes(faces: Sequence[PlannedFace]) -> Sequence[PlannedFace]:
    """Give all faces the same attributes, sorted by name.

    An attribute keeps its type if every face has it with this type; whole numbers beside decimal ones become decimal.
    Otherwise all its values become text: `true`, `31`, and empty text for faces that lack it.

    Args:
        faces: of the whole build, in any order.
    """
    if isinstance(faces, PlannedFaces):
        held = faces.table.attributes
        counted = list(zip(held, faces.attribute_counts().tolist(), strict=True))
        if (wanted := _wanted(counted)) is None:
            return faces
        return faces.with_attributes([_converted(dict(one), wanted) if count else () for one, count in counted])
    wanted = _wanted((face.attributes, 1) for face in faces)
    if wanted is None:
        return faces
    return [replace(face, attributes=_converted(dict(face.attributes), wanted)) for face in faces]


def _wanted(held: Iterable[tuple[tuple[tuple[str, Scalar], ...], int]]) -> dict[str, type] | None:
    """The type of each attribute, from attributes and the number of faces that have them; None if all have it."""
    types: dict[str, set[type]] = defaultdict(set)
    counts: dict[str, int] = defaultdict(int)
    faces = 0
    for attributes, count in held:
        faces += count
        for name, value in attributes if count else ():
            types[name].add(_LongNumber if type(value) is int and abs(value) >= _EXACT else type(value))
            counts[name] += count
    wanted = {name: _common(types[name], counts[name] == faces) for name in sorted(types)}
    if all(types[name] == {kind} and counts[name] == faces for name, kind in wanted.items()):
        return None
    return wanted


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
