"""Choose the faces of a build, their splits and their masks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from faceloom.pipelines.analyse.analysis import Analysis
from faceloom.pipelines.plan.draw_masks import draw_all_masks
from faceloom.pipelines.plan.face_limits import figure_spreads, within_limits
from faceloom.pipelines.plan.named_faces import NamedFaces, named_faces, shared_photos
from faceloom.pipelines.plan.pairs import of_pairs, paired
from faceloom.pipelines.plan.planned_faces import OF_FACE, OF_PHOTO, FaceTable, Ints, PlannedFaces
from faceloom.pipelines.plan.splits import assign_splits, empty_splits, lopsided_splits
from faceloom.pipelines.sources.table_faces import shown_names
from faceloom.schemas.faces import UNREADABLE, Spread, usable_labels
from faceloom.schemas.keys import PHOTO_BITS, digest, face_key, position, unnamed_person
from faceloom.schemas.masks import serves_without_landmarks
from faceloom.schemas.photos import Photo, Reject
from faceloom.schemas.plan import PlannedFace
from faceloom.schemas.recipe import Recipe

NO_FACE = "no_face"
"""A reject of analysis that does not count if a mask of the recipe needs no landmarks."""
SPLIT_LETTERS = 40
"""Longer split names are cut, so that a file name with prefix bits and digest stays below 255 bytes."""


@dataclass(frozen=True, slots=True)
class ChosenFaces:
    """The faces of a build, and the rejects. Every photo has at least one of the two.

    Attributes:
        recall: by split, the measured share of true neighbours that an index found; empty for an exact search.
        neighbours: paths of the neighbour tables in the output; empty without morphs.
        warnings: of splits without faces, and of splits that chains of people who share photos make lopsided.
        figures: how quality figures, size and score are spread over the faces; morphs count as the face they are of.
    """

    faces: Sequence[PlannedFace]
    rejects: tuple[Reject, ...]
    recall: Mapping[str, float] = field(default_factory=dict)
    neighbours: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    figures: Mapping[str, Spread] = field(default_factory=dict)


def choose_faces(recipe: Recipe, analysed: Analysis) -> ChosenFaces:
    """Choose the faces of a build.

    Args:
        recipe: of the build.
        analysed: the analysis of every photo, in any order of the photos.

    Returns:
        The chosen faces in the order of the plan; they do not depend on the order of the photos.
    """
    rejects: list[Reject] = []
    named = named_faces(analysed.photos)
    photos = _without_copies(recipe, analysed, _usable(recipe, analysed, rejects), rejects)
    photo, number, row = _selected(recipe, analysed, photos, named)
    del photos
    photo, number, row = _possible(analysed, photo, number, row, named, rejects)
    photo, number, row = within_limits(recipe, analysed, photo, number, row, rejects)
    sides, names, groups, lopsided = _sides_and_groups(recipe, analysed, photo[_begins(photo)], named, rejects)
    found = _in_order(analysed, photo, number, row, sides, names, groups)
    del photo, number, row, sides, groups  # of ten million faces they take 200 MB
    faces = _planned(recipe, analysed, found, named)
    full = [split for split, _ in faces.by_split()]
    named_people = bool(np.any(faces.table.identity >= 0))
    empty = empty_splits(recipe.split, len(faces), faces.people, full, named=named_people)
    figures = figure_spreads(recipe, analysed, faces.table.photo, faces.table.row)
    return ChosenFaces(faces, tuple(rejects), warnings=(*empty, *lopsided), figures=figures)


def _usable(recipe: Recipe, analysed: Analysis, rejects: list[Reject]) -> Ints:
    """The photos that are not rejected for what analysis found in them."""
    pixels = analysed.width.astype(np.int64) * analysed.height
    codes, texts = analysed.texts("code")
    whole_photos = any(map(serves_without_landmarks, recipe.masks))
    fine = [not text or (text == NO_FACE and whole_photos) for text in texts]
    faults = [text.removeprefix(UNREADABLE) if text.startswith(UNREADABLE) else "" for text in texts]
    labels = analysed.texts("labels")[0]
    large = pixels > recipe.faces.max_pixels
    refused = ~large & ~np.array(fine)[codes]
    unlabelled = ~large & ~refused & np.array([bool(fault) for fault in faults])[labels]
    # If a pair lacks labels, the render rejects those of its samples that wear its mask.
    unlabelled &= recipe.requires_labels & ~of_pairs(recipe, analysed)
    for photo, at in _named(analysed, large):
        size = f"{analysed.width[at]} x {analysed.height[at]} pixels"
        message = f"{size}, more than {recipe.faces.max_pixels} (faces.max_pixels)"
        rejects.append(Reject("analyse", *photo, "too_many_pixels", message))
    messages = analysed.texts("message")[0]
    for photo, at in _named(analysed, refused):
        rejects.append(Reject("analyse", *photo, texts[codes[at]], texts[messages[at]]))
    for photo, at in _named(analysed, unlabelled):
        message = f"its label files cannot be read: {faults[labels[at]]}"
        rejects.append(Reject("plan", *photo, "bad_labels", message))
    return np.flatnonzero(~(large | refused | unlabelled)).astype(np.int32)


def _named(analysed: Analysis, which: npt.NDArray[np.bool_]) -> Iterator[tuple[tuple[str, str], int]]:
    """Source, uri and number of some photos."""
    rows = np.flatnonzero(which)
    return (
        ((photo.source, photo.uri), at) for photo, at in zip(analysed.photos.take(rows), rows.tolist(), strict=True)
    )


def _without_copies(recipe: Recipe, analysed: Analysis, photos: Ints, rejects: list[Reject]) -> Ints:
    """Of photos with the same bytes keep the first one, or none if they are filed under different people.

    Those with a split come first, then those with an identity, then those with labels if samples depend on them.
    Identity counts more than labels: it keeps a person in one split.
    """
    by_source, labelled = recipe.split.by == "source", recipe.needs_labels or recipe.wears_real
    codes, texts = analysed.texts("labels")

    def rank(one: tuple[Photo, int]) -> tuple[bool | int | str, ...]:
        photo, at = one
        no_labels = labelled and not usable_labels(texts[codes[at]])
        return by_source and photo.split is None, -len(photo.names), no_labels, photo.source, photo.uri

    heads = analysed.heads[photos]
    ascending = np.sort(heads)
    twice = ascending[1:][ascending[1:] == ascending[:-1]]
    del ascending
    rows = photos[_among(heads, twice)]
    copies: dict[bytes, list[tuple[Photo, int]]] = {}
    for photo, at in zip(analysed.photos.take(rows), rows.tolist(), strict=True):
        copies.setdefault(analysed.sha256[at].tobytes(), []).append((photo, at))
    dropped = []
    for found in copies.values():
        (first, _), *others = sorted(found, key=rank)
        if people := _conflict([photo for photo, _ in found]):
            places = sorted(photo.photo_id for photo, _ in found if photo.names)
            message = f"the same photo is filed under {people}: {shown_names(places, 3)}"
            for photo, at in found:
                rejects.append(Reject("plan", photo.source, photo.uri, "identity_conflict", message))
                dropped.append(at)
            continue
        for photo, at in others:
            message = f"the same bytes as {first.photo_id}, which is used"
            rejects.append(Reject("plan", photo.source, photo.uri, "duplicate_photo", message))
            dropped.append(at)
    return photos[~_marked(len(analysed.photos), dropped)[photos]]


def _among(values: npt.NDArray[np.uint64], few: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
    """Which values are among a few ascending ones. It takes a fifth of the memory of `np.isin`."""
    if not len(few):
        return np.zeros(len(values), bool)
    at = np.searchsorted(few[:-1], values)
    return few[at] == values


def _conflict(copies: Sequence[Photo]) -> str:
    """The people, if copies of one photo are filed under different ones; empty if one copy names all who are named."""
    stated = [photo.names for photo in copies]
    people = frozenset[str]().union(*stated)
    return "" if people in stated else shown_names(sorted(people))


def _selected(recipe: Recipe, analysed: Analysis, photos: Ints, named: NamedFaces) -> tuple[Ints, Ints, Ints]:
    """The faces that the recipe selects: their photo, number in the photo, and row, -1 for a whole photo.

    Faces that the source places are all selected.
    """
    counts, first = analysed.faces[photos], analysed.first[photos]
    every = np.full(len(photos), recipe.faces.select == "all") | (named.counts[photos] > 0)
    if every.any():
        each = np.where(every, np.maximum(counts, 1), 1)
        number = np.arange(each.sum()) - np.repeat(np.cumsum(each) - each, each)
        photos, counts, first = np.repeat(photos, each), np.repeat(counts, each), np.repeat(first, each)
        every = np.repeat(every, each)
    else:
        number = np.zeros(len(photos), np.int32)
    if recipe.faces.select != "all":
        for at in np.flatnonzero((counts > 1) & ~every).tolist():
            boxes = analysed.box[first[at] : first[at] + counts[at]].tolist()
            if recipe.faces.select == "largest":
                number[at] = max(range(len(boxes)), key=lambda face: boxes[face][2] - boxes[face][0])
            else:
                size = int(analysed.width[photos[at]]), int(analysed.height[photos[at]])
                number[at] = min(range(len(boxes)), key=lambda face: _distance_from_centre(boxes[face], size))
    return photos, number.astype(np.int32), np.where(counts > 0, first + number, -1).astype(np.int32)


def _distance_from_centre(box: Sequence[float], size: tuple[int, int]) -> float:
    left, top, right, bottom = box
    return (left + right - size[0]) ** 2 + (top + bottom - size[1]) ** 2


def _possible(
    analysed: Analysis, photo: Ints, number: Ints, row: Ints, named: NamedFaces, rejects: list[Reject]
) -> tuple[Ints, Ints, Ints]:
    """The faces without those that a source places where none can be."""
    placed = np.flatnonzero((named.counts[photo] > 1) & (row >= 0))
    wrong = placed[analysed.bare[row[placed]]]
    for one, at in zip(analysed.photos.take(photo[wrong]), wrong.tolist(), strict=True):
        key = face_key(analysed.sha256[photo[at]].tobytes().hex(), int(number[at]))
        what = (
            f"the box or the landmarks given for {one.faces[number[at]].identity or 'a face'} are no face in this photo"
        )
        rejects.append(Reject("analyse", one.source, one.uri, "degenerate_points", what, key))
    kept = np.ones(len(photo), bool)
    kept[wrong] = False
    return photo[kept], number[kept], row[kept]


def _begins(photo: Ints) -> npt.NDArray[np.bool_]:
    """Where a face is the first one of its photo."""
    return np.append(True, photo[1:] != photo[:-1])[: len(photo)]


def _sides_and_groups(
    recipe: Recipe, analysed: Analysis, photos: Ints, named: NamedFaces, rejects: list[Reject]
) -> tuple[Ints, list[str], npt.NDArray[np.uint32], tuple[str, ...]]:
    """The split of each photo as a number in a list of names, -1 if it has none; the list; the upper bits of each
    photo's place in the prefix tree; warnings.

    The unit that a split does not divide is the person with all who share a photo with them, through chains of photos
    too, or the photo if it has no identity.
    """
    import pyarrow as pa

    table = analysed.photos
    identity = table.numbers("identity")[photos]
    known = np.unique(identity)
    person = np.searchsorted(known, identity).astype(np.int32)
    unnamed = identity < 0
    names = table.column("identity").dictionary.take(pa.array(known[known >= 0])).to_pylist()
    person = person - (len(known) - len(names))
    person[unnamed] = len(names) + np.arange(np.count_nonzero(unnamed))

    def groups() -> Iterator[str]:
        yield from names
        yield from (unnamed_person(f"{int(head):016x}") for head in analysed.heads[photos[unnamed]].tolist())

    count = len(names) + int(np.count_nonzero(unnamed))
    bits = np.fromiter((position(group, "0") >> PHOTO_BITS for group in groups()), np.uint32, count)[person]
    warnings: tuple[str, ...] = ()
    if recipe.split.by == "identity":
        linked = shared_photos(named)
        all_draws = assign_splits(recipe.split, recipe.seed, ((linked.get(one, one), "", None) for one in groups()))
        draws, splits = _numbered(all_draws)
        sides = draws[person]
        if linked:
            apart = assign_splits(recipe.split, recipe.seed, ((group, "", None) for group in groups()))
            warnings = lopsided_splits(
                recipe.split, np.bincount(person, minlength=count).tolist(), all_draws, apart, linked
            )
    elif recipe.split.by == "source":
        sides = table.numbers("split")[photos]
        splits = table.column("split").dictionary.to_pylist()
    else:
        all_groups = list(groups())
        shas = (sha.tobytes().hex() for sha in analysed.sha256[photos])
        members = [(all_groups[one], sha, None) for one, sha in zip(person.tolist(), shas, strict=True)]
        sides, splits = _numbered(assign_splits(recipe.split, recipe.seed, members))
    for photo, _ in _named(analysed, _marked(len(table), photos[sides < 0])):
        message = "the recipe has `split: {by: source}`, and the source gives no split for this photo"
        rejects.append(Reject("plan", *photo, "no_split", message))
    return sides, splits, bits, warnings


def _numbered(values: Sequence[str | None]) -> tuple[Ints, list[str]]:
    """Values as numbers in a list of those that differ, -1 for None; and that list."""
    names = sorted({value for value in values if value is not None})
    numbers = {name: number for number, name in enumerate(names)}
    return np.fromiter((-1 if one is None else numbers[one] for one in values), np.int32, len(values)), names


def _marked(count: int, rows: Ints | list[int]) -> npt.NDArray[np.bool_]:
    marks = np.zeros(count, bool)
    marks[rows] = True
    return marks


class _Ordered(NamedTuple):
    """Faces in the order of the plan: by split, place, photo and key. Columns as in `FaceTable`.

    Attributes:
        alone: whether the face is the only one of its photo.
    """

    photo: Ints
    number: Ints
    row: Ints
    alone: npt.NDArray[np.bool_]
    split: Ints
    group: npt.NDArray[np.uint32]
    splits: list[str]


def _in_order(
    analysed: Analysis, photo: Ints, number: Ints, row: Ints, sides: Ints, names: list[str],
    groups: npt.NDArray[np.uint32],
) -> _Ordered:  # fmt: skip
    """The faces that have a split."""
    used = np.unique(sides)
    file_names = {one: _split_file_name(names[one]) for one in used[used >= 0].tolist()}
    splits = sorted(set(file_names.values()))
    numbers = np.full(len(names) + 1, -1, np.int32)  # the last one is that of photos without a split
    for one, name in file_names.items():
        numbers[one] = splits.index(name)
    begins = _begins(photo)
    alone = begins & np.append(begins[1:], True)[: len(photo)]
    of_photo = np.cumsum(begins, dtype=np.int32) - 1  # the number of each face's photo among the chosen ones
    split, group = numbers[sides[of_photo]], groups[of_photo]
    del of_photo
    order = _sorted(analysed, photo, number, split, group)
    return _Ordered(photo[order], number[order], row[order], alone[order], split[order], group[order], splits)


def _planned(recipe: Recipe, analysed: Analysis, found: _Ordered, named: NamedFaces) -> PlannedFaces:
    """The faces with their names, masks and landmarks."""
    photo, number, row, alone, split, group, splits = found
    identity = analysed.photos.numbers("identity")[photo]  # -1 is `OF_PHOTO`
    # In a photo of several people the source's identity fits one of them at most, and it is unknown which one.
    identity[~alone] = OF_FACE
    attribute = analysed.photos.numbers("attributes")[photo]
    five = named.five_of_photo[photo]
    if len(named.identity):
        placed = np.flatnonzero(named.counts[photo] > 0)
        face = named.first[photo[placed]] + number[placed]
        nameless = np.where(named.counts[photo[placed]] > 1, OF_FACE, OF_PHOTO)
        identity[placed] = np.where(named.identity[face] >= 0, named.identity[face], nameless)
        attribute[placed], five[placed] = named.attribute[face], named.five_of_face[face]
    has = row >= 0
    has[has] = ~analysed.bare[row[has]] & ~analysed.landmarks_unsure[row[has]]
    point = np.where(has, np.cumsum(has) - 1, -1).astype(np.int32)
    pairs = paired(recipe, analysed)[photo] if recipe.wears_real else None
    masks = draw_all_masks(recipe, analysed.heads[photo], number, has, row >= 0, pairs)
    landmarks = analysed.landmarks.in_order(row[has])
    return PlannedFaces(
        FaceTable(
            analysed, photo, number, row, identity, split, group, point, attribute, five, masks, landmarks, splits,
            named.names, named.attributes, named.five,
            recipe.needs_labels or recipe.wears_real,
        )
    )  # fmt: skip


def _sorted(analysed: Analysis, photo: Ints, number: Ints, split: Ints, group: npt.NDArray[np.uint32]) -> Ints:
    """The order of the faces that have a split."""
    kept = np.flatnonzero(split >= 0).astype(np.int32)
    # The number of a face is sorted as in its key: "100" comes before "99".
    names = sorted(range(int(number.max(initial=0)) + 1), key=lambda one: f"{one:02d}")
    rank: Ints = np.argsort(names).astype(np.int32)[number[kept]]
    keys = rank, analysed.heads[photo[kept]], group[kept], split[kept]
    order = np.lexsort(keys)
    heads = keys[1][order]
    twice = np.flatnonzero(heads[1:] == heads[:-1])
    del heads
    if np.any(photo[kept[order[twice]]] != photo[kept[order[twice + 1]]]):
        rest = [analysed.sha256.view(">u8")[photo[kept], at] for at in (3, 2, 1)]
        order = np.lexsort((rank, *rest, *keys[1:]))
    found: Ints = kept[order]
    return found


def _split_file_name(split: str) -> str:
    """A split's name for file names. Names that differ in more than case stay different."""
    lower = split.lower()
    plain = re.sub(r"[^a-z0-9_]+", "_", lower).strip("_")[:SPLIT_LETTERS] or "unnamed"
    return plain if plain == lower else f"{plain}_{digest(lower)[:6]}"
