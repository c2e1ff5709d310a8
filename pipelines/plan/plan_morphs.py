"""Plan morphs: which faces are mixed, and the share of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from faceloom.pipelines.context import Context
from faceloom.pipelines.plan.choose import ChosenFaces
from faceloom.pipelines.plan.draw_masks import draw_masks
from faceloom.pipelines.plan.mix_faces import face_keys, mixed_faces, planned_pairs, rows_by_split
from faceloom.pipelines.plan.neighbour_search import find_neighbours
from faceloom.pipelines.plan.planned_faces import PlannedFaces
from faceloom.pipelines.run.runners import Workers
from faceloom.pipelines.run.watcher import Watcher
from faceloom.pipelines.store.neighbour_rows import NeighbourRows
from faceloom.schemas.keys import generator, morph_key
from faceloom.schemas.morph import Morph, Weight
from faceloom.schemas.photos import Reject
from faceloom.schemas.plan import PlannedFace, PlannedMorph
from faceloom.schemas.recipe import Recipe
from faceloom.transforms.neighbours.faces import Neighbour


def with_morphs(
    context: Context, chosen: ChosenFaces, *, workers: Workers, watcher: Watcher
) -> tuple[ChosenFaces, Mapping[str, float]]:
    """Add the morphs that a recipe asks for. Both parents of a morph are in the split of the morph.

    Args:
        context: of the build; its recipe has a `morph`.
        chosen: the faces.
        workers: number of worker processes, or a cluster.
        watcher: receives progress.

    Returns:
        The chosen faces with their morphs, and seconds of work by stage.

    Raises:
        SourceError: a photo changed or vanished since it was analysed.
    """
    recipe = context.recipe
    morph = recipe.morph
    assert morph is not None
    if isinstance(chosen.faces, PlannedFaces):
        return _with_morph_columns(context, morph, chosen, chosen.faces, workers=workers, watcher=watcher)
    by_split: dict[str, list[PlannedFace]] = {}
    for face in chosen.faces:
        if face.landmarks:
            by_split.setdefault(face.split, []).append(face)
    morphs: list[PlannedFace] = []
    rejects: list[Reject] = []
    recall: dict[str, float] = {}
    kept: tuple[str, ...] = ()
    seconds: Counter[str] = Counter()
    for split, faces in sorted(by_split.items()):
        near = find_neighbours(context, morph, faces, workers=workers, watcher=watcher)
        morphs += plan_morphs(recipe, morph, faces, near.rows)
        compared = {row.query for row in near.rows} - set(near.failed)
        rejects += _rejects((face for face in faces if face.key not in compared), near.failed)
        if near.recall is not None:
            recall[split] = near.recall
        kept += near.kept
        seconds.update(near.seconds)
    every, rejected = (*chosen.faces, *morphs), (*chosen.rejects, *rejects)
    return ChosenFaces(every, rejected, recall, kept, chosen.warnings, chosen.figures), seconds


def _with_morph_columns(
    context: Context, morph: Morph, chosen: ChosenFaces, faces: PlannedFaces, *, workers: Workers, watcher: Watcher
) -> tuple[ChosenFaces, Mapping[str, float]]:
    """As `with_morphs`, without an object for each face or morph."""
    recall: dict[str, float] = {}
    kept: tuple[str, ...] = ()
    rejects, pieces = list(chosen.rejects), []
    seconds: Counter[str] = Counter()
    for split, rows in rows_by_split(faces):
        among = PlannedFaces(faces.table.taken(rows))
        near = find_neighbours(context, morph, among, workers=workers, watcher=watcher)
        found = NeighbourRows.of(near.rows)
        numbers = found.numbers(face_keys(among))
        pieces.append(planned_pairs(context.recipe, morph, among, rows, numbers, found))
        alone = np.ones(len(rows), bool)
        alone[numbers[0]] = False
        rejects += _rejects((among[at] for at in np.flatnonzero(alone).tolist()), near.failed)
        if near.recall is not None:
            recall[split] = near.recall
        kept += near.kept
        seconds.update(near.seconds)
    every = mixed_faces(context.recipe, faces, pieces)
    return ChosenFaces(every, tuple(rejects), recall, kept, chosen.warnings, chosen.figures), seconds


def plan_morphs(
    recipe: Recipe, morph: Morph, faces: Iterable[PlannedFace], rows: Sequence[Neighbour]
) -> list[PlannedFace]:
    """Plan the morphs of the faces of one split.

    Args:
        recipe: for its seed and its masks.
        morph: the recipe's `morph`.
        faces: of one split.
        rows: their neighbours, nearest first.
    """
    by_key = {face.key: face for face in faces}
    near: dict[str, list[Neighbour]] = {}
    for row in rows:
        near.setdefault(row.query, []).append(row)
    planned = []
    for query, found in near.items():
        if morph.draw == "random":
            found = [found[int(generator(recipe.seed, query, "choose_neighbour").integers(len(found)))]]
        planned += [_morph(recipe, morph, by_key[query], by_key[row.neighbour], row) for row in found]
    return planned


def _morph(recipe: Recipe, morph: Morph, face: PlannedFace, other: PlannedFace, row: Neighbour) -> PlannedFace:
    key = morph_key(face.key, other.key)
    rng = generator(recipe.seed, key, "morph")
    shape, texture = (_weight(weight, float(rng.random())) for weight in (morph.shape_weight, morph.texture_weight))
    mixed = PlannedMorph(
        other=other,
        rank=row.rank,
        distance=row.distance,
        landmark_distance=row.landmark_distance,
        texture_distance=row.texture_distance,
        shape_weight=shape,
        texture_weight=texture,
    )
    return replace(
        face,
        identity=face.identity if face.identity == other.identity else f"{face.identity}+{other.identity}",
        licence=_both(face.licence, other.licence),
        consent=_both(face.consent, other.consent),
        attributes=tuple(pair for pair in face.attributes if pair in other.attributes),  # the others need not hold
        masks=draw_masks(recipe, key, landmarks=True),
        morph=mixed,
    )


def _weight(weight: Weight, drawn: float) -> float:
    return drawn if weight == "uniform" else float(weight)


def _both(one: str | None, other: str | None) -> str | None:
    """Licence or consent for a picture of two people: the terms of both."""
    return one if one == other else f"{one or 'not stated'} + {other or 'not stated'}"


def _rejects(alone: Iterable[PlannedFace], failed: Mapping[str, tuple[str, str]]) -> list[Reject]:
    """Rejects for the faces without a morph. The faces themselves are still samples."""
    rejects = []
    for face in alone:
        key = f"{face.key}-x"
        if face.key in failed:
            code, message = failed[face.key]
            rejects.append(Reject("plan", face.source, face.uri, code, f"no morphs: {message}", key))
        else:
            message = f"no morphs: split {face.split} has no other face that it may be mixed with"
            rejects.append(Reject("plan", face.source, face.uri, "no_neighbour", message, key))
    return rejects
