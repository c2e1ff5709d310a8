"""Who is who in photos in which the source names faces one by one, as columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from faceloom.pipelines.analyse.photo_table import PhotoTable, parse_attributes
from faceloom.schemas.photos import FIVE_POINTS, Scalar

Ints = npt.NDArray[np.integer]


class NamedFaces(NamedTuple):
    """The names, attributes and five points of the faces of N photos. The sources place G faces in them one by one.

    Attributes:
        names: pyarrow array of all names; those of the photos' column `identity` come first.
        attributes: all attributes; those of the photos' column `attributes` come first.
        first, counts: int32 (N,), number of a photo's first placed face, and of its placed faces.
        identity: int32 (G,), number of each placed face's name, -1 without one. attribute: int32 (G,), as a number.
        five: pyarrow array of five points (40 bytes), first those of photos. five_of_photo: int32 (N,) and
            five_of_face: int32 (G,), numbers of points in `five`, -1 without them.
    """

    names: Any
    attributes: Sequence[tuple[tuple[str, Scalar], ...]]
    first: Ints
    counts: Ints
    identity: Ints
    attribute: Ints
    five: Any
    five_of_photo: Ints
    five_of_face: Ints


def named_faces(photos: PhotoTable) -> NamedFaces:
    """The faces that the sources of some photos place one by one."""
    import pyarrow as pa

    placed = photos.column("faces")
    faces = placed.flatten()  # without those of null rows
    count = first = np.zeros(len(placed), np.int32)  # takes no memory before it is written to
    if len(faces):
        count = placed.value_lengths().fill_null(0).to_numpy().astype(np.int32)
        first = (np.cumsum(count) - count).astype(np.int32)
    names, identity = _numbered(photos.column("identity").dictionary, faces.field("identity"))
    texts, attribute = _numbered(photos.column("attributes").dictionary, faces.field("attributes"))
    attributes = [parse_attributes(text) for text in texts.to_pylist()]
    whole, of_photo = _fives(photos.column("landmarks"))
    some, of_face = _fives(faces.field("landmarks").cast(pa.large_binary()))
    of_face = np.where(of_face >= 0, of_face + len(whole), -1).astype(np.int32)
    return NamedFaces(
        names, attributes, first, count, identity, attribute, pa.concat_arrays([whole, some]), of_photo, of_face
    )


def _numbered(known: Any, texts: Any) -> tuple[Any, Ints]:
    """Some texts as numbers in a list of texts that begins with known ones; that list. None becomes -1."""
    import pyarrow as pa
    import pyarrow.compute as pc

    encoded = texts.dictionary_encode()
    found = pc.index_in(encoded.dictionary, value_set=known)
    new = encoded.dictionary.filter(found.is_null())
    numbers = found.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int32)
    numbers[numbers < 0] = len(known) + np.arange(len(new), dtype=np.int32)
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    every = np.append(numbers, np.int32(-1))  # the last one serves those without a text
    return pa.concat_arrays([known, new]), every[codes].astype(np.int32)


def _fives(landmarks: Any) -> tuple[Any, Ints]:
    """The landmarks that are five points, and the number of each, -1 for others."""
    import pyarrow.compute as pc

    five = pc.equal(pc.binary_length(landmarks), FIVE_POINTS).fill_null(False)
    which = np.asarray(five.to_numpy(zero_copy_only=False), bool)
    numbers = np.where(which, np.cumsum(which, dtype=np.int32) - 1, -1)
    return landmarks.filter(five), numbers


def chains(pairs: Iterable[tuple[int, int]]) -> dict[int, int]:
    """Join what pairs connect, through chains of pairs too; the smallest member of each chain by member."""
    parents: dict[int, int] = {}

    def top(one: int) -> int:
        while (above := parents.setdefault(one, one)) != one:
            parents[one] = parents[above]  # halves the way for the next search
            one = above
        return one

    for one, other in pairs:
        low, high = sorted((top(one), top(other)))
        parents[high] = low
    return {one: top(one) for one in list(parents)}


def shared_photos(named: NamedFaces) -> dict[str, str]:
    """For each person who shares a photo with another, the first name, by order, among all who are linked by photos."""
    photo = np.repeat(np.arange(len(named.counts)), named.counts)
    known = np.flatnonzero(named.identity >= 0)
    codes, photo = named.identity[known], photo[known]
    both = (photo[1:] == photo[:-1]) & (codes[1:] != codes[:-1])
    pairs = np.unique(np.stack([codes[:-1][both], codes[1:][both]], axis=1), axis=0)
    if not len(pairs):
        return {}
    people, numbers = np.unique(pairs, return_inverse=True)
    texts = named.names.take(_array(people)).to_pylist()
    order = sorted(range(len(texts)), key=texts.__getitem__)
    rank = np.argsort(order)[numbers.reshape(pairs.shape)]
    return {texts[order[one]]: texts[order[low]] for one, low in chains(map(tuple, rank.tolist())).items()}


def _array(numbers: Ints) -> Any:
    import pyarrow as pa

    return pa.array(numbers)
