"""Textures: the pictures that the distance of two faces compares, stored in blocks during the neighbour search."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from faceloom.pipelines.analyse.verified_photos import bad_photos, read_unchanged
from faceloom.pipelines.context import Context
from faceloom.pipelines.run.progress import tick
from faceloom.pipelines.run.stopwatch import Stopwatch
from faceloom.pipelines.run.unforeseen import naming
from faceloom.pipelines.sources.source import expect
from faceloom.pipelines.store.array_files import check_array, read_arrays, whole, write_arrays
from faceloom.pipelines.store.failures import note_failure
from faceloom.pipelines.store.paths import planned_faces, texture_block, texture_facts
from faceloom.pipelines.store.planned_rows import read_planned, write_planned
from faceloom.pipelines.store.storage import REPAIR, Storage
from faceloom.schemas.column_types import adapter
from faceloom.schemas.errors import PhotoError, StorageError
from faceloom.schemas.json_text import parse_json
from faceloom.schemas.keys import digest
from faceloom.schemas.morph import Morph
from faceloom.schemas.plan import PlannedFace
from faceloom.schemas.recipe import Recipe
from faceloom.schemas.versions import RENDERER
from faceloom.transforms.align import crop_reduction, from_reduced, warp_image
from faceloom.transforms.decode import decode_rgb
from faceloom.transforms.geometry import apply_affine
from faceloom.transforms.neighbours.faces import Faces
from faceloom.transforms.neighbours.sketch import sketch
from faceloom.transforms.sample.working import crop_matrix, landmarks_of
from faceloom.transforms.texture import mean_shape, mean_shape_texture

BLOCK = 100
"""Faces per block: one task makes their textures."""
_MOST_FACTS_BYTES = 2**26
"""A face has 15 kB of facts at most."""
_MOST_SIDE = 4096


@dataclass(frozen=True, slots=True)
class TextureTask:
    """A block of faces; their plan rows lie under `work/`.

    Attributes:
        name: of the block: digest of everything that its textures depend on.
        faces: number of faces.
        mean: mean landmarks of the split, float32 (68, 2) as bytes, for `texture: mean_shape`; otherwise empty.
    """

    name: str
    faces: int
    mean: bytes


@dataclass(frozen=True, eq=False)
class StoredTextures:
    """Textures on disk. Each is read when it is indexed.

    Not memory maps: each map keeps a file open, and a large set has thousands of blocks.

    Attributes:
        rows: for each texture its file and its number in that file.
        side: of the square pictures, in pixels.
    """

    rows: Sequence[tuple[Path, int]]
    side: int

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Shape of all textures as one array: (N, S, S, 3)."""
        return len(self.rows), self.side, self.side, 3

    def __getitem__(self, at: Any) -> Any:
        """One texture, uint8 (S, S, 3), RGB; for a slice, `StoredTextures` of that slice."""
        return (
            StoredTextures(self.rows[at], self.side) if isinstance(at, slice) else _read_row(*self.rows[at], self.side)
        )


@lru_cache(maxsize=8)  # a search compares one query with many faces in turn
def _read_row(path: Path, number: int, side: int) -> npt.NDArray[np.uint8]:
    size = side * side * 3
    return np.fromfile(path, np.uint8, size, offset=number * size).reshape(side, side, 3)


def has_textures(storage: Storage, block: str) -> bool:
    """Whether the textures of a block are finished."""
    there = storage.exists(texture_facts(block)) and storage.exists(texture_block(block))
    return there and _is_readable(storage, block)


def texture_recipe(recipe: Recipe, morph: Morph) -> Recipe:
    """The recipe with the alignment of textures: that of the samples, in the size of a texture."""
    return recipe.model_copy(update={"align": recipe.align.model_copy(update={"size": morph.texture_size})})


