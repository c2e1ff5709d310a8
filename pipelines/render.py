"""Render: from one planned face to finished samples. Pure but for the clock; reads and writes no files."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import JsonValue

from faceloom.pipelines.stopwatch import Stopwatch
from faceloom.schemas.errors import FaceloomError, PhotoError
from faceloom.schemas.keys import sample_key, seed_of
from faceloom.schemas.masks import Mask
from faceloom.schemas.photos import Reject
from faceloom.schemas.plan import PlannedFace
from faceloom.schemas.recipe import Output, Recipe
from faceloom.schemas.versions import RENDERER
from faceloom.transforms.align import (
    arcface_matrix,
    crop_reduction,
    eye_level_matrix,
    face_box_matrix,
    region_read,
    warp_alpha,
    warp_image,
)
from faceloom.transforms.decode import decode_rgb, to_reduced_frame
from faceloom.transforms.detect import FaceBox
from faceloom.transforms.geometry import apply_affine, compose, invert
from faceloom.transforms.masks.painted import PaintedMask

Image = npt.NDArray[np.uint8]
Matrix = npt.NDArray[np.float64]
Painter = Callable[[Image, npt.NDArray[np.float32], Mask, np.random.Generator], PaintedMask]

COVERED = 0.5
"""A pixel counts as mask from this coverage on."""
MASK_REACH = 0.6
"""How far around the landmarks a mask, its straps and its shadow may reach, in sizes of the landmarks' extent."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One finished sample: its files in the order in which they stand in the tar, and what the index says of it."""

    key: str
    files: tuple[tuple[str, bytes], ...]
    mask: str
    operations: str


@dataclass(frozen=True, slots=True)
class Working:
    """The piece of a photo that the crops of one face need, maybe decoded smaller.

    Attributes:
        image: uint8 (H, W, 3), RGB.
        landmarks: (68, 2) in pixels of `image`.
        matrix: `image` to crop, 2x3.
        face_crop: uint8, the aligned face.
        outside: bool, which pixels of the crop show what lies outside the photo; None if all of it lies inside.
        alignment: what the samples record of it.
        files: those that all samples of the face share.
    """

    image: Image
    landmarks: npt.NDArray[np.float32]
    matrix: Matrix
    face_crop: Image
    outside: npt.NDArray[np.bool_] | None
    alignment: dict[str, JsonValue]
    files: tuple[tuple[str, bytes], ...]


def landmarks_of(face: PlannedFace) -> npt.NDArray[np.float32]:
    """The face's landmarks (68, 2), pixels of the upright photo."""
    return np.frombuffer(face.landmarks, np.float32).reshape(68, 2)


def crop_matrix(recipe: Recipe, face: PlannedFace) -> Matrix:
    """The 2x3 matrix from the upright photo to the crop that the recipe asks for.

    A photo that is an ArcFace crop already is only scaled: aligning it again by landmarks predicted on it would shift
    it by a pixel for nothing.
    """
    align, landmarks = recipe.align, landmarks_of(face)
    width, height = align.width_height
    if align.mode == "arcface" and recipe.faces.assume == "aligned":
        scale = height / face.height
        aside = (width - scale * face.width) / 2  # the 96-wide variant cuts both sides
        return np.array([[scale, 0, (scale - 1) / 2 + aside], [0, scale, (scale - 1) / 2]], np.float64)
    if align.mode == "arcface":
        return arcface_matrix(landmarks, height, width=width)
    if align.mode == "eye_level":
        return eye_level_matrix(landmarks, (width, height))
    return face_box_matrix(FaceBox(*face.box), landmarks, width, margin=align.margin)


