"""One sample, step by step: painted, cut, made small, written down."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import JsonValue

from faceloom.pipelines.run.stopwatch import Stopwatch
from faceloom.schemas.index import Parent
from faceloom.schemas.keys import face_key, generator
from faceloom.schemas.masks import Mask
from faceloom.schemas.plan import PlannedFace
from faceloom.schemas.recipe import Recipe
from faceloom.schemas.versions import RENDERER
from faceloom.transforms.guide.guide_mask import covered_share
from faceloom.transforms.lowres.degrade import draw
from faceloom.transforms.masks.painted import PaintedMask
from faceloom.transforms.sample.crops import BareCrop, Crops, augmented, masked_crops, refuse_uncovered
from faceloom.transforms.sample.encode import json_bytes, npy
from faceloom.transforms.sample.morphing import morph_record
from faceloom.transforms.sample.products import Files, face_files, mask_files, small_files
from faceloom.transforms.sample.working import Working


@dataclass(frozen=True, slots=True)
class Sample:
    """One finished sample: its files in the order in which they stand in the tar, and what the index says of it."""

    key: str
    files: tuple[tuple[str, bytes], ...]
    mask: str
    operations: str


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


@dataclass(frozen=True, slots=True)
class Painting:
    """One mask on one picture, prepared."""

    unpainted: Unpainted
    paint: Paint


@dataclass(frozen=True, slots=True)
class Shown:
    """What a sample will show, and how it came about.

    Attributes:
        crops: its pictures.
        label: of its mask; empty without one.
        operations: every step with its parameters, in order.
    """

    crops: Crops
    label: str
    operations: list[JsonValue]


def show(
    key: str,
    face: PlannedFace,
    working: Working,
    bare: BareCrop,
    painting: Painting | None,
    recipe: Recipe,
    watch: Stopwatch,
) -> Shown:
    """Paint the mask of a sample, if it has one, and cut out what the sample shows.

    Raises:
        PhotoError: the mask cannot be painted, or lies outside the crop.
    """
    operations: list[JsonValue] = [working.alignment]
    if painting is None:
        crops, label = bare.crops, ""
    else:
        label = painting.unpainted.mask.label
        with watch.time("paint"):
            painted = painting.paint()
        with watch.time("align"):
            crops = masked_crops(bare, working, painted, recipe)
        operations.insert(0, {"name": "mask", "mask": label, "seed": painting.unpainted.seed, **painted.parameters})
    if face.morph is not None:
        operations.insert(0, morph_record(face, recipe))
    if recipe.augment:
        with watch.time("augment"):
            crops, drawn = augmented(crops, recipe, generator(recipe.seed, key, "augment"))
        operations.append({"name": "augment", "steps": drawn})
    refuse_uncovered(crops, label)
    if bare.guide_origin is not None and crops.guide is not None:
        covered = None if crops.alpha is None else covered_share(crops.guide, crops.mask)
        share: JsonValue = None if covered is None else round(covered, 6)
        operations.append({"name": "guide", **bare.guide_origin, "covered": share})
    return Shown(crops, label, operations)


def finish(
    key: str,
    face: PlannedFace,
    shown: Shown,
    shared: Files | None,
    features: npt.NDArray[np.float32] | None,
    recipe: Recipe,
    real_heights: tuple[int, ...],
    watch: Stopwatch,
) -> Sample:
    """Write a sample down: its pictures, what is derived from them, and its record.

    Args:
        key: of the sample.
        face: the planned face.
        shown: what it shows.
        shared: files of the bare face, if they are those of all its samples.
        features: what the recipe's network says of the face, if it was asked.
        recipe: says how.
        real_heights: those that `lowres.sizes_from` names.
        watch: counts the time.
    """
    operations = list(shown.operations)
    with watch.time("encode"):
        files = list(shared) if shared is not None else face_files(shown.crops, recipe)
        if features is not None:
            files.append(("features.npy", npy(features)))
        files += mask_files(shown.crops, recipe)
    if recipe.lowres is not None:
        with watch.time("small"):
            size = (shown.crops.face.shape[1], shown.crops.face.shape[0])
            drawn = draw(recipe.lowres, size, generator(recipe.seed, key, "lowres"), real=real_heights)
            files += small_files(shown.crops, recipe, drawn)
        operations.append({"name": "lowres", **drawn})
    with watch.time("encode"):
        files.append(("json", json_bytes(_record(key, face, shown.label, operations))))
        files.sort()
    return Sample(key, tuple(files), shown.label, json_bytes(operations).decode())


def parents_of(face: PlannedFace) -> tuple[Parent, ...]:
    """The faces that a morph was made from; nobody for a face as it was photographed."""
    if face.morph is None:
        return ()
    other = face.morph.other
    own = face_key(face.photo_sha256, face.face)
    identity = face.identity.removesuffix(f"+{other.identity}")
    return (
        Parent(own, identity, face.source, face.uri, face.photo_sha256),
        Parent(other.key, other.identity, other.source, other.uri, other.photo_sha256),
    )


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
        "parents": [_parent_record(parent) for parent in parents_of(face)],
        "operations": operations,
        "renderer": RENDERER,
    }


def _parent_record(parent: Parent) -> dict[str, str]:
    return {
        "key": parent.key,
        "identity": parent.identity,
        "source": parent.source,
        "uri": parent.uri,
        "photo_sha256": parent.photo_sha256,
    }
