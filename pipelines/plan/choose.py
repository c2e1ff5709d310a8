"""Choose the faces of a build, their splits and their masks."""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from faceloom.pipelines.plan.splits import assign_splits
from faceloom.schemas.faces import AnalysedPhoto, FaceRow
from faceloom.schemas.keys import digest, face_key, position, variant_key
from faceloom.schemas.masks import serves_with_landmarks, serves_without_landmarks
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
    """

    faces: tuple[PlannedFace, ...]
    rejects: tuple[Reject, ...]
    recall: Mapping[str, float] = field(default_factory=dict)
    neighbours: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _ChosenPhoto:
    """A photo of the build, with its chosen faces and their numbers in the photo."""

    photo: Photo
    analysed: AnalysedPhoto
    faces: tuple[tuple[int, FaceRow], ...]

    @property
    def group(self) -> str:
        """The unit that a split does not divide: the person, or the photo if it has no identity."""
        return self.photo.identity if self.photo.identity is not None else f"photo-{self.analysed.sha256[:16]}"


def choose_faces(recipe: Recipe, photos: Iterable[Photo], analysed: Mapping[str, AnalysedPhoto]) -> ChosenFaces:
    """Choose the faces of a build.

    Args:
        recipe: of the build.
        photos: as scanned, in any order.
        analysed: the analysis of every photo, by photo id.

    Returns:
        The chosen faces; they do not depend on the order of `photos`.
    """
    rejects: list[Reject] = []
    chosen: list[_ChosenPhoto] = []
    first_with: dict[str, Photo] = {}
    # Of photos with the same bytes the first one is kept. Those with a split come first, then those with an identity,
    # then those with labels if there is a guide. Identity counts more than labels: it keeps a person in one split.
    by_source = recipe.split.by == "source"
    labelled = recipe.guide is not None
    whole_photos = any(map(serves_without_landmarks, recipe.masks))

    def rank(photo: Photo) -> tuple[bool | str, ...]:
        no_labels = labelled and not analysed[photo.photo_id].labels
        return by_source and photo.split is None, photo.identity is None, no_labels, photo.source, photo.uri

    for photo in sorted(photos, key=rank):
        found = analysed[photo.photo_id]
        if found.width * found.height > recipe.faces.max_pixels:
            message = f"{found.width} x {found.height} pixels, more than {recipe.faces.max_pixels} (faces.max_pixels)"
            rejects.append(Reject("analyse", photo.source, photo.uri, "too_many_pixels", message))
        elif found.code and not (found.code == NO_FACE and whole_photos):
            rejects.append(Reject("analyse", photo.source, photo.uri, found.code, found.message))
        elif labelled and found.labels_fault:
            message = f"its label files cannot be read: {found.labels_fault}"
            rejects.append(Reject("plan", photo.source, photo.uri, "bad_labels", message))
        elif (first := first_with.setdefault(found.sha256, photo)) is not photo:
            message = f"the same bytes as {first.photo_id}, which is used"
            rejects.append(Reject("plan", photo.source, photo.uri, "duplicate_photo", message))
        else:
            faces, dropped = _select_faces(recipe, photo, found)
            rejects += dropped
            if faces:
                chosen.append(_ChosenPhoto(photo, found, faces))
    groups = [(one.group, one.analysed.sha256, one.photo.split) for one in chosen]
    planned: list[PlannedFace] = []
    for one, split in zip(chosen, assign_splits(recipe.split, recipe.seed, groups), strict=True):
        if split is None:
            message = "the recipe has `split: {by: source}`, and the source gives no split for this photo"
            rejects.append(Reject("plan", one.photo.source, one.photo.uri, "no_split", message))
            continue
        planned += _planned_faces(recipe, one, _split_file_name(split))
    return ChosenFaces(tuple(planned), tuple(rejects))


def _select_faces(
    recipe: Recipe, photo: Photo, found: AnalysedPhoto
) -> tuple[tuple[tuple[int, FaceRow], ...], list[Reject]]:
    """The faces of a photo that the recipe selects, and rejects for those that are too small."""
    faces = list(enumerate(found.faces or (_whole_photo(found),)))
    if recipe.faces.select == "largest":
        faces = [max(faces, key=lambda item: item[1].width)]
    elif recipe.faces.select == "centre":
        faces = [min(faces, key=lambda item: _distance_from_centre(item[1], found))]
    kept = tuple(item for item in faces if item[1].width >= recipe.faces.min_size)
    rejects = [
        Reject(
            "plan",
            photo.source,
            photo.uri,
            "face_too_small",
            f"the face is {face.width:.0f} pixels wide; the recipe asks for {recipe.faces.min_size} (faces.min_size)",
            f"{found.sha256[:16]}-f{number:02d}",
        )
        for number, face in faces
        if face.width < recipe.faces.min_size
    ]
    return kept, rejects


def _whole_photo(photo: AnalysedPhoto) -> FaceRow:
    """A face that fills the photo, for a photo without a detected face."""
    return FaceRow((-0.5, -0.5, photo.width - 0.5, photo.height - 0.5), b"", 0.0, ())


def _distance_from_centre(face: FaceRow, photo: AnalysedPhoto) -> float:
    left, top, right, bottom = face.box
    return (left + right - photo.width) ** 2 + (top + bottom - photo.height) ** 2


def _split_file_name(split: str) -> str:
    """A split's name for file names. Names that differ in more than case stay different."""
    lower = split.lower()
    plain = re.sub(r"[^a-z0-9_]+", "_", lower).strip("_")[:SPLIT_LETTERS] or "unnamed"
    return plain if plain == lower else f"{plain}_{digest(lower)[:6]}"


