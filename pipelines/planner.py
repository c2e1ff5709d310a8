"""Plan: from photos and faces to shards, parts and samples. Pure, and blind to pixels."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from faceloom.pipelines.prefix_tree import Leaf, leaves
from faceloom.pipelines.splits import assign_splits
from faceloom.schemas.faces import AnalysedPhoto, FaceRow
from faceloom.schemas.keys import POSITION_BITS, digest, generator, position, prefix_name, sample_key
from faceloom.schemas.photos import Photo, Reject
from faceloom.schemas.plan import Part, Plan, PlannedFace, Shard
from faceloom.schemas.recipe import Align, Output, Recipe
from faceloom.schemas.versions import RENDERER

PART_PHOTOS = 100
PART_SAMPLES = 1000
SPLIT_LETTERS = 40
"""Longer names of splits are cut: with prefix bits and digest, a file name must stay below 255 bytes."""


@dataclass(frozen=True, slots=True)
class _Chosen:
    """A photo that is in, with the faces that are."""

    photo: Photo
    analysed: AnalysedPhoto
    faces: tuple[tuple[int, FaceRow], ...]

    @property
    def group(self) -> str:
        """What must stay on one side of a split: the person, or the photo if nobody is named."""
        return self.photo.identity if self.photo.identity is not None else f"photo-{self.analysed.sha256[:16]}"


def make_plan(
    recipe: Recipe, photos: Iterable[Photo], analysed: Mapping[str, AnalysedPhoto], mask_digests: Sequence[str]
) -> Plan:
    """Decide everything that a build will make.

    Args:
        recipe: what is wanted.
        photos: as scanned, in any order.
        analysed: by photo id, for every photo.
        mask_digests: for each mask of the recipe, a digest of all that decides its look.

    Returns:
        The plan, the same for the same content whatever the order of `photos`. A photo is in it or in its rejects.
    """
    rejects: list[Reject] = []
    chosen: list[_Chosen] = []
    first_with: dict[str, Photo] = {}
    # Of photos with the same bytes the first is kept: rather one that has a side of the split, and a name.
    by_source = recipe.split.by == "source"
    for photo in sorted(photos, key=lambda p: (by_source and p.split is None, p.identity is None, p.source, p.uri)):
        found = analysed[photo.photo_id]
        if found.width * found.height > recipe.faces.max_pixels:
            message = f"{found.width} x {found.height} pixels, more than {recipe.faces.max_pixels} (faces.max_pixels)"
            rejects.append(Reject("analyse", photo.source, photo.uri, "too_many_pixels", message))
        elif found.code:
            rejects.append(Reject("analyse", photo.source, photo.uri, found.code, found.message))
        elif (first := first_with.setdefault(found.sha256, photo)) is not photo:
            message = f"the same bytes as {first.photo_id}, which is used"
            rejects.append(Reject("plan", photo.source, photo.uri, "duplicate_photo", message))
        else:
            faces, dropped = _select(recipe, photo, found)
            rejects += dropped
            if faces:
                chosen.append(_Chosen(photo, found, faces))
    groups = [(one.group, one.analysed.sha256, one.photo.split) for one in chosen]
    by_split: dict[str, list[PlannedFace]] = {}
    for one, split in zip(chosen, assign_splits(recipe.split, recipe.seed, groups), strict=True):
        if split is None:
            message = "the recipe divides by the source's split, and the source gives none for this photo"
            rejects.append(Reject("plan", one.photo.source, one.photo.uri, "no_split", message))
            continue
        by_split.setdefault(_plain(split), []).extend(_planned_faces(recipe, one, _plain(split)))
    sample_bytes = estimate_sample_bytes(recipe.align, recipe.output, masked=bool(recipe.masks))
    settings = _settings_digest(recipe)
    shards = [
        shard
        for split in sorted(by_split)
        for shard in _shards(recipe, split, by_split[split], sample_bytes, settings, mask_digests)
    ]
    rejects.sort(key=lambda reject: (reject.source, reject.uri, reject.key))
    return Plan(digest([shard.name for shard in shards]), tuple(shards), tuple(rejects), sample_bytes)


def _select(recipe: Recipe, photo: Photo, found: AnalysedPhoto) -> tuple[tuple[tuple[int, FaceRow], ...], list[Reject]]:
    """The faces of a photo that the recipe wants, and rejects for those too small."""
    faces = list(enumerate(found.faces))
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


def _distance_from_centre(face: FaceRow, photo: AnalysedPhoto) -> float:
    left, top, right, bottom = face.box
    return (left + right - photo.width) ** 2 + (top + bottom - photo.height) ** 2


def _plain(split: str) -> str:
    """A split's name as it can stand in a file name; two names that differ in more than case never become one."""
    lower = split.lower()
    plain = re.sub(r"[^a-z0-9_]+", "_", lower).strip("_")[:SPLIT_LETTERS] or "unnamed"
    return plain if plain == lower else f"{plain}_{digest(lower)[:6]}"