def render_photo(
    data: bytes, faces: Sequence[PlannedFace], recipe: Recipe, painter: Painter, watch: Stopwatch
) -> Iterator[tuple[PlannedFace, Sample | Reject]]:
    """Make all samples of one photo, decoding it once.

    Args:
        data: the photo's bytes.
        faces: planned faces of this photo.
        recipe: says how.
        painter: paints one mask on a picture; gets the picture, landmarks in its pixels, the mask and a generator.
        watch: counts the time of each stage.

    Yields:
        As many samples or rejects per face as were planned, in the order of their keys. What goes wrong on one photo
        or sample is a reject, `failed` if it was not foreseen.
    """
    try:
        matrices = [crop_matrix(recipe, face) for face in faces]
        reduction = min(crop_reduction(matrix) for matrix in matrices)
        with watch.time("decode"):
            photo = decode_rgb(data, reduction=reduction, max_pixels=recipe.faces.max_pixels)
    except Exception as error:  # analysis aligned otherwise, and decoded in grey
        yield from ((face, _reject(face, key, error)) for face in faces for key in _keys(face))
        return
    for face, matrix in zip(faces, matrices, strict=True):
        variants: list[Mask | None] = [recipe.masks[number] for number in face.masks] or [None]
        keys = _keys(face)
        try:
            working = cut_working(photo, face, matrix, reduction, recipe, watch)
        except Exception as error:
            yield from ((face, _reject(face, key, error)) for key in keys)
            continue
        for key, mask in zip(keys, variants, strict=True):
            try:
                yield face, _sample(key, face, mask, recipe, working, painter, watch)
            except Exception as error:
                yield face, _reject(face, key, error)


def _keys(face: PlannedFace) -> list[str]:
    return [sample_key(face.photo_sha256, face.face, variant) for variant in range(face.samples)]


def _reject(face: PlannedFace, key: str, error: Exception) -> Reject:
    """The row of a sample that could not be made; trouble that nobody foresaw is no reason to end a build either."""
    if isinstance(error, PhotoError):
        return Reject("render", face.source, face.uri, error.code, str(error), key)
    if isinstance(error, FaceloomError):  # not about this photo
        raise error
    return Reject("render", face.source, face.uri, "failed", f"{type(error).__name__}: {error}", key)


def cut_working(
    photo: Image, face: PlannedFace, matrix: Matrix, reduction: int, recipe: Recipe, watch: Stopwatch
) -> Working:
    """Cut from a (reduced) photo what one face needs: what its crop shows, and all that a mask on it may touch.

    Raises:
        PhotoError: `crop_outside`.
    """
    with watch.time("align"):
        size = recipe.align.width_height
        landmarks_photo = landmarks_of(face)
        landmarks = to_reduced_frame(landmarks_photo, reduction)
        # Pixel centres of the reduced photo lie at (x + 0.5) * reduction - 0.5 of the full one.
        half = (reduction - 1) / 2
        from_reduced = compose(matrix, np.array([[reduction, 0, half], [0, reduction, half]], np.float64))
        limits = (photo.shape[1], photo.shape[0])
        left, top, right, bottom = region_read(limits, from_reduced, size)
        reach = MASK_REACH * np.ptp(landmarks, axis=0).max()
        low, high = landmarks.min(axis=0) - reach, landmarks.max(axis=0) + reach
        left, top = (max(0, min(edge, math.floor(value))) for edge, value in zip((left, top), low, strict=True))
        right, bottom = (
            min(limit, max(edge, math.ceil(value)))
            for limit, edge, value in zip(limits, (right, bottom), high, strict=True)
        )
        image = photo[top:bottom, left:right]
        shifted = compose(from_reduced, np.array([[1, 0, left], [0, 1, top]], np.float64))
        face_crop = warp_image(image, shifted, size, border=recipe.align.border)
        landmarks_crop = apply_affine(matrix, landmarks_photo).astype(np.float32)
    with watch.time("encode"):
        output = recipe.output
        face_file = encode(face_crop, output.image, output.quality)
        files = ((f"face.{output.image}", face_file), ("landmarks.npy", npy(landmarks_crop)))
    rows: JsonValue = [[round(value, 6) for value in row] for row in matrix.tolist()]
    alignment: dict[str, JsonValue] = {"name": "align", "mode": recipe.align.mode, "size": list(size), "matrix": rows}
    offset = np.array([left, top], np.float32)
    outside = _outside(image, shifted, size)
    return Working(image, (landmarks - offset).astype(np.float32), shifted, face_crop, outside, alignment, files)


def _outside(image: Image, matrix: Matrix, size: tuple[int, int]) -> npt.NDArray[np.bool_] | None:
    """Which pixels of a crop read anything outside of the picture; None if none does."""
    right, bottom = size[0] - 0.5, size[1] - 0.5
    corners = apply_affine(invert(matrix), np.array([(-0.5, -0.5), (right, -0.5), (right, bottom), (-0.5, bottom)]))
    limits = np.array([image.shape[1], image.shape[0]]) - 0.5
    if (corners >= -0.5 - 1e-6).all() and (corners <= limits + 1e-6).all():
        return None
    inside = warp_alpha(np.ones(image.shape[:2], np.float32), matrix, size)
    return inside < 1 - 1e-4


