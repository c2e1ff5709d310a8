"""Digests of everything that the bytes of a sample depend on: the same digest, the same bytes."""

from __future__ import annotations

import binascii
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from faceloom.pipelines.plan.face_records import face_records
from faceloom.pipelines.plan.planned_faces import PlannedFaces
from faceloom.schemas.keys import digest, to_json
from faceloom.schemas.plan import FaceRows, PlannedFace, PlannedFrame, PlannedMorph, frame_text
from faceloom.schemas.recipe import Recipe
from faceloom.schemas.versions import RENDERER

_LETTERS = 24
_BLOCK = 4096
"""Faces whose values are Python objects at the same time."""


def settings_digest(recipe: Recipe, files: Sequence[str] = ()) -> str:
    """Digest of what all samples of a recipe depend on, except their faces and masks.

    A key that has its default does not count, so that a new key with a default leaves all digests as they are.

    Args:
        recipe: of the build.
        files: digests of the files that the recipe names, in a fixed order.
    """
    steps = recipe.model_dump(
        mode="json",
        include={"seed", "min_mask_area", "align", "augment", "lowres", "output"},
        exclude={
            "align": {"reject_beyond"},  # decides in the plan, and changes no pixel
            "output": {"shards": True, "features": {"model"}},
            "lowres": {"sizes_from"},
        },
        exclude_defaults=True,
    )
    if not steps.get("output"):
        steps.pop("output", None)  # nothing of it is left but the layout of shards
    recorded = {"lambda_", "texture", "texture_size", "texture_units", "background"}
    morph = recipe.morph and recipe.morph.model_dump(mode="json", include=recorded, exclude_defaults=True)
    guide = recipe.guide and recipe.guide.model_dump(mode="json", exclude={"parts"}, exclude_defaults=True)
    regions = recipe.guide and recipe.guide.regions
    labels = recipe.faces.model_dump(
        mode="json", include={"parser", "in_front", "occluded"}, exclude={"parser": {"onnx"}}, exclude_defaults=True
    )
    return digest(RENDERER, recipe.faces.assume, steps, morph, guide, regions, files, *([labels] if labels else []))


def sample_inputs(face: PlannedFace, settings: str, mask_digests: Sequence[str]) -> list[str]:
    """Digests of the samples of a face, in the order of their variants, as 24 hex digits each.

    Args:
        face: a planned face or morph.
        settings: from `settings_digest`.
        mask_digests: for each mask of the recipe, a digest of everything that its look depends on.
    """
    of_face = digest(
        settings,
        *(face.source, face.uri, face.photo_sha256, face.face, face.identity, face.split),
        *(face.licence, face.consent, face.attributes),
        *(face.width, face.height, face.landmarks.hex(), face.box),
        *(face.detector, face.score, face.turn, face.landmarks_unsure),
        *(face.labels, None if face.morph is None else _morph_record(face.morph)),
        *([face.five.hex()] if face.five else []),
        *([] if face.frame is None else [_frame_record(face.frame, mask_digests)]),
    )
    masks: Sequence[str | None] = [mask_digests[number] for number in face.masks] or [None]
    return [digest(of_face, variant, mask)[:_LETTERS] for variant, mask in enumerate(masks)]


def all_inputs(faces: FaceRows, settings: str, mask_digests: Sequence[str]) -> list[list[str]]:
    """What `sample_inputs` returns for each of some faces, from their columns and much faster."""
    if not isinstance(faces, PlannedFaces):
        return [sample_inputs(face, settings, mask_digests) for face in faces]
    starts = range(faces.start, faces.stop, _BLOCK)
    blocks = [PlannedFaces(faces.table, start, min(start + _BLOCK, faces.stop)) for start in starts]
    return [inputs for block in blocks for inputs in _of_columns(block, settings, mask_digests)]


def _of_columns(faces: PlannedFaces, settings: str, mask_digests: Sequence[str]) -> list[list[str]]:
    """As `all_inputs`."""
    of_faces = _hex_digests(face_records(faces.table, faces.slice, settings))
    begins = [b'["%b' % one for one in of_faces]
    looks = [*map(to_json, mask_digests), "null"]  # -1 stands for no mask
    columns = []
    for variant, masks in enumerate(faces.table.masks[faces.slice].T.tolist() or [[-1] * len(faces)]):
        ends = [f'",{variant},{look}]'.encode() for look in looks]
        of_variant = _hex_digests(begin + ends[mask] for begin, mask in zip(begins, masks, strict=True))
        columns.append([one[:_LETTERS].decode() for one in of_variant])
    inputs = list(map(list, zip(*columns, strict=True)))
    counts = faces.weights()
    for at in np.flatnonzero(counts < len(columns)).tolist():
        del inputs[at][counts[at] :]
    return inputs


def _hex_digests(texts: Iterable[bytes | memoryview]) -> list[bytes]:
    """The sha256 of each text, as 64 hex digits."""
    sha256 = hashlib.sha256
    digits = binascii.hexlify(b"".join([sha256(text).digest() for text in texts]))
    return [digits[at : at + 64] for at in range(0, len(digits), 64)]


def _frame_record(frame: PlannedFrame, mask_digests: Sequence[str]) -> list[Any]:
    """A frame in the digest of its samples, with the look of every mask in place of its number."""
    looks = [[mask_digests[number] if number >= 0 else None for number in face.masks] for face in frame.faces]
    return [frame_text(replace(frame, faces=tuple(replace(face, masks=()) for face in frame.faces))), looks]


def _morph_record(morph: PlannedMorph) -> dict[str, Any]:
    """The fields of a morph in the digest of its samples. Any other name or field changes the names of shards."""
    other = morph.other
    return {
        "key": other.key,
        "source": other.source,
        "uri": other.uri,
        "photo_sha256": other.photo_sha256,
        "face": other.face,
        "identity": other.identity,
        "licence": other.licence,
        "consent": other.consent,
        "width": other.width,
        "height": other.height,
        "landmarks": other.landmarks.hex(),
        "box": other.box,
        "rank": morph.rank,
        "distance": morph.distance,
        "landmark_distance": morph.landmark_distance,
        "texture_distance": morph.texture_distance,
        "shape_weight": morph.shape_weight,
        "texture_weight": morph.texture_weight,
        **({"five": other.five.hex()} if other.five else {}),
        **({"turn": other.turn} if other.turn else {}),
    }