def write_blocks(storage: Storage, recipe: Recipe, morph: Morph, faces: Sequence[PlannedFace]) -> list[TextureTask]:
    """Write the plan rows of one split's faces in blocks. Returns a task for each block, in the order of the faces."""
    crop_recipe = texture_recipe(recipe, morph)
    mean = b""
    if morph.texture == "mean_shape":
        mean = mean_shape(_crop_landmarks(crop_recipe, faces)).tobytes()
    settings = RENDERER, crop_recipe.align.model_dump(mode="json"), recipe.faces.assume, morph.texture, mean.hex()
    tasks = []
    for start in range(0, len(faces), BLOCK):
        block = faces[start : start + BLOCK]
        task = TextureTask(digest(settings, face_facts(block))[:24], len(block), mean)
        write_planned(storage, planned_faces(task.name), block)
        tasks.append(task)
    return tasks


def _crop_landmarks(crop_recipe: Recipe, faces: Sequence[PlannedFace]) -> Iterator[npt.NDArray[np.floating]]:
    """Landmarks of each face in its crop, except of faces that cannot be aligned; their textures fail later."""
    for face in faces:
        with suppress(PhotoError):
            yield apply_affine(crop_matrix(crop_recipe, face), _landmarks(face))


def face_facts(faces: Sequence[PlannedFace]) -> list[list[Any]]:
    """The fields of each face that its neighbours depend on, as JSON values."""
    return [
        [face.key, face.photo_sha256, face.identity, face.landmarks.hex(), face.box, face.width, face.height]
        for face in faces
    ]


def make_textures(task: TextureTask, context: Context) -> dict[str, float]:
    """Make the textures of a block. A face whose texture cannot be made is stored in `failed`, with the reason.

    If a photo changed or vanished since it was analysed, the block fails: a failure note is written and no texture.

    Returns:
        Seconds by stage.

    Raises:
        WorkerError: anything unforeseen, on a photo that it names; the block is not finished.
    """
    storage, watch, recipe = context.storage, Stopwatch(), context.recipe
    morph = recipe.morph
    assert morph is not None
    if has_textures(storage, task.name):
        return {}
    crop_recipe = texture_recipe(recipe, morph)
    side = morph.texture_size
    sketches = [sketch(np.zeros((0, side, side, 3), np.uint8))]
    landmarks, names, failed = [], [], {}
    faces = read_planned(storage, planned_faces(task.name))
    for source in dict.fromkeys(face.source for face in faces):
        expect(context.source(source), [face.uri for face in faces if face.source == source])
    try:
        with storage.write(texture_block(task.name)) as stream:
            for face in faces:
                tick()
                with naming(f"{face.source}/{face.uri}"):
                    with watch.time("read"):
                        data = read_unchanged(context, face.source, face.uri, face.photo_sha256)
                    try:
                        texture, points = _texture(data, face, crop_recipe, task.mean, watch)
                    except PhotoError as error:
                        failed[face.key] = [error.code, str(error)]
                        continue
                    with watch.time("sketch"):
                        sketches.append(sketch(texture[None]))
                with watch.time("write"):
                    stream.write(np.ascontiguousarray(texture).data)
                landmarks.append(points)
                names.append([face.key, face.photo_sha256, face.identity])
    except PhotoError as error:
        note_failure(storage, task.name, bad_photos(context, faces) or {error.where: error.what})
        return dict(watch.seconds)
    facts: dict[str, Any] = {
        "side": np.int64(side),
        "landmarks": np.array(landmarks, np.float32).reshape(-1, 68, 2),
        "sketches": np.concatenate(sketches),
        "names": _json_array(names),
        "failed": _json_array(failed),
    }
    with watch.time("write"):
        write_arrays(storage, texture_facts(task.name), facts)
    return dict(watch.seconds)