def _planned_faces(recipe: Recipe, one: _Chosen, split: str) -> list[PlannedFace]:
    photo, found = one.photo, one.analysed
    place = position(one.group, found.sha256)
    planned = []
    for number, face in one.faces:
        # In a photo of several people, the source's name fits one of them at most: which one, nobody knows.
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
                masks=_draw_masks(recipe, found.sha256, number),
                place=place,
            )
        )
    return planned


def _draw_masks(recipe: Recipe, photo_sha256: str, face: int) -> tuple[int, ...]:
    """Which mask each variant of a face gets, by the recipe's weights."""
    if not recipe.masks:
        return ()
    total = sum(mask.weight for mask in recipe.masks)
    drawn = []
    for variant in range(recipe.per_face):
        left = generator(recipe.seed, sample_key(photo_sha256, face, variant), "choose_mask").random() * total
        number = 0
        while number < len(recipe.masks) - 1 and left >= recipe.masks[number].weight:
            left -= recipe.masks[number].weight
            number += 1
        drawn.append(number)
    return tuple(drawn)


def estimate_sample_bytes(align: Align, output: Output, *, masked: bool) -> int:
    """Rough size of one sample in a shard, tar headers included, from the recipe alone."""
    width, height = align.width_height
    per_pixel = {"jpg": 0.15 + 0.004 * max(0, output.quality - 70), "png": 1.8, "webp": 1.3}[output.image]
    pictures = 2 if masked else 1
    members = pictures + 2 + (1 + output.alpha if masked else 0)
    masks = (0.03 + 0.12 * output.alpha) * masked
    return int(width * height * (pictures * per_pixel + masks) + 700 + 1500 + 770 * members)


def _settings_digest(recipe: Recipe) -> str:
    """Digest of what decides the bytes of every sample, beside its face and its mask."""
    output = recipe.output.model_dump(mode="json", exclude={"shards"})
    return digest(RENDERER, recipe.seed, recipe.faces.assume, recipe.align.model_dump(mode="json"), output)


def _shards(
    recipe: Recipe,
    split: str,
    faces: list[PlannedFace],
    sample_bytes: int,
    settings: str,
    mask_digests: Sequence[str],
) -> list[Shard]:
    faces.sort(key=lambda face: (face.place, face.photo_sha256, face.face))
    places = [face.place for face in faces]
    samples = [face.samples for face in faces]
    limit = max(1, min(recipe.output.shards.samples, recipe.output.shards.bytes // sample_bytes))
    # One number that passes PART_SAMPLES when either limit of a part is passed: what a face weighs, and its photo.
    begins = [True, *(one.photo_sha256 != other.photo_sha256 for one, other in pairwise(faces))]
    load = [max(PART_SAMPLES // PART_PHOTOS * first, face.samples) for face, first in zip(faces, begins, strict=True)]
    shards = []
    for leaf in leaves(places, samples, limit, bits=POSITION_BITS):
        inside = slice(leaf.start, leaf.stop)
        root = Leaf(0, leaf.stop - leaf.start, leaf.prefix, leaf.length)
        parts = tuple(
            _part(faces[leaf.start + part.start : leaf.start + part.stop], settings, mask_digests)
            for part in leaves(places[inside], load[inside], PART_SAMPLES, bits=POSITION_BITS, root=root)
        )
        shards.append(_shard(split, leaf, parts))
    return shards


def _shard(split: str, leaf: Leaf, parts: tuple[Part, ...]) -> Shard:
    return Shard(split, prefix_name(leaf.prefix, leaf.length), digest([part.digest for part in parts])[:12], parts)


def _part(faces: list[PlannedFace], settings: str, mask_digests: Sequence[str]) -> Part:
    rows = [
        [
            *(face.source, face.uri, face.photo_sha256, face.face, face.identity, face.split),
            *(face.licence, face.consent, face.attributes),
            *(face.width, face.height, face.landmarks.hex(), face.box),
            [mask_digests[number] for number in face.masks],
        ]
        for face in faces
    ]
    return Part(digest(settings, rows)[:24], tuple(faces))
