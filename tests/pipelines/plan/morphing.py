"""Morphs of photos that were never taken: planned with a search that is given, and one object after another."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from faceloom.pipelines.plan import plan_morphs
from faceloom.pipelines.plan.choose import ChosenFaces
from faceloom.pipelines.plan.neighbour_search import SplitNeighbours
from faceloom.pipelines.run.watcher import Watcher
from faceloom.schemas.keys import generator, morph_key
from faceloom.schemas.plan import PlannedFace, PlannedMorph
from faceloom.schemas.recipe import Recipe
from faceloom.transforms.neighbours.faces import Neighbour
from tests.pipelines.plan.drawing import draw_masks
from tests.pipelines.planning import Item, choose

Search = Callable[[Sequence[PlannedFace]], SplitNeighbours]


def mixed(how: Recipe, items: Sequence[Item], search: Search) -> tuple[ChosenFaces, Mapping[str, float]]:
    """What `with_morphs` returns if the neighbours among the faces of a split are those of `search`."""
    context: Any = SimpleNamespace(recipe=how)
    with patch.object(plan_morphs, "find_neighbours", lambda context, morph, faces, **_: search(faces)):
        return plan_morphs.with_morphs(context, choose(how, items), workers=1, watcher=Watcher())


def everyone_near_everyone(faces: Sequence[PlannedFace], count: int = 3, same: str = "forbid") -> list[Neighbour]:
    """Neighbours in the order of their keys, as the search would give them."""
    rows = []
    for face in sorted(faces, key=lambda face: face.key):
        fit = [o.key for o in faces if o.photo_sha256 != face.photo_sha256]
        fit = [o.key for o in faces if o.key in fit and (same == "allow" or o.identity != face.identity)]
        rows += [Neighbour(face.key, o, rank, rank + 1.5, rank, 1.5) for rank, o in enumerate(sorted(fit)[:count])]
    return rows


def one_by_one(how: Recipe, faces: Sequence[PlannedFace], rows: Sequence[Neighbour]) -> list[PlannedFace]:
    """The morphs of the faces of one split, from their neighbours, nearest first."""
    assert how.morph is not None
    by_key = {face.key: face for face in faces}
    near: dict[str, list[Neighbour]] = {}
    for row in rows:
        near.setdefault(row.query, []).append(row)
    planned = []
    for query, found in near.items():
        if how.morph.draw == "random":
            found = [found[int(generator(how.seed, query, "choose_neighbour").integers(len(found)))]]
        planned += [_morph(how, by_key[query], by_key[row.neighbour], row) for row in found]
    return planned


def _morph(how: Recipe, face: PlannedFace, other: PlannedFace, row: Neighbour) -> PlannedFace:
    assert how.morph is not None
    key = morph_key(face.key, other.key)
    drawn = generator(how.seed, key, "morph").random(2).tolist()
    weights = (
        chance if weight == "uniform" else float(weight)
        for weight, chance in zip((how.morph.shape_weight, how.morph.texture_weight), drawn, strict=True)
    )
    return replace(
        face,
        identity=face.identity if face.identity == other.identity else f"{face.identity}+{other.identity}",
        licence=_both(face.licence, other.licence),
        consent=_both(face.consent, other.consent),
        attributes=tuple(pair for pair in face.attributes if pair in other.attributes),
        masks=draw_masks(how, key, landmarks=True),
        morph=PlannedMorph(other, *row[2:], *weights),
    )


def _both(one: str | None, other: str | None) -> str | None:
    return one if one == other else f"{one or 'not stated'} + {other or 'not stated'}"
