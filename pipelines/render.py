"""Render: from planned faces to finished samples. Pure but for the clock; reads and writes no files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from pydantic import JsonValue

from faceloom.pipelines.crops import COVERED, BareCrop, Crops, bare_crop, masked_crops
from faceloom.pipelines.encode import encode, json_bytes, npy
from faceloom.pipelines.stopwatch import Stopwatch
from faceloom.pipelines.working import Working, crop_matrix, cut_working
from faceloom.schemas.errors import FaceloomError, PhotoError
from faceloom.schemas.keys import sample_key, seed_of
from faceloom.schemas.masks import Mask
from faceloom.schemas.photos import Reject
from faceloom.schemas.plan import PlannedFace
from faceloom.schemas.recipe import Recipe
from faceloom.schemas.versions import RENDERER
from faceloom.transforms.align import crop_reduction
from faceloom.transforms.decode import decode_rgb
from faceloom.transforms.masks.painted import PaintedMask


@dataclass(frozen=True, slots=True)
class Unpainted:
    """A working picture that is to get a mask.

    Attributes:
        working: picture, landmarks and face box.
        mask: which mask.
        seed: of all that is drawn while painting.
    """

    working: Working
    mask: Mask
    seed: int


Paint = Callable[[], PaintedMask]


class Painter(Protocol):
    """Paints the masks of a recipe."""

    @property
    def batch(self) -> int:
        """Faces that are best prepared together."""

    def prepare(self, wanted: Sequence[Unpainted]) -> list[Paint]:
        """For each picture, the function that paints it. What can be computed for many at once is computed here."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One finished sample: its files in the order in which they stand in the tar, and what the index says of it."""

    key: str
    files: tuple[tuple[str, bytes], ...]
    mask: str
    operations: str


@dataclass(frozen=True, slots=True)
class _Painting:
    """One mask on one picture, prepared."""

    unpainted: Unpainted
    paint: Paint


@dataclass(frozen=True, slots=True)
class _Ready:
    """One planned face with its working picture, or with what kept it from having one."""

    face: PlannedFace
    working: Working | Exception

    @property
    def keys(self) -> list[str]:
        """Of its samples."""
        return [sample_key(self.face.photo_sha256, self.face.face, variant) for variant in range(self.face.samples)]


def render_photos(
    photos: Iterable[tuple[bytes, Sequence[PlannedFace]]], recipe: Recipe, painter: Painter, watch: Stopwatch
) -> Iterator[tuple[PlannedFace, Sample | Reject]]:
    """Make all samples of some photos, decoding each photo once.

    Args:
        photos: the bytes of each photo, and its planned faces.
        recipe: says how.
        painter: paints the masks.
        watch: counts the time of each stage.

    Yields:
        As many samples or rejects per face as were planned, in the order of their keys. What goes wrong on one photo
        or sample is a reject, `failed` if it was not foreseen.
    """
    batch: list[_Ready] = []
    for data, faces in photos:
        batch += _ready(data, faces, recipe, watch)
        if len(batch) >= painter.batch:
            yield from _render_batch(batch, recipe, painter, watch)
            batch = []
    yield from _render_batch(batch, recipe, painter, watch)


def _ready(data: bytes, faces: Sequence[PlannedFace], recipe: Recipe, watch: Stopwatch) -> list[_Ready]:
    """Decode a photo at the smallest scale that serves all its faces, and cut out what each of them needs."""
    try:
        matrices = [crop_matrix(recipe, face) for face in faces]
        reduction = min(crop_reduction(matrix) for matrix in matrices)
        with watch.time("decode"):
            photo = decode_rgb(data, reduction=reduction, max_pixels=recipe.faces.max_pixels)
    except Exception as error:  # analysis aligned otherwise, and decoded in grey
        return [_Ready(face, error) for face in faces]
    ready = []
    for face, matrix in zip(faces, matrices, strict=True):
        try:
            with watch.time("align"):
                ready.append(_Ready(face, cut_working(photo, face, matrix, reduction, recipe)))
        except Exception as error:
            ready.append(_Ready(face, error))
    return ready


