"""Analysis of one photo from its bytes: faces, landmarks and quality, at the lowest resolution that suffices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from faceloom.schemas.errors import PhotoError
from faceloom.transforms.decode import (
    MAX_PIXELS,
    REDUCTIONS,
    PhotoHeader,
    decode_grey,
    decode_rgb,
    read_header,
    to_full_frame,
    to_reduced_frame,
)
from faceloom.transforms.detect import (
    FaceBox,
    Select,
    box_for_aligned,
    coarse_to_fine,
    detect_at_scale,
)
from faceloom.transforms.face_search import Network, find_by_network, merged
from faceloom.transforms.given import Given, given_face, predict_from_five, predict_in_loose_box, refuse_outside
from faceloom.transforms.landmarks import FaceLandmarks, find_landmarks
from faceloom.transforms.quality import FaceQuality, measure_face
from faceloom.transforms.types import Grey, Image, Landmarks, Points

ANALYSED_SIDE = 512
"""Photos are analysed at the smallest reduction that keeps their longest side at this many pixels or more."""
ANALYSED_FACE = 128
"""A face narrower than this in the reduced photo is analysed again in a larger one."""

_HOG_ALONE = "dlib's detector sees near-frontal, uncovered faces; `faces: {detector: auto}` sees more"

Timed = Callable[[str], AbstractContextManager[None]]
"""Takes the name of a step and returns the context manager in which the step runs."""


def untimed(step: str) -> AbstractContextManager[None]:
    """A context that does nothing."""
    return nullcontext()


@dataclass(frozen=True, eq=False)
class Face:
    """One face, in pixels of the full, upright photo.

    Attributes:
        box: the face rectangle.
        landmarks: float32 (68, 2), iBUG order; (0, 2) if the user places several faces and this cannot be one.
        quality: measured figures; None without trusted landmarks.
        unsure: whether the landmarks are probably wrong.
    """

    box: FaceBox
    landmarks: Landmarks
    quality: FaceQuality | None
    unsure: bool = False


@dataclass(frozen=True, eq=False)
class PhotoAnalysis:
    """The result of analysing one photo.

    Attributes:
        header: format, size and orientation from the file's header.
        width, height: of the upright photo (EXIF orientation applied), in pixels.
        faces: at least one, the largest first; where two detectors ran, first those of HOG, then the others.
    """

    header: PhotoHeader
    width: int
    height: int
    faces: tuple[Face, ...]


def analysis_reduction(width: int, height: int) -> int:
    """The reduction at which a photo of this size is first decoded: the longest side stays at 512 pixels or more.

    The face of a portrait is then about 180 pixels wide. Its landmarks differ from those of the full photo by less than
    1 % of the eye distance, which is also the difference between two scales of the full photo.
    """
    return max(
        reduction for reduction in REDUCTIONS if reduction == 1 or max(width, height) / reduction >= ANALYSED_SIDE
    )


def analyse_photo(
    data: bytes,
    *,
    predictor: Any,
    detector: Any,
    network: Network | None = None,
    hog_first: bool = True,
    select: Select = "largest",
    assume: Literal["photo", "aligned"] = "photo",
    given_landmarks: Points | None = None,
    given: Sequence[Given] = (),
    max_pixels: int = MAX_PIXELS,
    keep_damaged: bool = False,
    timed: Timed = untimed,
    header: PhotoHeader | None = None,
) -> PhotoAnalysis:
    """Find the faces of a photo, their landmarks and their quality.

    Args:
        data: the file's bytes.
        predictor: dlib's 68-point shape predictor.
        detector: dlib's frontal face detector; not used for aligned photos and given faces.
        network: searches photos in which `detector` finds no face, and all photos if `select` is `all`.
        hog_first: False to search by the network alone.
        select: which faces to keep, see `detect.coarse_to_fine`.
        assume: `aligned` for ArcFace crops, whose face box is known.
        given_landmarks: float32 (68, 2) or (5, 2) of the only face, in pixels of the upright photo. 68 points are used
            as they are; five are where the search for 68 starts.
        given: several faces, or faces with a box, in the order of the result; also used as they are.
        max_pixels: limit on the stored picture.
        keep_damaged: whether JPEGs that show damage inside are used too.
        timed: called with the name of each step (`decode`, `detect`, `landmarks`, `measure`), to time it.
        header: result of `read_header` for these bytes, if it is known.

    Raises:
        PhotoError: as `decode.read_header`, and `no_face`, `degenerate_points`, `crop_outside`.
    """
    header = header or read_header(data, max_pixels=max_pixels)
    width, height = header.size

    def decode(reduction: int) -> Grey:
        with timed("decode"):
            return decode_grey(data, reduction=reduction, header=header, check=not keep_damaged)

    reduction = analysis_reduction(width, height)
    grey = None
    if given_landmarks is not None:
        given = (given_face(None, given_landmarks),)
    if given:
        boxes: tuple[FaceBox, ...] = tuple(one.box for one in given)
    elif assume == "aligned":
        boxes = (box_for_aligned(width, height),)
    else:
        boxes = ()
        if hog_first or network is None:
            boxes, reduction, grey = _find(decode, width, height, reduction, detector, select, timed)
        if network is not None and (select == "all" or not boxes):
            boxes = merged(boxes, _find_by_network(data, header, network, select, not boxes, timed))
    if not boxes:
        raise PhotoError("no_face", "no face was found", remedy=_HOG_ALONE if network is None else "")
    needed = _reduction_for(min(box.width for box in boxes), reduction)
    if grey is None or needed < reduction:
        reduction = needed
        grey = decode(reduction)
    faces = _faces(grey, given or [Given(box, by_user=False) for box in boxes], reduction, predictor, timed)
    return PhotoAnalysis(header, width, height, faces)


def _find(
    decode: Callable[[int], Grey],
    width: int,
    height: int,
    reduction: int,
    detector: Any,
    select: Select,
    timed: Timed,
) -> tuple[tuple[FaceBox, ...], int, Grey]:
    """Search coarse to fine, decoding the photo larger only when a scale needs it; boxes are in the full photo."""
    grey = decode(reduction)

    def look(factor: float) -> tuple[FaceBox, ...]:
        nonlocal reduction, grey
        if reduction > 1 and factor * reduction > 1:
            reduction = max(r for r in REDUCTIONS if r == 1 or r * factor <= 1)
            grey = decode(reduction)
        with timed("detect"):
            return tuple(box.scaled(reduction) for box in detect_at_scale(grey, detector, factor * reduction))

    return coarse_to_fine(look, width, height, select), reduction, grey


def _find_by_network(
    data: bytes, header: PhotoHeader, network: Network, select: Select, thorough: bool, timed: Timed
) -> tuple[FaceBox, ...]:
    """Search with a network, decoding the photo in colour, and larger only when a scale needs it."""
    import cv2

    width, height = header.size
    decoded: dict[int, Image] = {}

    def look(side: int) -> Image:
        factor = side / max(width, height)
        reduction = max(r for r in REDUCTIONS if r == 1 or r * factor <= 1)
        if reduction not in decoded:
            with timed("decode"):
                decoded[reduction] = decode_rgb(data, reduction=reduction, header=header)
        size = max(1, round(width * factor)), max(1, round(height * factor))
        picture = decoded[reduction]
        if picture.shape[1::-1] == size:
            return picture
        by = cv2.INTER_AREA if size[0] < picture.shape[1] else cv2.INTER_LINEAR
        return np.asarray(cv2.resize(picture, size, interpolation=by), np.uint8)

    def find(picture: Image) -> tuple[FaceBox, ...]:
        with timed("detect"):
            return network.find(picture)

    return find_by_network(look, replace(network, find=find), width, height, select, thorough=thorough)


def _reduction_for(face_width: float, reduction: int) -> int:
    while reduction > 1 and face_width / reduction < ANALYSED_FACE:
        reduction //= 2
    return reduction


def _faces(grey: Grey, given: Sequence[Given], reduction: int, predictor: Any, timed: Timed) -> tuple[Face, ...]:
    """The faces; one of several that cannot be a face in this photo has no landmarks, so that the others are used."""
    faces, faults = [], []
    for one in given:
        try:
            faces.append(_face(grey, one, reduction, predictor, timed))
        except PhotoError as error:
            if len(given) == 1 or not one.by_user:
                raise
            faults.append(error)
            faces.append(Face(one.box, np.zeros((0, 2), np.float32), None))
    if len(faults) == len(faces):
        raise faults[0]
    return tuple(faces)


def _face(grey: Grey, face: Given, reduction: int, predictor: Any, timed: Timed) -> Face:
    if face.fault is not None:
        raise face.fault
    if face.loose:
        refuse_outside(face.box.scaled(1 / reduction), grey)
    if face.landmarks is None:
        with timed("landmarks"):
            if face.five is not None:
                found = predict_from_five(grey, to_reduced_frame(face.five, reduction), predictor)
            else:
                predict = predict_in_loose_box if face.loose else find_landmarks
                found = predict(grey, face.box.scaled(1 / reduction), predictor)
            landmarks = to_full_frame(found.points, reduction)
    else:
        found, landmarks = FaceLandmarks(to_reduced_frame(face.landmarks, reduction), unsure=False), face.landmarks
    with timed("measure"):
        quality = None if found.unsure else measure_face(grey, found.points)
    return Face(face.box, landmarks, quality, found.unsure)
