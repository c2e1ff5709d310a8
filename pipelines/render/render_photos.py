"""Render: from planned faces to finished samples. Pure but for the clock; reads and writes no files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from faceloom.pipelines.render.features import BATCH, Extractor
from faceloom.pipelines.render.sample import Paint, Painting, Sample, Shown, Unpainted, finish, show
from faceloom.pipelines.run.stopwatch import Stopwatch
from faceloom.schemas.errors import FaceloomError, PhotoError
from faceloom.schemas.guide import Guide
from faceloom.schemas.keys import seed_of, variant_key
from faceloom.schemas.labels import LabelFiles
from faceloom.schemas.photos import Reject
from faceloom.schemas.plan import PlannedFace
from faceloom.schemas.recipe import Recipe
from faceloom.transforms.align import crop_reduction
from faceloom.transforms.decode import decode_rgb
from faceloom.transforms.guide.guide_mask import needed_parts
from faceloom.transforms.guide.label_map import LabelMap, decode_labels
from faceloom.transforms.sample.crops import bare_crop
from faceloom.transforms.sample.morphing import morph_working
from faceloom.transforms.sample.products import Files, face_files
from faceloom.transforms.sample.working import Working, crop_matrix, cut_working

BATCH_BYTES = 100_000_000
"""Pictures that wait for a network take this much memory at most, and one picture more."""


class Painter(Protocol):
    """Paints the masks of a recipe."""

    @property
    def batch(self) -> int:
        """Faces that are best prepared together."""

    def prepare(self, wanted: Sequence[Unpainted]) -> list[Paint]:
        """For each picture, the function that paints it. What can be computed for many at once is computed here."""


@dataclass(frozen=True, slots=True)
class PhotoToRender:
    """One photo, read.

    Attributes:
        data: its bytes.
        faces: its planned faces.
        labels: what its source says about parts of the face, if the recipe needs that and the source has it.
        others: bytes of the photos that its faces are mixed with, by the other face's key.
    """

    data: bytes
    faces: Sequence[PlannedFace]
    labels: LabelFiles | None = None
    others: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Tools:
    """What rendering a recipe needs beside the recipe, loaded once per process.

    Attributes:
        painter: paints the masks.
        real_heights: those that `lowres.sizes_from` names.
        extractor: the network that `output.features` names.
    """

    painter: Painter
    real_heights: tuple[int, ...] = ()
    extractor: Extractor | None = None

    @property
    def batch(self) -> int:
        """Faces that are best rendered together."""
        return max(self.painter.batch, BATCH if self.extractor else 1)


@dataclass(frozen=True, slots=True)
class _Ready:
    """One planned face with its working picture, or with what kept it from having one."""

    face: PlannedFace
    working: Working | Exception
    labels: LabelMap | None = None

    @property
    def keys(self) -> list[str]:
        """Of its samples."""
        return [variant_key(self.face.key, variant) for variant in range(self.face.samples)]

    @property
    def weight(self) -> int:
        """Bytes that it keeps: the whole decoded photo, of which the working picture is a part."""
        if isinstance(self.working, Exception):
            return 0
        image = self.working.image
        return image.nbytes if image.base is None else max(image.nbytes, getattr(image.base, "nbytes", 0))


@dataclass(frozen=True, slots=True)
class _Draft:
    """A sample before it is written down, or what kept it from being one."""

    key: str
    face: PlannedFace
    shown: Shown | Exception
    shared: Files | None = None


def render_photos(
    photos: Iterable[PhotoToRender], recipe: Recipe, tools: Tools, watch: Stopwatch
) -> Iterator[tuple[PlannedFace, Sample | Reject]]:
    """Make all samples of some photos, decoding each photo once.

    Args:
        photos: in the order in which their samples shall come.
        recipe: says how.
        tools: for this recipe.
        watch: counts the time of each stage.

    Yields:
        As many samples or rejects per face as were planned, in the order of their keys. What goes wrong on one photo
        or sample is a reject, `failed` if it was not foreseen.
    """
    batch: list[_Ready] = []
    for photo in photos:
        for ready in _ready(photo, recipe, watch):
            batch.append(ready)
            if len(batch) >= tools.batch or sum(one.weight for one in batch) > BATCH_BYTES:
                yield from _render_batch(batch, recipe, tools, watch)
                batch = []
    yield from _render_batch(batch, recipe, tools, watch)


def _ready(photo: PhotoToRender, recipe: Recipe, watch: Stopwatch) -> Iterator[_Ready]:
    """Decode a photo at the smallest scale that serves all its faces, and cut out what each of them needs, in turn."""
    try:
        matrices = [crop_matrix(recipe, face) for face in photo.faces]
        reduction = min(crop_reduction(matrix) for matrix in matrices)
        with watch.time("decode"):
            picture = decode_rgb(photo.data, reduction=reduction, max_pixels=recipe.faces.max_pixels)
            labels = _labels(photo.labels, recipe.guide)
    except Exception as error:  # analysis aligned otherwise, and decoded in grey
        yield from (_Ready(face, error) for face in photo.faces)
        return
    for face, matrix in zip(photo.faces, matrices, strict=True):
        try:
            with watch.time("align"):
                working = cut_working(picture, face, matrix, reduction, recipe)
            if face.morph is not None:
                with watch.time("morph"):
                    working = morph_working(working, face, photo.others[face.morph.other.key], recipe)
        except Exception as error:
            yield _Ready(face, error)
        else:
            yield _Ready(face, working, labels)


def _labels(files: LabelFiles | None, guide: Guide | None) -> LabelMap | None:
    return None if files is None or guide is None else decode_labels(files, needed_parts(guide))


def _render_batch(
    batch: Sequence[_Ready], recipe: Recipe, tools: Tools, watch: Stopwatch
) -> Iterator[tuple[PlannedFace, Sample | Reject]]:
    wanted = {
        key: Unpainted(ready.working, recipe.masks[number], seed_of(recipe.seed, key, "paint"))
        for ready in batch
        if isinstance(ready.working, Working)
        for key, number in zip(ready.keys, ready.face.masks, strict=False)
    }
    with watch.time("paint"):
        paints = tools.painter.prepare(list(wanted.values()))
    paintings = {key: Painting(one, paint) for (key, one), paint in zip(wanted.items(), paints, strict=True)}
    drafts = [draft for ready in batch for draft in _drafts(ready, paintings, recipe, watch)]
    seen = {}
    if tools.extractor is not None:
        with watch.time("features"):
            shown = {_seen_as(d, recipe): d.shown.crops.face for d in drafts if isinstance(d.shown, Shown)}
            seen = dict(zip(shown, tools.extractor.extract(list(shown.values())), strict=True))
    for draft in drafts:
        try:
            if isinstance(draft.shown, Exception):
                raise draft.shown
            features = seen.get(_seen_as(draft, recipe))
            yield (
                draft.face,
                finish(draft.key, draft.face, draft.shown, draft.shared, features, recipe, tools.real_heights, watch),
            )
        except Exception as error:
            yield draft.face, _reject(draft.face, draft.key, error)


def _seen_as(draft: _Draft, recipe: Recipe) -> str:
    """Which picture the features of a sample are of: without augmentation, all samples of a face show the same."""
    return draft.key if recipe.augment else draft.face.key


def _drafts(ready: _Ready, paintings: Mapping[str, Painting], recipe: Recipe, watch: Stopwatch) -> Iterator[_Draft]:
    """What each sample of a face will show. Without augmentation all of them share the files of the bare face."""
    face, working = ready.face, ready.working
    try:
        if isinstance(working, Exception):
            raise working
        with watch.time("align"):
            bare = bare_crop(working, recipe, ready.labels)
        with watch.time("encode"):
            shared = None if recipe.augment else face_files(bare.crops, recipe)
    except Exception as error:
        yield from (_Draft(key, face, error) for key in ready.keys)
        return
    for key in ready.keys:
        try:
            yield _Draft(key, face, show(key, face, working, bare, paintings.get(key), recipe, watch), shared)
        except Exception as error:
            yield _Draft(key, face, error)


def _reject(face: PlannedFace, key: str, error: Exception) -> Reject:
    """The row of a sample that could not be made; trouble that nobody foresaw is no reason to end a build either."""
    if isinstance(error, PhotoError):
        return Reject("render", face.source, face.uri, error.code, str(error), key)
    if isinstance(error, FaceloomError):  # not about this photo
        raise error
    return Reject("render", face.source, face.uri, "failed", f"{type(error).__name__}: {error}", key)