def _planned_faces(recipe: Recipe, one: _ChosenPhoto, split: str) -> list[PlannedFace]:
    photo, found = one.photo, one.analysed
    place = position(one.group, found.sha256)
    planned = []
    for number, face in one.faces:
        # In a photo of several people the source's identity fits one of them at most, and it is unknown which one.
        identity = one.group if len(one.faces) == 1 else f"photo-{found.sha256[:16]}-f{number:02d}"
        planned.append(
            PlannedFace(
                source=photo.source,
                uri=photo.uri,
                photo_sha256=found.sha256,
                face=number,
                identity=identity,
                split=split,
                licence=photo.licence,
                consent=photo.consent,
                attributes=photo.attributes,
                width=found.width,
                height=found.height,
                landmarks=face.landmarks,
                box=face.box,
                masks=draw_masks(recipe, face_key(found.sha256, number), landmarks=bool(face.landmarks)),
                place=place,
                labels=found.labels if recipe.guide else "",
            )
        )
    return planned


def draw_masks(recipe: Recipe, key: str, *, landmarks: bool) -> tuple[int, ...]:
    """Draw the mask of each variant of a face, by the recipe's weights, from those that the face can wear.

    Each mask waits for a random time at the rate of its weight, and the first one is drawn. The time depends on no
    other mask, so a mask that is added, removed or moved in the recipe changes only the samples that wear it.
    """
    fits = serves_with_landmarks if landmarks else serves_without_landmarks
    seen: Counter[str] = Counter()
    waiting: list[tuple[int, str, float]] = []
    for number, mask in enumerate(recipe.masks):
        label = mask.label
        if fits(mask):
            waiting.append((number, f"{label} {seen[label]}", mask.weight))
        seen[label] += 1
    if not waiting:
        return ()
    return tuple(
        min(waiting, key=lambda one: (_waits(f"{recipe.seed} {variant_key(key, variant)} {one[1]}", one[2]), one[0]))[0]
        for variant in range(recipe.per_face)
    )


def _waits(name: str, rate: float) -> float:
    """A random time from an exponential distribution, decided by a name."""
    drawn = int.from_bytes(hashlib.sha256(name.encode()).digest()[:6]) + 1
    return -math.log(drawn / 2**48) / rate
