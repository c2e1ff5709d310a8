"""Plan morphs: which faces are mixed, and the share of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

import numpy as np

from faceloom.pipelines.context import Context
from faceloom.pipelines.plan.choose import ChosenFaces
from faceloom.pipelines.plan.mix_faces import face_keys, mixed_faces, planned_pairs, rows_by_split
from faceloom.pipelines.plan.neighbour_search import find_neighbours
from faceloom.pipelines.plan.planned_faces import PlannedFaces
from faceloom.pipelines.run.runners import Workers
from faceloom.pipelines.run.watcher import Watcher
from faceloom.pipelines.store.neighbour_rows import NeighbourRows
from faceloom.schemas.photos import Reject
from faceloom.schemas.plan import PlannedFace


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
    morph, faces = context.recipe.morph, chosen.faces
    assert morph is not None and isinstance(faces, PlannedFaces), "frames have no morphs"
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
