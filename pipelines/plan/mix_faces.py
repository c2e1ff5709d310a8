"""Plan the morphs of many faces: from the rows of a neighbour search to columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from faceloom.pipelines.plan.draw_masks import draw_morph_masks
from faceloom.pipelines.plan.planned_faces import Ints, PlannedFaces
from faceloom.pipelines.plan.planned_morphs import FIGURES, MorphColumns
from faceloom.pipelines.store.neighbour_rows import NeighbourRows
from faceloom.schemas.keys import generator, morph_key
from faceloom.schemas.morph import Morph, Weight
from faceloom.schemas.plan import PlannedFace
from faceloom.schemas.recipe import Recipe

_BLOCK = 2**14
"""Morphs whose keys are texts at the same time."""


@dataclass(frozen=True, eq=False, slots=True)
class Pairs:
    """Which faces are mixed, M morphs in the order of their keys.

    Attributes:
        face, other: int32 (M,), rows of the face and of its neighbour among all faces.
        rank: int32 (M,). figures: as of `MorphColumns`. masks: int16 (M, variants).
    """

    face: Ints
    other: Ints
    rank: Ints
    figures: dict[str, npt.NDArray[np.float64]]
    masks: Ints


def rows_by_split(faces: PlannedFaces) -> Iterator[tuple[str, Ints]]:
    """The faces with landmarks of each split as rows of the table, in the order of their keys; the splits by name."""
    table = faces.table
    for split, some in faces.by_split():
        assert isinstance(some, PlannedFaces)
        rows = np.arange(some.start, some.stop, dtype=np.int32)
        rows = rows[table.point[rows] >= 0]
        if not len(rows):
            continue
        numbers = table.number[rows]
        names = sorted(range(int(numbers.max()) + 1), key=lambda one: f"{one:02d}")  # as in a key: "100", "99"
        yield split, rows[np.lexsort((np.argsort(names)[numbers], table.analysed.heads[table.photo[rows]]))]


def face_keys(faces: Sequence[PlannedFace]) -> Any:
    """Keys of some faces that are no morphs, as a pyarrow array of strings."""
    import pyarrow as pa

    if isinstance(faces, PlannedFaces):
        return faces.table.keys(faces.slice)
    return pa.array([face.key for face in faces], pa.string())


def planned_pairs(
    recipe: Recipe, morph: Morph, faces: PlannedFaces, rows: Ints, numbers: tuple[Ints, Ints], near: NeighbourRows
) -> Pairs:
    """Choose the morphs of the faces of one split, and draw their weights and masks.

    Args:
        recipe: for its seed and its masks.
        morph: the recipe's `morph`.
        faces: of the split, in the order of their keys.
        rows: of these faces among all.
        numbers: query and neighbour of each row of the search, as numbers of `faces`.
        near: the rows of the search, the nearest of a face first.
    """
    query, neighbour = numbers
    order = np.argsort(query, kind="stable")
    keys = face_keys(faces)
    if morph.draw == "random":
        begins = np.flatnonzero(np.append(True, np.diff(query[order]) != 0)[: len(order)])
        counts = np.diff(np.append(begins, len(order)))
        names = keys.take(query[order][begins]).to_pylist()
        draws = [
            int(generator(recipe.seed, name, "choose_neighbour").integers(count))
            for name, count in zip(names, counts.tolist(), strict=True)
        ]
        order = order[begins + np.array(draws, np.int64)]
    order = order[np.lexsort((neighbour[order], query[order]))]
    query, neighbour = query[order], neighbour[order]
    weights, masks = [], []
    for start in range(0, max(1, len(order)), _BLOCK):
        at = slice(start, start + _BLOCK)
        of_both = (keys.take(one[at]).to_pylist() for one in (query, neighbour))
        names = [morph_key(*pair) for pair in zip(*of_both, strict=True)]
        weights.append(_weights(recipe, names, morph.shape_weight, morph.texture_weight))
        masks.append(draw_morph_masks(recipe, names))
    figures = {name: near.figures(name)[order] for name in FIGURES[:3]}
    figures |= dict(zip(FIGURES[3:], np.concatenate(weights).T, strict=True))
    rank = near.figures("rank")[order].astype(np.int32)
    return Pairs(rows[query], rows[neighbour], rank, figures, np.concatenate(masks))


def _weights(recipe: Recipe, keys: Sequence[str], shape: Weight, texture: Weight) -> npt.NDArray[np.float64]:
    """The neighbour's share in shape and texture of each morph, (M, 2)."""
    weights = np.empty((len(keys), 2))
    if "uniform" in (shape, texture):
        weights[:] = [generator(recipe.seed, key, "morph").random(2) for key in keys] or weights
    for column, weight in enumerate((shape, texture)):
        if weight != "uniform":
            weights[:, column] = weight
    return weights


def mixed_faces(recipe: Recipe, faces: PlannedFaces, pieces: Sequence[Pairs]) -> PlannedFaces:
    """Faces and their morphs in the order of the plan.

    Args:
        recipe: for the number of variants.
        faces: all faces, in the order of the plan.
        pieces: the pairs of each split.
    """
    table, count = faces.table, len(faces)
    face, other, rank = (
        np.concatenate([np.zeros(0, np.int32), *(getattr(piece, name) for piece in pieces)])
        for name in ("face", "other", "rank")
    )
    figures = {name: np.concatenate([np.zeros(0), *(piece.figures[name] for piece in pieces)]) for name in FIGURES}
    rows = np.concatenate([np.arange(count, dtype=np.int32), face])
    order = np.argsort(rows, kind="stable").astype(np.int32)  # a face, then its morphs, which are in order
    number = np.where(order >= count, order - count, -1).astype(np.int32)
    masks = np.concatenate([table.masks, *(piece.masks for piece in pieces)])[order]
    attributes = list(table.attributes)
    attribute = np.concatenate([table.attribute, _shared(attributes, table.attribute[face], table.attribute[other])])
    return PlannedFaces(
        replace(
            table.taken(rows[order]),
            masks=masks,
            attribute=attribute[order],
            attributes=attributes,
            morphs=MorphColumns(table, number, other, rank, figures),
        )
    )


def _shared(attributes: list[tuple[tuple[str, str | float | bool], ...]], first: Ints, second: Ints) -> Ints:
    """Numbers of the attributes that both faces of each morph share. Adds those that are new to a list of them."""
    pairs, which = np.unique(first.astype(np.int64) * max(1, len(attributes)) + second, return_inverse=True)
    known = len(attributes)
    numbers = []
    for pair in pairs.tolist():
        one, other = (attributes[number] for number in divmod(pair, max(1, known)))
        numbers.append(len(attributes))
        attributes.append(tuple(item for item in one if item in other))
    return np.array(numbers, np.int32)[which]
