"""Which faces wear a mask already: a trained detector runs on each face, and its share of the face is kept."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from faceloom.models.checkpoint import BEST, CARD, check_weights, read_card
from faceloom.pipelines.store.fetched import fetched_folder
from faceloom.schemas.errors import CheckpointError, PhotoError, RecipeError
from faceloom.schemas.face_options import Faces
from faceloom.schemas.faces import FaceRow
from faceloom.schemas.keys import digest
from faceloom.schemas.urls import url_of
from faceloom.transforms.align import crop_reduction, cut_crop
from faceloom.transforms.box_alignment import box_aligned_matrix
from faceloom.transforms.decode import PhotoHeader, decode_rgb
from faceloom.transforms.detect import FaceBox
from faceloom.transforms.geometry import apply_affine, compose, scale_of
from faceloom.transforms.types import BoolMask, Image, Matrix

if TYPE_CHECKING:
    from faceloom.models.detector.predict import MaskDetector
    from faceloom.schemas.model_card import ModelCard

WAITING = 64
"""Crops that are collected before the network runs."""
SHARE_DIGITS = 4
"""Decimals of a share that are kept."""
_WHERE = "$.faces.masked.detector"


def gate_folder(faces: Faces) -> Path:
    """The folder of the detector's run on this machine; of one that is named by URL, card and weights are copied.

    Raises:
        CheckpointError: the URL names no run.
        StorageError: its object store cannot be used.
    """
    assert faces.masked is not None
    try:
        return fetched_folder(faces.masked.detector, (CARD, BEST))
    except OSError as error:
        remedy = "Give the URL of a folder that holds card.json and best.safetensors"
        what = f"cannot be read ({error.strerror})"
        raise CheckpointError(what, where=str(error.filename), remedy=remedy) from None


def gate_id(faces: Faces) -> tuple[str, ...]:
    """Digests of the detector's weights and settings, part of the analyser's identity; nothing without one.

    Raises:
        RecipeError: the folder is no run of a detector, or its weights are missing or truncated.
    """
    if faces.masked is None:
        return ()
    try:
        folder = gate_folder(faces)
        card = read_card(folder, "detector")
        check_weights(folder, card, digest=False)
    except CheckpointError as error:
        raise _of_recipe(faces, error) from None
    settings = card.hyper_parameters
    used = digest(card.data.align.model_dump(mode="json"), card.size, settings["dilate"], settings["reduce"])
    return ("masked", card.files[BEST].sha256, used)


def check_gate(faces: Faces) -> None:
    """Load the detector as the workers do, and check its weights against their digest.

    Raises:
        RecipeError: the run is damaged, or PyTorch is not installed.
    """
    if faces.masked is None:
        return
    try:
        from faceloom.models.detector.predict import MaskDetector

        MaskDetector.load(gate_folder(faces))
    except CheckpointError as error:
        raise _of_recipe(faces, error) from None
    except ImportError as error:
        remedy = "Run: pip install 'faceloom[torch]'"
        raise RecipeError("a detector of masks needs PyTorch", where=_WHERE, value=error, remedy=remedy) from None


def _of_recipe(faces: Faces, error: CheckpointError) -> RecipeError:
    assert faces.masked is not None
    place = faces.masked.detector if url_of(faces.masked.detector) else error.where
    return RecipeError(f"cannot be used: {place}: {error.what}", where=_WHERE, value=error.value, remedy=error.remedy)


def load_gate(faces: Faces) -> MaskGate | None:
    """The gate of a recipe, if it has one; the network is loaded once per process."""
    ids = gate_id(faces)
    return MaskGate(_load(faces.masked.detector, ids)) if faces.masked is not None else None


@lru_cache(maxsize=2)
def _load(detector: str, ids: tuple[str, ...]) -> MaskDetector:
    from faceloom.models.detector.predict import MaskDetector

    return MaskDetector.load(fetched_folder(detector, (CARD, BEST)), digest=url_of(detector) is not None)


class MaskGate:
    """Collects crops of faces and measures them in batches."""

    def __init__(self, detector: MaskDetector) -> None:
        self._detector = detector
        self._crops: list[tuple[tuple[int, int], Image, Matrix, FaceRow]] = []
        self._shares: dict[tuple[int, int], float] = {}

    def add(self, number: int, data: bytes, header: PhotoHeader, faces: Sequence[FaceRow], most_pixels: int) -> None:
        """Cut the faces of a photo out.

        A face that cannot be cut out is not measured, and the others are.

        Args:
            number: of the photo among those of the task.
            data: the photo's bytes.
            header: from `read_header`.
            faces: found in it.
            most_pixels: limit on the stored picture.

        Raises:
            PhotoError: the photo cannot be decoded.
        """
        boxes = [_box(face) for face in faces]
        cuts = cut_faces(self._detector.card, data, header, boxes, most_pixels)
        for at, (face, cut) in enumerate(zip(faces, cuts, strict=True)):
            if cut is not None:
                self._crops.append(((number, at), *cut, face))
        if len(self._crops) >= WAITING:
            self._run()

    def measured(self, number: int, faces: Sequence[FaceRow]) -> tuple[FaceRow, ...]:
        """The faces of a photo that was added, with the share that a mask covers, -1 if it was not measured."""
        self._run()
        return tuple(replace(face, masked=self._shares.get((number, at), -1.0)) for at, face in enumerate(faces))

    def _run(self) -> None:
        if not self._crops:
            return
        from faceloom.models.threads import one_thread

        with one_thread():
            found = self._detector.find(np.stack([crop for _, crop, _, _ in self._crops]))
        for (place, _, matrix, face), region in zip(self._crops, found, strict=True):
            self._shares[place] = round(masked_share(region, matrix, _box(face)), SHARE_DIGITS)
        self._crops.clear()


def cut_faces(
    card: ModelCard, data: bytes, header: PhotoHeader, boxes: Sequence[FaceBox], most_pixels: int
) -> list[tuple[Image, Matrix] | None]:
    """Cut faces as the training data of a network was cut.

    Args:
        card: of the network that will see the crops.
        data: the photo's bytes.
        header: from `read_header`.
        boxes: of the faces, in the photo.
        most_pixels: limit on the stored picture.

    Returns:
        For each face its crop, uint8 (S, S, 3), RGB, and photo to crop, 2x3; None for a box that cannot be cut.

    Raises:
        PhotoError: the photo cannot be decoded.
    """
    size, align = (card.size, card.size), card.data.align
    matrices: dict[int, Matrix] = {}
    for number, box in enumerate(boxes):
        with suppress(PhotoError):
            matrices[number] = box_aligned_matrix(align, box, size, header.size)
    cuts: list[tuple[Image, Matrix] | None] = [None] * len(boxes)
    if not matrices:
        return cuts
    reduction = min(map(crop_reduction, matrices.values()))
    picture = decode_rgb(data, reduction=reduction, header=header, max_pixels=most_pixels)
    to_full = np.array([[reduction, 0, (reduction - 1) / 2], [0, reduction, (reduction - 1) / 2]], np.float64)
    for number, matrix in matrices.items():
        with suppress(PhotoError):
            cuts[number] = cut_crop(picture, compose(matrix, to_full), size, align.border)[0], matrix
    return cuts


def _box(face: FaceRow) -> FaceBox:
    return FaceBox(*face.box, turn=face.turn)


def masked_share(region: BoolMask, matrix: Matrix, box: FaceBox) -> float:
    """Share of the face box that a mask covers, 0..1.

    Args:
        region: bool (S, S), where the mask is, in a crop of the face.
        matrix: photo to crop, 2x3.
        box: of the face, in the photo.
    """
    # Crops are upright, so that edges of a box stay level, also of a head that is turned in the photo.
    centre = apply_affine(matrix, np.array([box.centre]))[0]
    half = np.array([box.width, box.height]) / 2 * scale_of(matrix)
    (left, top), (right, bottom) = np.rint(centre - half).astype(int), np.rint(centre + half).astype(int) + 1
    inside = region[max(0, top) : max(0, bottom), max(0, left) : max(0, right)]
    return float(inside.mean()) if inside.size else 0.0
