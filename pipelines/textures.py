"""Textures: the pictures that the distance of two faces compares, in blocks on the disk while neighbours are sought."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from faceloom.pipelines.context import Context
from faceloom.pipelines.progress import Ticker
from faceloom.pipelines.reading import read_unchanged
from faceloom.pipelines.stopwatch import Stopwatch
from faceloom.pipelines.storage import Storage
from faceloom.pipelines.tables import read_planned, write_planned
from faceloom.pipelines.working import crop_matrix, landmarks_of
from faceloom.schemas.errors import PhotoError
from faceloom.schemas.keys import digest
from faceloom.schemas.morph import Morph
from faceloom.schemas.plan import PlannedFace
from faceloom.schemas.recipe import Recipe
from faceloom.transforms.align import crop_reduction, warp_image
from faceloom.transforms.decode import decode_rgb
from faceloom.transforms.geometry import apply_affine, compose
from faceloom.transforms.neighbours.faces import Faces
from faceloom.transforms.neighbours.sketch import sketch
from faceloom.transforms.texture import mean_shape, mean_shape_texture

BLOCK = 100
"""Faces whose textures one task makes."""


@dataclass(frozen=True, slots=True)
class TextureTask:
    """A block of faces; their plan rows lie under `work/`.

    Attributes:
        name: of the block: digest of all that decides its textures.
        mean: mean landmarks of the split as float32 bytes, for `texture: mean_shape`; else empty.
    """

    name: str
    mean: bytes


def plan_path(block: str) -> str:
    """Plan rows of a block."""
    return f"work/{block}.plan.parquet"


def texture_path(block: str) -> str:
    """Textures of a block, uint8 (N, S, S, 3); written last."""
    return f"work/{block}.textures.npy"


def facts_path(block: str) -> str:
    """Landmarks and sketches of a block, and which of its faces have none."""
    return f"work/{block}.facts.npz"


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
    tasks = []
    for start in range(0, len(faces), BLOCK):
        block = faces[start : start + BLOCK]
        rows = [
            (face.key, face.photo_sha256, face.landmarks.hex(), face.box, face.width, face.height) for face in block
        ]
        settings = how.align.model_dump(mode="json"), recipe.faces.assume, morph.texture
        task = TextureTask(digest(settings, rows, mean.hex())[:24], mean)
        write_planned(storage, plan_path(task.name), block)
        tasks.append(task)
    return tasks


def make_textures(task: TextureTask, context: Context) -> dict[str, float]:
    """Make the textures of a block. A face that has none is left out, with the reason; the others go on.

    Returns:
        Seconds by stage.
    """
    storage, watch, recipe = context.storage, Stopwatch(), context.recipe
    morph = recipe.morph
    assert morph is not None
    if storage.exists(texture_path(task.name)):
        return {}
    how = texture_recipe(recipe, morph)
    textures, landmarks, kept, failed = [], [], [], {}
    with Ticker(context.progress) as ticker:
        for number, face in enumerate(read_planned(storage, plan_path(task.name))):
            ticker.tick()
            try:
                texture, points = _texture(face, how, task.mean, context, watch)
            except PhotoError as error:
                failed[face.key] = [error.code, str(error)]
                continue
            textures.append(texture)
            landmarks.append(points)
            kept.append(number)
    side = morph.texture_size
    stack = np.stack(textures) if textures else np.zeros((0, side, side, 3), np.uint8)
    with watch.time("sketch"):
        facts: dict[str, Any] = {
            "landmarks": np.array(landmarks, np.float32).reshape(-1, 68, 2),
            "sketches": sketch(stack),
            "kept": np.array(kept, np.int64),
            "failed": np.frombuffer(json.dumps(failed).encode(), np.uint8),
        }
    with watch.time("write"):
        with storage.write(facts_path(task.name), durable=False) as stream:
            buffer = io.BytesIO()
            np.savez(buffer, **facts)
            stream.write(buffer.getvalue())
        with storage.write(texture_path(task.name), durable=False) as stream:
            buffer = io.BytesIO()
            np.save(buffer, stack)
            stream.write(buffer.getbuffer())
    return dict(watch.seconds)


def _texture(
    face: PlannedFace, how: Recipe, mean: bytes, context: Context, watch: Stopwatch
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
    with watch.time("read"):
        data = read_unchanged(context, face.source, face.uri, face.photo_sha256)
    matrix = crop_matrix(how, face)
    reduction = crop_reduction(matrix)
    with watch.time("decode"):
        photo = decode_rgb(data, reduction=reduction, max_pixels=how.faces.max_pixels)
    with watch.time("align"):
        half = (reduction - 1) / 2
        reduced = compose(matrix, np.array([[reduction, 0, half], [0, reduction, half]], np.float64))
        crop = warp_image(photo, reduced, how.align.width_height, border=how.align.border)
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
    planned = read_planned(storage, plan_path(block))
    rows = [planned[number] for number in facts["kept"].tolist()]
    textures = np.load(storage.local(texture_path(block)), mmap_mode="r") if rows else np.zeros((0, 1, 1, 3), np.uint8)
    return Faces(
        [row.key for row in rows],
        [row.photo_sha256 for row in rows],
        [row.identity for row in rows],
        facts["landmarks"],
        textures,
        facts["sketches"],
    )


def failed_faces(storage: Storage, block: str) -> dict[str, tuple[str, str]]:
    """Keys of the faces of a block that have no texture, with code and message."""
    told = json.loads(_facts(storage, block)["failed"].tobytes())
    return {key: (code, message) for key, (code, message) in told.items()}


def _facts(storage: Storage, block: str) -> dict[str, Any]:
    with np.load(io.BytesIO(storage.read_bytes(facts_path(block)))) as facts:
        return dict(facts)
