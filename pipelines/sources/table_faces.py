"""Join the rows of a table that name faces in one photo."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from faceloom.pipelines.sources.walk import scan_reject
from faceloom.schemas.photos import GivenFace, Photo, Reject

MOST_FACES = 1_000
"""Faces of one photo that a table may name."""
_SAME = 0.8
"""Boxes with a larger IoU are one face."""


class RowOfPhoto(NamedTuple):
    """A row of a table, from 1, and what it states about its photo: one face at most."""

    number: int
    photo: Photo


def join_rows(rows: Sequence[RowOfPhoto]) -> Iterator[Photo | Reject]:
    """The photo that some rows name, with the faces of all of them, and a reject for each row that it cannot take.

    A row with a face box or landmarks names a face. Rows without them name the photo, so one of them counts, and none
    if they name different people or stand beside rows of faces. Rows that state different splits are all rejected.

    Args:
        rows: with the same uri, at least one.
    """
    placed = [row for row in rows if row.photo.landmarks is not None or row.photo.faces]
    splits = list(dict.fromkeys(row.photo.split for row in rows if row.photo.split is not None))
    split = splits[0] if splits else None
    if len(rows) == 1:
        yield rows[0].photo
    elif len(splits) > 1:
        what = f"the photo is listed for the splits {shown_names(splits)}; give all its rows one of them"
        yield from (_reject(row, "split_conflict", what) for row in rows)
    elif placed:
        bare = [row for row in rows if row not in placed]
        yield from _joined(placed[:MOST_FACES], split)
        yield from (
            _reject(row, "bad_row", f"more than {MOST_FACES:,} faces of one photo") for row in placed[MOST_FACES:]
        )
        named = {row.photo.identity for row in placed}
        for row in bare:
            if row.photo.identity is None or row.photo.identity in named:
                yield _reject(row, "duplicate_uri", "listed in an earlier row")
            else:
                what = "other rows of this photo have a face box or landmarks, and this one has none: which face is it?"
                yield _reject(row, "bad_row", what)
    else:
        yield from _one_of(rows, split)


def _one_of(rows: Sequence[RowOfPhoto], split: str | None) -> Iterator[Photo | Reject]:
    """One photo of rows without a place in it."""
    names = list(dict.fromkeys(row.photo.identity for row in rows if row.photo.identity is not None))
    if len(names) > 1:
        remedy = "give each row the box or the landmarks of its face"
        for row in rows:
            yield _reject(row, "identity_conflict", f"the photo is listed for {shown_names(names)}; {remedy}")
        return
    kept = next((row for row in rows if row.photo.identity is not None), rows[0])
    yield replace(kept.photo, split=split)
    yield from (_reject(row, "duplicate_uri", "listed in an earlier row") for row in rows if row is not kept)


def _joined(rows: Sequence[RowOfPhoto], split: str | None) -> Iterator[Photo | Reject]:
    """The photo with the faces of all rows, without those that are one face of two people."""
    kept: list[tuple[GivenFace, Photo]] = []
    for same in _same_faces(rows):
        names = list(dict.fromkeys(row.photo.identity for row in same if row.photo.identity is not None))
        first = next((row for row in same if row.photo.identity is not None), same[0])
        if len(names) > 1:
            for row in same:
                yield _reject(row, "identity_conflict", f"one face of the photo is listed for {shown_names(names)}")
            continue
        kept.append((_face_of(first.photo), first.photo))
        for row in same:
            if row is not first:
                yield _reject(row, "duplicate_uri", "the same face as in another row")
    if not kept:
        return
    kept.sort(key=lambda pair: _rank(pair[0]))
    faces, photos = tuple(face for face, _ in kept), [photo for _, photo in kept]
    yield replace(
        photos[0],
        identity=next((face.identity for face in faces if face.identity is not None), None),
        split=split,
        licence=_all_terms(photo.licence for photo in photos),
        consent=_all_terms(photo.consent for photo in photos),
        attributes=faces[0].attributes,
        landmarks=None,
        faces=faces,
    )


def _all_terms(stated: Iterator[str | None]) -> str | None:
    """Licence or consent for a picture of several people: the terms of all."""
    terms = list(dict.fromkeys(stated))
    return terms[0] if len(terms) == 1 else " + ".join(one or "not stated" for one in terms)


def _face_of(photo: Photo) -> GivenFace:
    return photo.faces[0] if photo.faces else GivenFace(photo.identity, photo.attributes, None, photo.landmarks)


def _extent(face: GivenFace) -> tuple[float, float, float, float]:
    """The box of a face, or the box around its landmarks."""
    if face.box is not None:
        return face.box
    points = np.frombuffer(face.landmarks or b"", np.float32).reshape(-1, 2)
    (left, top), (right, bottom) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
    return left, top, right, bottom


def _rank(face: GivenFace) -> tuple[float, ...]:
    """The largest face first, whatever the order of the rows."""
    left, top, right, bottom = _extent(face)
    return left - right, left, top, bottom


def _same_faces(rows: Sequence[RowOfPhoto]) -> list[list[RowOfPhoto]]:
    """The rows of each face, in the order of the rows."""
    boxes = np.array([_extent(_face_of(row.photo)) for row in rows])
    left, top, right, bottom = boxes.T
    area = (right - left) * (bottom - top)
    groups: list[list[RowOfPhoto]] = []
    first: list[int] = []
    for place, row in enumerate(rows):
        across = np.minimum(right[place], right[first]) - np.maximum(left[place], left[first])
        down = np.minimum(bottom[place], bottom[first]) - np.maximum(top[place], top[first])
        shared = np.maximum(across, 0) * np.maximum(down, 0)
        same = np.flatnonzero(shared >= _SAME * (area[place] + area[first] - shared))
        if len(same):
            groups[same[0]].append(row)
        else:
            groups.append([row])
            first.append(place)
    return groups


def shown_names(names: Sequence[str], most: int = 5) -> str:
    """Names of people for a message, cut short."""
    text = " and ".join(ascii(name[:80])[1:-1] if not name.isprintable() else name[:80] for name in names[:most])
    return f"{text} and {len(names) - most:,} more" if len(names) > most else text


def _reject(row: RowOfPhoto, code: str, what: str) -> Reject:
    return scan_reject(row.photo.source, row.photo.uri, code, f"row {row.number}: {what}")