def _render_batch(
    batch: Sequence[_Ready], recipe: Recipe, painter: Painter, watch: Stopwatch
) -> Iterator[tuple[PlannedFace, Sample | Reject]]:
    wanted = {
        key: Unpainted(ready.working, recipe.masks[number], seed_of(recipe.seed, key, "paint"))
        for ready in batch
        if isinstance(ready.working, Working)
        for key, number in zip(ready.keys, ready.face.masks, strict=False)
    }
    with watch.time("paint"):
        paints = painter.prepare(list(wanted.values()))
    painting = {
        key: _Painting(unpainted, paint) for (key, unpainted), paint in zip(wanted.items(), paints, strict=True)
    }
    for ready in batch:
        for key, result in _render_face(ready, painting, recipe, watch):
            yield ready.face, (result if isinstance(result, Sample) else _reject(ready.face, key, result))


def _render_face(
    ready: _Ready, painting: Mapping[str, _Painting], recipe: Recipe, watch: Stopwatch
) -> Iterator[tuple[str, Sample | Exception]]:
    try:
        if isinstance(ready.working, Exception):
            raise ready.working
        with watch.time("align"):
            bare = bare_crop(ready.working, recipe)
        with watch.time("encode"):
            shared = _shared_files(bare, ready.working, recipe)
    except Exception as error:
        yield from ((key, error) for key in ready.keys)
        return
    for key in ready.keys:
        try:
            yield key, _sample(key, ready.face, ready.working, bare, shared, painting.get(key), recipe, watch)
        except Exception as error:
            yield key, error


def _sample(
    key: str,
    face: PlannedFace,
    working: Working,
    bare: BareCrop,
    shared: Sequence[tuple[str, bytes]],
    painting: _Painting | None,
    recipe: Recipe,
    watch: Stopwatch,
) -> Sample:
    operations: list[JsonValue] = [working.alignment]
    files, label = list(shared), ""
    if painting is not None:
        label = painting.unpainted.mask.label
        with watch.time("paint"):
            painted = painting.paint()
        with watch.time("align"):
            crops = masked_crops(bare, working, painted, recipe)
        _refuse_unmasked(crops, key, label)
        with watch.time("encode"):
            files += _mask_files(crops, recipe)
        operations.insert(0, {"name": "mask", "mask": label, "seed": painting.unpainted.seed, **painted.parameters})
    with watch.time("encode"):
        files.append(("json", json_bytes(_record(key, face, label, operations))))
        files.sort()
    return Sample(key, tuple(files), label, json_bytes(operations).decode())


def _reject(face: PlannedFace, key: str, error: Exception) -> Reject:
    """The row of a sample that could not be made; trouble that nobody foresaw is no reason to end a build either."""
    if isinstance(error, PhotoError):
        return Reject("render", face.source, face.uri, error.code, str(error), key)
    if isinstance(error, FaceloomError):  # not about this photo
        raise error
    return Reject("render", face.source, face.uri, "failed", f"{type(error).__name__}: {error}", key)


def _refuse_unmasked(crops: Crops, key: str, label: str) -> None:
    if crops.alpha is None or crops.alpha.max() < COVERED:
        raise PhotoError(
            "mask_outside_crop", "no pixel of the mask lies in the crop", where=key, value=label,
            remedy="Use a larger or looser crop, or another way of wearing",
        )  # fmt: skip


def _shared_files(bare: BareCrop, working: Working, recipe: Recipe) -> list[tuple[str, bytes]]:
    output = recipe.output
    files = [(f"face.{output.image}", encode(bare.face, output.image, output.quality))]
    if working.landmarks_crop is not None:
        files.append(("landmarks.npy", npy(working.landmarks_crop)))
    return files


def _mask_files(crops: Crops, recipe: Recipe) -> list[tuple[str, bytes]]:
    assert crops.masked is not None and crops.alpha is not None
    output = recipe.output
    files = [
        (f"masked.{output.image}", encode(crops.masked, output.image, output.quality)),
        (f"mask.{output.mask}", encode(crops.mask, output.mask)),
    ]
    if output.alpha:
        files.append((f"alpha.{output.mask}", encode(np.round(crops.alpha * 255).astype(np.uint8), output.mask)))
    return files


def _record(key: str, face: PlannedFace, label: str, operations: list[JsonValue]) -> dict[str, Any]:
    return {
        "key": key,
        "identity": face.identity,
        "split": face.split,
        "mask": label or None,
        "source": {"name": face.source, "uri": face.uri, "sha256": face.photo_sha256, "face": face.face},
        "face_box": [round(value, 2) for value in face.box],
        "attributes": dict(face.attributes),
        "licence": face.licence,
        "consent": face.consent,
        "parents": [],
        "operations": operations,
        "renderer": RENDERER,
    }
