"""Plan frames: one sample, or one for each variant, that shows a whole photo with all its faces."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby

from faceloom.pipelines.analyse.analysis import Analysis
from faceloom.pipelines.plan.choose import NO_FACE, ChosenFaces
from faceloom.pipelines.plan.planned_faces import PlannedFaces
from faceloom.schemas.faces import DETECTORS
from faceloom.schemas.keys import face_key, unit_interval, unnamed_person, variant_key
from faceloom.schemas.photos import Photo, Reject
from faceloom.schemas.plan import FaceList, FrameFace, PlannedFace, PlannedFrame
from faceloom.schemas.recipe import Recipe

MOST_FACES = 255
"""Limit on the faces of a frame: an instance mask has one byte per pixel. The largest ones are kept."""


def with_frames(recipe: Recipe, chosen: ChosenFaces) -> ChosenFaces:
    """Put the faces of each photo into one frame.

    Args:
        recipe: with `align: {mode: frame}`.
        chosen: its faces, as `choose_faces` gives them.
    """
    faces = chosen.faces
    assert isinstance(faces, PlannedFaces)
    analysed, frames, rejects = faces.table.analysed, [], list(chosen.rejects)
    faults = {reject.key: reject.code for reject in rejects if reject.key}
    numbers = faces.table.photo[faces.slice].tolist()
    for at, group in groupby(zip(numbers, faces, strict=True), key=lambda pair: pair[0]):
        used = [face for _, face in group]
        if not analysed.faces[at]:
            message = "a frame needs at least one face"
            rejects.append(Reject("analyse", used[0].source, used[0].uri, NO_FACE, message))
            continue
        (photo,) = analysed.photos.take(faces.table.photo[:1] * 0 + at)
        frames.append(_framed(recipe, photo, used, _all_faces(recipe, analysed, at, photo, used, faults)))
    return replace(chosen, faces=FaceList(frames), rejects=tuple(rejects))


def _framed(recipe: Recipe, photo: Photo, used: Sequence[PlannedFace], every: list[FrameFace]) -> PlannedFace:
    first = used[0]
    names = {face.identity for face in used}
    identity = names.pop() if len(names) == 1 else unnamed_person(first.photo_sha256)
    people = tuple(sorted({face.identity for face in every if face.used} | photo.names | {identity}))
    same = tuple(pair for pair in first.attributes if all(pair in face.attributes for face in used))
    return replace(
        first,
        identity=identity,
        attributes=same,
        frame=PlannedFrame(tuple(every), people),
        five=b"",
        labels=first.labels,
    )


def _all_faces(
    recipe: Recipe,
    analysed: Analysis,
    at: int,
    photo: Photo,
    used: Sequence[PlannedFace],
    faults: Mapping[str, str],
) -> list[FrameFace]:
    """All faces that were found in a photo; the largest, if there are very many.

    Args:
        faults: code of the reject of a face, by its key.
    """
    by_number = {face.face: face for face in used}
    sha256, start = used[0].photo_sha256, int(analysed.first[at])
    faces = []
    for number in range(int(analysed.faces[at])):
        row, face = start + number, by_number.get(number)
        given = photo.faces[number].identity if number < len(photo.faces) else None
        left, top, right, bottom = analysed.box[row].tolist()
        faces.append(
            FrameFace(
                face=number,
                identity=face.identity if face else given or unnamed_person(sha256, number),
                box=(left, top, right, bottom),
                landmarks=face.landmarks if face else b"",
                detector=DETECTORS[int(analysed.detector[row])],
                score=float(analysed.score[row]),
                turn=int(analysed.turn[row]),
                masks=tuple(_drawn(recipe, face)) if face else (),
                used=face is not None,
                fault="" if face else faults.get(face_key(sha256, number), ""),
            )
        )
    if len(faces) > MOST_FACES:
        faces.sort(key=lambda one: (not one.used, one.box[0] - one.box[2], one.face))
        faces = sorted(faces[:MOST_FACES], key=lambda one: one.face)
    return faces


def _drawn(recipe: Recipe, face: PlannedFace) -> Iterator[int]:
    """The mask of each variant of a face, -1 where the share of masked faces leaves it bare."""
    own = face_key(face.photo_sha256, face.face)
    for variant, number in enumerate(face.masks):
        draw = unit_interval(recipe.seed, variant_key(own, variant), "masked_share")
        yield number if draw < recipe.align.masked_share else -1
