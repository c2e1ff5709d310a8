"""Render photos: from planned faces to finished samples. Reads and writes no files."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import numpy.typing as npt

from faceloom.pipelines.render.frames import render_frames
from faceloom.pipelines.render.mask_painter import MaskRequest
from faceloom.pipelines.render.pairs import decode_partner
from faceloom.pipelines.render.resources import RenderResources
from faceloom.pipelines.render.sample import Sample, SampleContent, compose_sample, encode_sample
from faceloom.pipelines.run.stopwatch import Stopwatch
from faceloom.pipelines.run.unforeseen import naming
from faceloom.schemas.errors import PhotoError
from faceloom.schemas.keys import seed_of
from faceloom.schemas.labels import PAIR, LabelFiles
from faceloom.schemas.photos import Reject
from faceloom.schemas.plan import PlannedFace
from faceloom.schemas.recipe import Recipe
from faceloom.transforms.align import crop_reduction
from faceloom.transforms.decode import decode_rgb
from faceloom.transforms.guide.guide_mask import needed_parts
from faceloom.transforms.guide.label_map import LabelMap, check_proportions, decode_labels
from faceloom.transforms.masks.in_front import PARTS_IN_FRONT
from faceloom.transforms.masks.real import MaskedPhoto
from faceloom.transforms.mirror import mirrors_parts
from faceloom.transforms.sample.crops import bare_crop
from faceloom.transforms.sample.face_labels import parse_face, with_front
from faceloom.transforms.sample.morphing import morph_working
from faceloom.transforms.sample.products import Files, face_files
from faceloom.transforms.sample.working import Working, crop_matrix, cut_working
from faceloom.transforms.types import Matrix

BATCH_BYTES = 100_000_000
"""A batch of faces ends once its pictures take more memory than this."""


@dataclass(frozen=True, slots=True)
class PhotoToRender:
    """One photo, read.

    Attributes:
        data: its bytes.
        faces: its planned faces.
        labels: its label files, or the other files of its pair, if the recipe needs them and the source has them.
        others: bytes of the photos of the faces' neighbours, by the neighbour's key.
        skip: keys of planned samples that are not made.
    """

    data: bytes
    faces: Sequence[PlannedFace]
    labels: LabelFiles | None = None
    others: Mapping[str, bytes] = field(default_factory=dict)
    skip: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class _CutFace:
    """A planned face with its working picture, or with the fault of its photo.

    Attributes:
        masks: for each sample to make, the number of its mask in the recipe; None for a sample without a mask.
    """

    face: PlannedFace
    masks: Mapping[str, int | None]
    working: Working | PhotoError
    labels: LabelMap | None = None

    @property
    def memory(self) -> int:
        """Bytes that it keeps in memory: the whole decoded photo, because the working picture is a view of it."""
        if isinstance(self.working, PhotoError):
            return 0
        pair = self.working.pair
        images = [self.working.image, *((pair.image, pair.cover) if isinstance(pair, MaskedPhoto) else ())]
        return sum(max(one.nbytes, getattr(one.base, "nbytes", 0)) for one in images)


@dataclass(frozen=True, slots=True)
class _Composed:
    """The content of one planned sample, or the fault of its photo.

    Attributes:
        shared: encoded files of the bare face, if all samples of the face share them.
    """

    key: str
    face: PlannedFace
    content: SampleContent | PhotoError
    shared: Files | None = None


def render_photos(
    photos: Iterable[PhotoToRender], resources: RenderResources, watch: Stopwatch
) -> Iterator[Sample | Reject]:
    """Make the samples of some photos, decoding each photo once.

    Args:
        photos: in the order of the samples.
        resources: of the recipe.
        watch: adds up the time of each stage.

    Yields:
        For each face as many samples or rejects as planned, in the order of their keys, except those to skip. Only a
        PhotoError becomes a reject.

    Raises:
        WorkerError: any other error, with the name of the photo or sample on which it happened.
    """
    batch: list[_CutFace] = []
    for photo in photos:
        if resources.recipe.align.mode == "frame":
            yield from _render_frames(photo, resources, watch)
            continue
        for one in _cut_faces(photo, resources, watch):
            batch.append(one)
            if len(batch) >= resources.batch or sum(one.memory for one in batch) > BATCH_BYTES:
                yield from _render_batch(batch, resources, watch)
                batch = []
    yield from _render_batch(batch, resources, watch)


def _render_frames(photo: PhotoToRender, resources: RenderResources, watch: Stopwatch) -> Iterator[Sample | Reject]:
    """The samples of the frames of a photo."""
    try:
        labels = _decode_labels(photo, resources.recipe)
    except PhotoError as error:
        yield from (_reject(face, key, error) for face in photo.faces for key in _masks(face, photo.skip))
        return
    for face in photo.faces:
        with naming(_name(face)):
            prepare = partial(_front, labels=labels, resources=resources)
            yield from render_frames(photo.data, face, photo.labels, photo.skip, resources, watch, prepare)


def _front(working: Working, labels: LabelMap | None, resources: RenderResources) -> Working:
    return _labelled(working, labels, resources)[0]


def _cut_faces(photo: PhotoToRender, resources: RenderResources, watch: Stopwatch) -> Iterator[_CutFace]:
    """Decode a photo at the smallest scale that serves all its faces, and cut the working picture of each."""
    recipe, name = resources.recipe, _name(photo.faces[0])
    matrices: list[Matrix | PhotoError] = []
    for face in photo.faces:
        try:
            with naming(name):
                matrices.append(crop_matrix(recipe, face))
        except PhotoError as error:
            matrices.append(error)
    reductions = [crop_reduction(matrix) for matrix in matrices if not isinstance(matrix, PhotoError)]
    if not reductions:
        for face, matrix in zip(photo.faces, matrices, strict=True):
            assert isinstance(matrix, PhotoError)
            yield _CutFace(face, _masks(face, photo.skip), matrix)
        return
    reduction = min(reductions)
    try:
        with naming(name), watch.time("decode"):
            picture = decode_rgb(photo.data, reduction=reduction, max_pixels=recipe.faces.max_pixels)
            labels = _decode_labels(photo, recipe)
            pair = decode_partner(photo.labels, photo.faces, picture, reduction, recipe)
    except PhotoError as error:  # analysis read the photo in grey and cut no crop, so this is possible
        yield from (_CutFace(face, _masks(face, photo.skip), error) for face in photo.faces)
        return
    for face, matrix in zip(photo.faces, matrices, strict=True):
        try:
            if isinstance(matrix, PhotoError):
                raise matrix
            with naming(name):
                with watch.time("align"):
                    working = cut_working(picture, face, matrix, reduction, recipe, pair)
                if face.morph is not None:
                    with watch.time("morph"):
                        working = morph_working(working, face, photo.others[face.morph.other.key], recipe)
                with watch.time("labels"):
                    working, found = _labelled(working, labels, resources)
        except PhotoError as error:
            yield _CutFace(face, _masks(face, photo.skip), error)
        else:
            yield _CutFace(face, _masks(face, photo.skip), working, found)


def _labelled(working: Working, labels: LabelMap | None, resources: RenderResources) -> tuple[Working, LabelMap | None]:
    """A face with its labels, which the parser makes where there are none, and what they show in front of it."""
    recipe = resources.recipe
    if labels is None and resources.parser is not None and not working.whole:
        labels = parse_face(working, resources.parser)
    if labels is not None and (recipe.layers_masks or recipe.faces.occluded == "reject"):
        working = with_front(working, labels, recipe)
    return working, labels


def _masks(face: PlannedFace, skip: frozenset[str]) -> dict[str, int | None]:
    numbers = face.masks or (None,)
    return {key: number for key, number in zip(face.sample_keys, numbers, strict=True) if key not in skip}


def _decode_labels(photo: PhotoToRender, recipe: Recipe) -> LabelMap | None:
    """The labels of a photo; None without any, or if they cannot be used and the recipe does not require them."""
    if photo.labels is None or photo.labels.order == PAIR or not recipe.needs_labels:
        return None
    wanted = set(needed_parts(recipe.guide, both_sides=mirrors_parts(recipe))) if recipe.guide else set()
    if recipe.layers_masks or recipe.faces.occluded == "reject":
        wanted.update(PARTS_IN_FRONT)
    if recipe.requires_labels:
        return decode_labels(photo.labels, wanted)
    with contextlib.suppress(PhotoError):
        labels = decode_labels(photo.labels, wanted)
        check_proportions(labels.bits, (photo.faces[0].width, photo.faces[0].height))
        return labels
    return None


def _render_batch(batch: Sequence[_CutFace], resources: RenderResources, watch: Stopwatch) -> Iterator[Sample | Reject]:
    requests = _predict(batch, resources, watch)
    composed = [one for cut in batch for one in _compose(cut, requests, resources, watch)]
    features = _extract(composed, resources, watch)
    for one in composed:
        if isinstance(one.content, PhotoError):
            yield _reject(one.face, one.key, one.content)
            continue
        found = features.get(_features_key(one, resources))
        try:
            with naming(_name(one.face, one.key)):
                sample = encode_sample(one.content, one.shared, found, resources, watch)
        except PhotoError as error:
            yield _reject(one.face, one.key, error)
        else:
            yield sample


def _predict(batch: Sequence[_CutFace], resources: RenderResources, watch: Stopwatch) -> dict[str, MaskRequest]:
    """The mask requests of a batch by sample key, with what networks predict."""
    recipe = resources.recipe
    requests = {
        key: MaskRequest(cut.working, recipe.masks[number], seed_of(recipe.seed, key, "paint"))
        for cut in batch
        if isinstance(cut.working, Working)
        for key, number in cut.masks.items()
        if number is not None
    }
    with watch.time("paint"), naming(_names([cut.face for cut in batch])):
        return dict(zip(requests, resources.painter.predict(list(requests.values())), strict=True))


def _compose(
    cut: _CutFace, requests: Mapping[str, MaskRequest], resources: RenderResources, watch: Stopwatch
) -> Iterator[_Composed]:
    """Compose the samples of a face. Without augmentation all of them share the files of the bare face."""
    recipe, face, working = resources.recipe, cut.face, cut.working
    try:
        if isinstance(working, PhotoError):
            raise working
        with naming(_name(face)):
            with watch.time("align"):
                bare = bare_crop(working, recipe, cut.labels)
            with watch.time("encode"):
                shared = None if recipe.augment else face_files(bare.crops, recipe)
    except PhotoError as error:
        yield from (_Composed(key, face, error) for key in cut.masks)
        return
    for key in cut.masks:
        try:
            with naming(_name(face, key)):
                content = compose_sample(key, face, bare, working, requests.get(key), resources, watch)
        except PhotoError as error:
            yield _Composed(key, face, error)
        else:
            yield _Composed(key, face, content, shared)


def _extract(
    composed: Sequence[_Composed], resources: RenderResources, watch: Stopwatch
) -> dict[str, npt.NDArray[np.float32]]:
    """Features of all samples, by `_features_key`; empty if the recipe has no feature network."""
    if resources.extractor is None:
        return {}
    with watch.time("features"), naming(_names([one.face for one in composed])):
        crops = {
            _features_key(one, resources): one.content.crops
            for one in composed
            if isinstance(one.content, SampleContent)
        }
        faces, landmarks = [one.face for one in crops.values()], [one.landmarks for one in crops.values()]
        return dict(zip(crops, resources.extractor.extract(faces, landmarks), strict=True))


def _features_key(one: _Composed, resources: RenderResources) -> str:
    """Without augmentation all samples of a face show the same face, so its features are computed once."""
    return one.key if resources.recipe.augment else one.face.key


def _reject(face: PlannedFace, key: str, error: PhotoError) -> Reject:
    return Reject("render", face.source, face.uri, error.code, str(error), key)


def _name(face: PlannedFace, key: str = "") -> str:
    """The photo of a face, and the key of a sample of it, for errors."""
    return f"{face.source}/{face.uri}" + (f", sample {key}" if key else "")


def _names(faces: Sequence[PlannedFace]) -> str:
    """The photos that a network works on together, for errors."""
    names = list(dict.fromkeys(_name(face) for face in faces))
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
