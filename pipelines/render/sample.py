"""One sample: compose its pictures, then encode its files and its record."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import JsonValue

from faceloom.pipelines.render.mask_painter import MaskRequest
from faceloom.pipelines.render.resources import RenderResources
from faceloom.pipelines.run.stopwatch import Stopwatch
from faceloom.schemas.index import Parent
from faceloom.schemas.keys import face_key, generator, hex_seed
from faceloom.schemas.masks import PictureMask, PolygonMask, TemplateMask
from faceloom.schemas.plan import PlannedFace
from faceloom.schemas.versions import RENDERER
from faceloom.transforms.guide.guide_mask import covered_share
from faceloom.transforms.lowres.degrade import draw
from faceloom.transforms.sample.beyond_photo import extended
from faceloom.transforms.sample.crops import BareCrop, Crops, augmented, masked_crops, refuse_uncovered
from faceloom.transforms.sample.encode import encode, json_bytes, npy
from faceloom.transforms.sample.frames import Frame
from faceloom.transforms.sample.morphing import morph_record
from faceloom.transforms.sample.products import Files, face_files, mask_files, small_files
from faceloom.transforms.sample.working import Working

_DRAWN = (PolygonMask, TemplateMask, PictureMask)
"""Masks that are drawn at the landmarks, also beyond the photo."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A finished sample.

    Attributes:
        files: name and content of each file, in the order of the tar.
        mask: label of its mask; empty without one.
        operations: JSON, every operation in order with its parameters and seed.
    """

    key: str
    files: tuple[tuple[str, bytes], ...]
    mask: str
    operations: str


@dataclass(frozen=True, slots=True)
class SampleContent:
    """The pictures of a sample before they are encoded.

    Attributes:
        crops: its pictures.
        mask: label of its mask; empty without one.
        operations: every step with its parameters, in order.
        frame: of a sample that shows a whole photo.
    """

    key: str
    face: PlannedFace
    crops: Crops
    mask: str
    operations: list[JsonValue]
    frame: Frame | None = None


def compose_sample(
    key: str,
    face: PlannedFace,
    bare: BareCrop,
    working: Working,
    request: MaskRequest | None,
    resources: RenderResources,
    watch: Stopwatch,
) -> SampleContent:
    """Paint the mask of a sample, if it has one, and cut the pictures of the sample.

    Args:
        key: of the sample.
        face: the planned face.
        bare: the face's crop without a mask.
        working: the picture that the crop was cut from.
        request: the mask to paint, after `MaskPainter.predict`; None for a sample without a mask.
        resources: of the recipe.
        watch: adds up the time of each stage.

    Raises:
        PhotoError: the mask cannot be painted, or lies outside the crop.
    """
    recipe, origin = resources.recipe, bare.guide_origin
    operations: list[JsonValue] = [working.alignment]
    if request is None:
        crops, label = bare.crops, ""
    else:
        label = request.mask.label
        with watch.time("paint"):
            if bare.outside is not None and recipe.align.border == "blur" and isinstance(request.mask, _DRAWN):
                request = replace(request, picture=extended(working, recipe.align.width_height))
            painted = resources.painter.paint(request)
        with watch.time("align"):
            crops = masked_crops(bare, request.picture, painted, recipe)
        operations.insert(0, {"name": "mask", "mask": label, "seed": hex_seed(request.seed), **painted.parameters})
    if working.labelling is not None:
        operations.insert(0, working.labelling)
    if face.morph is not None:
        operations.insert(0, morph_record(face, recipe))
    if recipe.augment:
        with watch.time("augment"):
            changed = augmented(crops, bare, recipe, generator(recipe.seed, key, "augment"))
        crops, origin = changed.crops, changed.guide_origin
        operations.append({"name": "augment", "steps": changed.drawn})
    refuse_uncovered(crops, label, recipe.min_mask_area)
    if origin is not None and crops.guide is not None:
        covered = None if crops.alpha is None else covered_share(crops.guide, crops.mask)
        share: JsonValue = None if covered is None else round(covered, 6)
        operations.append({"name": "guide", **origin, "covered": share})
    return SampleContent(key, face, crops, label, operations)


def encode_sample(
    content: SampleContent,
    shared: Files | None,
    features: npt.NDArray[np.float32] | None,
    resources: RenderResources,
    watch: Stopwatch,
) -> Sample:
    """Encode the files of a sample, make its low-resolution partners, and write its record.

    Args:
        content: of the sample.
        shared: encoded files of the bare face, if all samples of the face share them.
        features: float32 (D,), output of the recipe's feature network for the face; None without one.
        resources: of the recipe.
        watch: adds up the time of each stage.
    """
    recipe, crops, operations = resources.recipe, content.crops, list(content.operations)
    with watch.time("encode"):
        files = list(shared) if shared is not None else face_files(crops, recipe)
        if features is not None:
            files.append(("features.npy", npy(features)))
        files += mask_files(crops, recipe)
        if content.frame is not None and content.frame.instances is not None:
            files.append((f"instances.{recipe.output.mask}", encode(content.frame.instances, recipe.output.mask)))
    if recipe.lowres is not None:
        with watch.time("small"):
            size = (crops.face.shape[1], crops.face.shape[0])
            rng = generator(recipe.seed, content.key, "lowres")
            drawn = draw(recipe.lowres, size, rng, real=resources.real_heights)
            files += small_files(crops, recipe, drawn)
        operations.append({"name": "lowres", **drawn})
    with watch.time("encode"):
        files.append(("json", json_bytes(_record(content, operations))))
        files.sort()
    return Sample(content.key, tuple(files), content.mask, json_bytes(operations).decode())


def people_of(face: PlannedFace) -> tuple[str, ...]:
    """Identity of everyone whose face is in the pictures of a face, morph or frame."""
    if face.frame is not None:
        return face.frame.people
    return tuple(dict.fromkeys(parent.identity for parent in parents_of(face))) or (face.identity,)


def parents_of(face: PlannedFace) -> tuple[Parent, ...]:
    """The two faces that a morph is made from; empty for a face that is no morph."""
    if face.morph is None:
        return ()
    other = face.morph.other
    own = face_key(face.photo_sha256, face.face)
    identity = face.identity.removesuffix(f"+{other.identity}")
    return (
        Parent(own, identity, face.source, face.uri, face.photo_sha256),
        Parent(other.key, other.identity, other.source, other.uri, other.photo_sha256),
    )


def _record(content: SampleContent, operations: list[JsonValue]) -> dict[str, Any]:
    """The record of a sample. All samples of a build have the same fields, and each field has one type."""
    face = content.face
    own = Parent(face_key(face.photo_sha256, face.face), face.identity, face.source, face.uri, face.photo_sha256)
    frame: dict[str, Any] = {}
    if content.frame is not None:
        height, width = content.crops.face.shape[:2]
        frame = {"frame": {"width": width, "height": height, "faces": content.frame.faces}}
    return frame | {
        "key": content.key,
        "identity": face.identity,
        "split": face.split,
        "mask": content.mask,
        "source": {"name": face.source, "uri": face.uri, "sha256": face.photo_sha256, "face": face.face},
        "face_box": [round(float(value), 2) for value in face.box],
        "detector": face.detector,
        "score": face.score,
        "turn": face.turn,
        "has_landmarks": content.crops.landmarks is not None,
        "landmarks_unsure": face.landmarks_unsure,
        "attributes": dict(face.attributes),
        "licence": face.licence or "",
        "consent": face.consent or "",
        "people": list(people_of(face)),
        "faces": [parent.record() for parent in parents_of(face) or (own,)],
        "operations": [_operation_record(operation) for operation in operations],
        "renderer": RENDERER,
    }


def _operation_record(operation: JsonValue) -> dict[str, JsonValue]:
    """An operation with its parameters as JSON text, since each kind has parameters of its own.

    The matrix of `align` and seeds are fields too, which all operations have: empty where they do not apply.
    """
    assert isinstance(operation, dict)
    parameters = {name: value for name, value in operation.items() if name != "name"}
    return {
        "name": operation["name"],
        "seed": operation.get("seed", ""),
        "matrix": operation.get("matrix", []),
        "parameters": json_bytes(parameters).decode(),
    }