def _sample(
    key: str,
    face: PlannedFace,
    mask: Mask | None,
    recipe: Recipe,
    working: Working,
    painter: Painter,
    watch: Stopwatch,
) -> Sample:
    output, size = recipe.output, recipe.align.width_height
    operations: list[JsonValue] = [working.alignment]
    files = list(working.files)
    if mask is not None:
        with watch.time("paint"):
            seed = seed_of(recipe.seed, key, "paint")
            painted = painter(working.image, working.landmarks, mask, np.random.default_rng(seed))
        with watch.time("align"):
            masked_crop = warp_image(painted.image, working.matrix, size, border=recipe.align.border)
            alpha_crop = warp_alpha(_truth(painted, output), working.matrix, size)
            if working.outside is not None:
                # No mask is drawn out or mirrored beyond the photo: there both pictures show the same.
                masked_crop[working.outside], alpha_crop[working.outside] = working.face_crop[working.outside], 0
        if alpha_crop.max() < COVERED:
            raise PhotoError(
                "mask_outside_crop", "no pixel of the mask lies in the crop", where=key, value=mask.label,
                remedy="Use a larger or looser crop, or another way of wearing",
            )  # fmt: skip
        with watch.time("encode"):
            files += _mask_files(masked_crop, alpha_crop, output)
        operations.insert(0, {"name": "mask", "mask": mask.label, "seed": seed, **painted.parameters})
    with watch.time("encode"):
        files.append(("json", _json(_record(key, face, mask, operations))))
        files.sort()
    return Sample(key, tuple(files), mask.label if mask else "", _json(operations).decode())


def _truth(painted: PaintedMask, output: Output) -> npt.NDArray[np.float32]:
    if output.straps and painted.straps is not None:
        return np.maximum(painted.alpha, painted.straps)
    return painted.alpha


def _mask_files(masked_crop: Image, alpha_crop: npt.NDArray[np.float32], output: Output) -> list[tuple[str, bytes]]:
    binary = (alpha_crop >= COVERED).astype(np.uint8) * np.uint8(255)
    files = [
        (f"masked.{output.image}", encode(masked_crop, output.image, output.quality)),
        (f"mask.{output.mask}", encode(binary, output.mask, 100)),
    ]
    if output.alpha:
        files.append((f"alpha.{output.mask}", encode(np.round(alpha_crop * 255).astype(np.uint8), output.mask, 100)))
    return files


def _record(key: str, face: PlannedFace, mask: Mask | None, operations: list[JsonValue]) -> dict[str, Any]:
    return {
        "key": key,
        "identity": face.identity,
        "split": face.split,
        "mask": mask.label if mask else None,
        "source": {"name": face.source, "uri": face.uri, "sha256": face.photo_sha256, "face": face.face},
        "face_box": [round(value, 2) for value in face.box],
        "attributes": dict(face.attributes),
        "licence": face.licence,
        "consent": face.consent,
        "parents": [],
        "operations": operations,
        "renderer": RENDERER,
    }


def _json(record: Any) -> bytes:
    return json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode(
        "utf-8", "backslashreplace"
    )


def npy(array: npt.NDArray[Any]) -> bytes:
    """An array as the bytes of a .npy file."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def encode(image: Image, format_name: str, quality: int) -> bytes:
    """Encode a picture; jpg at a quality of 1..100, png and webp without loss.

    Args:
        image: uint8 (H, W, 3) RGB, or (H, W).
        format_name: `jpg`, `png` or `webp`.
        quality: of JPEG; the others ignore it.
    """
    import cv2

    options = {
        "jpg": [cv2.IMWRITE_JPEG_QUALITY, quality],
        "png": [cv2.IMWRITE_PNG_COMPRESSION, 1],
        "webp": [cv2.IMWRITE_WEBP_QUALITY, 101],  # above 100 means lossless
    }[format_name]
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR) if image.ndim == 3 else image
    done, encoded = cv2.imencode(f".{format_name}", bgr, options)
    if not done:
        raise PhotoError("encode_failed", f"cannot be encoded as {format_name}", value=image.shape)
    return encoded.tobytes()
