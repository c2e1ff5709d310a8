"""Textures: the pictures that the distance of two faces compares, in blocks on the disk while neighbours are sought."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
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
from faceloom.pipelines.store.failures import note_failure
from faceloom.pipelines.store.parquet_tables import read_planned, write_planned
from faceloom.pipelines.store.paths import planned_faces, texture_block, texture_facts
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import PhotoError
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
"""Faces whose textures one task makes."""


@dataclass(frozen=True, slots=True)
class TextureTask:
    """A block of faces; their plan rows lie under `work/`.

    Attributes:
        name: of the block: digest of all that decides its textures.
        faces: how many there are.
        mean: mean landmarks of the split as float32 bytes, for `texture: mean_shape`; else empty.
    """

    name: str
    faces: int
    mean: bytes


@dataclass(frozen=True, eq=False)
class StoredTextures:
    """Textures on the disk, each read when it is asked for.

    Memory maps would do, but each holds an open file, and a large set has thousands of blocks.

    Attributes:
        rows: file and number in it of each.
        side: of the square pictures.
    """

    rows: Sequence[tuple[Path, int]]
    side: int

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """As of an array of all of them."""
        return len(self.rows), self.side, self.side, 3

    def __getitem__(self, at: Any) -> Any:
        """One texture, uint8 (S, S, 3), or for a slice as many as it says, still on the disk."""
        return (
            StoredTextures(self.rows[at], self.side) if isinstance(at, slice) else _read_row(*self.rows[at], self.side)
        )


@lru_cache(maxsize=8)  # a query is compared with one face after the other
def _read_row(path: Path, number: int, side: int) -> npt.NDArray[np.uint8]:
    size = side * side * 3
    return np.fromfile(path, np.uint8, size, offset=number * size).reshape(side, side, 3)


def is_made(storage: Storage, block: str) -> bool:
    """Whether the textures of a block are there."""
    return storage.exists(texture_facts(block)) and storage.exists(texture_block(block))


def texture_recipe(recipe: Recipe, morph: Morph) -> Recipe:
    """The recipe with the crop that textures are: aligned as the samples are, in the texture's size."""
    return recipe.model_copy(update={"align": recipe.align.model_copy(update={"size": morph.texture_size})})


def write_blocks(storage: Storage, recipe: Recipe, morph: Morph, faces: Sequence[PlannedFace]) -> list[TextureTask]:
    """Write the plan rows of one split's faces in blocks, and return the tasks, in the faces' order."""
    how = texture_recipe(recipe, morph)
    mean = b""
    if morph.texture == "mean_shape":
        crops = (apply_affine(crop_matrix(how, face), _landmarks(face)) for face in faces)
        mean = mean_shape(crops).tobytes()
    settings = RENDERER, how.align.model_dump(mode="json"), recipe.faces.assume, morph.texture, mean.hex()
    tasks = []
    for start in range(0, len(faces), BLOCK):
        block = faces[start : start + BLOCK]
        task = TextureTask(digest(settings, face_facts(block))[:24], len(block), mean)
        write_planned(storage, planned_faces(task.name), block)
        tasks.append(task)
    return tasks


def face_facts(faces: Sequence[PlannedFace]) -> list[list[Any]]:
    """What of each face decides who its neighbours are, as JSON can hold it."""
    return [
        [face.key, face.photo_sha256, face.identity, face.landmarks.hex(), face.box, face.width, face.height]
        for face in faces
    ]


def make_textures(task: TextureTask, context: Context) -> dict[str, float]:
    """Make the textures of a block. A face that has none is left out, with the reason; the others go on.

    A photo that changed or vanished since it was analysed fails the block: it is noted, and nothing is written.

    Returns:
        Seconds by stage.
    """
    storage, watch, recipe = context.storage, Stopwatch(), context.recipe
    morph = recipe.morph
    assert morph is not None
    if is_made(storage, task.name):
        return {}
    how = texture_recipe(recipe, morph)
    side = morph.texture_size
    sketches = [sketch(np.zeros((0, side, side, 3), np.uint8))]
    landmarks, names, failed = [], [], {}
    faces = read_planned(storage, planned_faces(task.name))
    try:
        with storage.write(texture_block(task.name)) as stream:
            for face in faces:
                tick()
                with watch.time("read"):
                    data = read_unchanged(context, face.source, face.uri, face.photo_sha256)
                try:
                    texture, points = _texture(data, face, how, task.mean, watch)
                except PhotoError as error:
                    failed[face.key] = [error.code, str(error)]
                    continue
                with watch.time("sketch"):
                    sketches.append(sketch(texture[None]))
                with watch.time("write"):
                    stream.write(np.ascontiguousarray(texture).data)
                landmarks.append(points)
                names.append([face.key, face.photo_sha256, face.identity])
    except PhotoError:
        note_failure(storage, task.name, bad_photos(context, faces))
        return dict(watch.seconds)
    facts: dict[str, Any] = {
        "side": np.int64(side),
        "landmarks": np.array(landmarks, np.float32).reshape(-1, 68, 2),
        "sketches": np.concatenate(sketches),
        "told": np.frombuffer(json.dumps({"names": names, "failed": failed}).encode(), np.uint8),
    }
    with watch.time("write"), storage.write(texture_facts(task.name)) as stream:
        buffer = io.BytesIO()
        np.savez(buffer, **facts)
        stream.write(buffer.getbuffer())
    return dict(watch.seconds)


def _texture(
    data: bytes, face: PlannedFace, how: Recipe, mean: bytes, watch: Stopwatch
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
    matrix = crop_matrix(how, face)
    reduction = crop_reduction(matrix)
    with watch.time("decode"):
        photo = decode_rgb(data, reduction=reduction, max_pixels=how.faces.max_pixels)
    with watch.time("align"):
        crop = warp_image(photo, from_reduced(matrix, reduction), how.align.width_height, border=how.align.border)
        points = apply_affine(matrix, _landmarks(face)).astype(np.float32)
        if mean:
            crop = mean_shape_texture(crop, points, np.frombuffer(mean, np.float32).reshape(68, 2))
    return crop, points


def _landmarks(face: PlannedFace) -> npt.NDArray[np.float32]:
    landmarks = landmarks_of(face)
    assert landmarks is not None, "only faces with landmarks are morphed"
    return landmarks


def open_block(storage: Storage, block: str) -> Faces:
    """A block as the search for neighbours wants it; its textures stay on the disk."""
    facts = _facts(storage, block)
    names = json.loads(facts["told"].tobytes())["names"]
    keys, photos, identities = ([row[column] for row in names] for column in range(3))
    path = storage.local(texture_block(block))
    textures = StoredTextures([(path, number) for number in range(len(names))], int(facts["side"]))
    return Faces(keys, photos, identities, facts["landmarks"], textures, facts["sketches"])


def joined(blocks: Sequence[Faces]) -> Faces:
    """Blocks of stored textures as one."""
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
    """Keys of the faces of a block that have no texture, with code and message."""
    told = json.loads(_facts(storage, block)["told"].tobytes())
    return {key: (code, message) for key, (code, message) in told["failed"].items()}


def _facts(storage: Storage, block: str) -> dict[str, Any]:
    with np.load(io.BytesIO(storage.read_bytes(texture_facts(block)))) as facts:
        return dict(facts)