def _texture(
    data: bytes, face: PlannedFace, crop_recipe: Recipe, mean: bytes, watch: Stopwatch
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
    matrix = crop_matrix(crop_recipe, face)
    reduction = crop_reduction(matrix)
    with watch.time("decode"):
        photo = decode_rgb(data, reduction=reduction, max_pixels=crop_recipe.faces.max_pixels)
    with watch.time("align"):
        align = crop_recipe.align
        crop = warp_image(photo, from_reduced(matrix, reduction), align.width_height, border=align.border)
        points = apply_affine(matrix, _landmarks(face)).astype(np.float32)
        if mean:
            crop = mean_shape_texture(crop, points, np.frombuffer(mean, np.float32).reshape(68, 2))
    return crop, points


def _landmarks(face: PlannedFace) -> npt.NDArray[np.float32]:
    landmarks = landmarks_of(face)
    assert landmarks is not None, "only faces with landmarks are morphed"
    return landmarks


def open_block(storage: Storage, block: str) -> Faces:
    """Open a block for the neighbour search. Its textures stay on disk."""
    facts = _facts(storage, block)
    keys, photos, identities = ([row[column] for row in facts.names] for column in range(3))
    path = storage.fetch(texture_block(block))
    textures = StoredTextures([(path, number) for number in range(len(keys))], facts.side)
    return Faces(keys, photos, identities, facts.landmarks, textures, facts.sketches)


def join_blocks(blocks: Sequence[Faces]) -> Faces:
    """Join blocks of stored textures."""
    stored = [block.textures for block in blocks if isinstance(block.textures, StoredTextures)]
    return Faces(
        [key for block in blocks for key in block.keys],
        [photo for block in blocks for photo in block.photos],
        [identity for block in blocks for identity in block.identities],
        np.concatenate([block.landmarks for block in blocks]),
        StoredTextures([row for textures in stored for row in textures.rows], stored[0].side),
        np.concatenate([block.sketches for block in blocks]),
    )


def failed_faces(storage: Storage, block: str) -> dict[str, tuple[str, str]]:
    """Code and message of each face of a block that has no texture, by key."""
    return _facts(storage, block).failed


@dataclass(frozen=True, eq=False)
class _Facts:
    """What is stored with a block of N textures.

    Attributes:
        side: of the textures, in pixels.
        names: key, photo and identity of each face.
        failed: code and message of the faces without a texture, by key.
        landmarks: float32 (N, 68, 2).
        sketches: (N, D).
    """

    side: int
    names: list[tuple[str, str, str]]
    failed: dict[str, tuple[str, str]]
    landmarks: npt.NDArray[np.float32]
    sketches: npt.NDArray[Any]


def _facts(storage: Storage, block: str) -> _Facts:
    path = texture_facts(block)
    arrays = read_arrays(storage, path, _MOST_FACTS_BYTES)
    with whole(path):
        names, failed = (parse_json(arrays[name].tobytes(), _MOST_FACTS_BYTES) for name in ("names", "failed"))
        facts = _Facts(
            int(arrays["side"]),
            adapter(list[tuple[str, str, str]]).validate_python(names),
            adapter(dict[str, tuple[str, str]]).validate_python(failed),
            arrays["landmarks"],
            arrays["sketches"],
        )
        if not 0 < facts.side <= _MOST_SIDE:
            raise ValueError("a texture has no such size")
        empty = sketch(np.zeros((0, facts.side, facts.side, 3), np.uint8))
        check_array(facts.landmarks, len(facts.names), np.zeros((0, 68, 2), np.float32))
        check_array(facts.sketches, len(facts.names), empty)
    if storage.size(texture_block(block)) != len(facts.names) * facts.side**2 * 3:
        raise StorageError("damaged: not as long as its facts state", where=texture_block(block), remedy=REPAIR)
    return facts


def _is_readable(storage: Storage, block: str) -> bool:
    """Whether a block is whole and of this version; an interrupted build of 0.1.0 left others."""
    try:
        _facts(storage, block)
    except StorageError:
        return False
    return True


def _json_array(value: object) -> npt.NDArray[np.uint8]:
    """A JSON value as UTF-8 bytes in an array, so that it fits into the npz file."""
    return np.frombuffer(json.dumps(value).encode(), np.uint8)
