"""Face detection and 68 landmarks by dlib: HOG detection from coarse to fine, landmarks on the face region only.

dlib's window detects faces from 73 pixels. A picture is therefore searched at a longest side of 208, 416, 832 and so on
up to its full size, then once enlarged. A face found at 208 pixels takes a third of the longest side or more, as in
portraits. The cost grows with the area, so a portrait of 832 pixels costs a sixteenth.
To find all faces, the picture is searched at twice its size, in tiles if it is large.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from faceloom.schemas.errors import PhotoError
from faceloom.schemas.faces import Detector
from faceloom.transforms.types import Grey, Landmarks, Points

Select = Literal["largest", "all", "centre"]

COARSEST_SIDE = 208
"""Longest side of the first search."""
MAX_SEARCHED_PIXELS = 16_000_000
"""Limit on the pixels of one search, enlarged or not (about 1 s and 0.3 GB)."""
OVERLAP = 0.25
"""Overlap of tiles, in sides of the largest tile."""
SMALLEST = 80
"""Width in pixels from which the detector finds every face."""
SAME_FACE = 0.3
"""Boxes with a larger IoU belong to one face: dlib's boxes of a face differ that much between scales."""
SURE = 0.5
"""Detector score from which a face ends the search: 95 of 100 real faces reach it, and hardly any false one."""
LANDMARK_WIDTH = 320
"""Faces narrower than this are enlarged to it, because the predictor returns whole pixels."""
LANDMARK_MARGIN = 0.4
"""Margin around the box that the predictor reads, in box widths."""
ALIGNED_BOX = (0.115, 0.245, 0.895, 1.025)
"""Left, top, right, bottom of the face box in an ArcFace crop, in crop widths and heights: the average of dlib's boxes
over aligned photos, and the box whose landmarks come closest to those found in the photo."""


@dataclass(frozen=True)
class FaceBox:
    """A face rectangle as dlib draws it: brows to chin.

    Attributes:
        left, top, right, bottom: edges in pixels of the frame given, where pixel 0 spans -0.5 to 0.5; may lie outside.
        score: the detector's confidence, above 0; 0 for a box that does not come from a detector.
        detector: what gave the box; empty if that is not known.
        turn: degrees clockwise by which the head is turned in the picture, if it was found in a picture turned back.
        frontal: whether HOG saw it by its view of frontal, upright heads; the other four see turned and tilted ones.
    """

    left: float
    top: float
    right: float
    bottom: float
    score: float = 0.0
    detector: Detector = ""
    turn: int = 0
    frontal: bool = False

    @property
    def width(self) -> float:
        return self.right - self.left

    @property
    def height(self) -> float:
        return self.bottom - self.top

    @property
    def centre(self) -> tuple[float, float]:
        return (self.left + self.right) / 2, (self.top + self.bottom) / 2

    def iou(self, other: FaceBox) -> float:
        """Intersection over union of two boxes, 0..1."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.bottom, other.bottom) - max(self.top, other.top)
        shared = max(0.0, width) * max(0.0, height)
        return shared / (self.width * self.height + other.width * other.height - shared)

    def moved(self, x: float, y: float) -> FaceBox:
        """The box shifted by x, y pixels."""
        return self._at(self.left + x, self.top + y, self.right + x, self.bottom + y)

    def scaled(self, factor: float) -> FaceBox:
        """The box in a frame that is `factor` times as large."""
        left, top, right, bottom = [(v + 0.5) * factor - 0.5 for v in (self.left, self.top, self.right, self.bottom)]
        return self._at(left, top, right, bottom)

    def _at(self, left: float, top: float, right: float, bottom: float) -> FaceBox:
        return FaceBox(left, top, right, bottom, self.score, self.detector, self.turn, self.frontal)


def search_factors(width: int, height: int) -> tuple[float, ...]:
    """Scales at which a picture of this size is searched, coarse to fine; at least one.

    Each doubles the one before, up to the full size and twice the full size. Scales close to the full size and scales
    with too many pixels are skipped.
    """
    largest = math.sqrt(MAX_SEARCHED_PIXELS / (width * height))
    ladder: list[float] = []
    factor = COARSEST_SIDE / max(width, height)
    while factor <= (0.7 if ladder else 0.85):
        ladder.append(factor)
        factor *= 2
    return tuple(factor for factor in (*ladder, 1.0, 2.0) if factor <= largest)


def factors_for_all_faces(width: int, height: int) -> tuple[float, ...]:
    """Scales at which a picture of this size is searched for all of its faces, coarse to fine.

    Twice the full size. If that needs tiles, also the smaller scales at which faces too large for a tile are found,
    down to one that needs no tiles.
    """
    step = max(2.0, OVERLAP * math.sqrt(MAX_SEARCHED_PIXELS) / (1.5 * SMALLEST))
    factors = [2.0]
    while width * height * factors[-1] ** 2 > MAX_SEARCHED_PIXELS:
        factors.append(factors[-1] / step)
    return tuple(reversed(factors))


def coarse_to_fine(
    look: Callable[[float], tuple[FaceBox, ...]], width: int, height: int, select: Select
) -> tuple[FaceBox, ...]:
    """Search scale by scale and stop early.

    A weak detection at a coarse scale may be a blouse or a cloud. It is used only if no sure face is found up to the
    full size; then the strongest one is.

    Args:
        look: gives the faces at one scale, in pixels of the full picture.
        width, height: of the full picture.
        select: `largest` and `centre` search coarse to fine and stop at the first scale with a sure face: the largest,
            or of those seen at that scale (at least about half as large) the one nearest to the picture's centre.
            `all` searches up to twice the full size, which finds faces from 40 pixels; the largest comes first.

    Returns:
        Boxes in pixels of the full picture: at most one unless `select` is `all`; none if there is no face.
    """
    if select == "all":
        found = (face for factor in factors_for_all_faces(width, height) for face in look(factor))
        return select_faces(suppress_duplicates(found), select, width, height)
    weak: tuple[FaceBox, ...] = ()
    for factor in search_factors(width, height):
        if weak and factor > 1:
            break
        faces = look(factor)
        sure = tuple(face for face in faces if face.score >= SURE)
        if sure:
            return select_faces(sure, select, width, height)
        weak += faces
    return (max(weak, key=lambda face: face.score),) if weak else ()


def detect_at_scale(grey: Grey, detector: Any, factor: float) -> tuple[FaceBox, ...]:
    """Every face at one scale of the picture.

    A picture with more than `MAX_SEARCHED_PIXELS` at this scale is searched in tiles. A face narrower than about two
    thirds of their overlap is found; larger ones may be cut by every tile.

    Args:
        grey: uint8 (H, W).
        detector: dlib's frontal face detector.
        factor: by which the picture is enlarged.

    Returns:
        Boxes in pixels of `grey`.
    """
    height, width = grey.shape
    side = math.sqrt(MAX_SEARCHED_PIXELS) / factor
    if width * height <= side * side:
        return _search(grey, detector, factor)
    return suppress_duplicates(
        face.moved(left, top)
        for top, bottom in tiles(height, side)
        for left, right in tiles(width, side)
        for face in _search(grey[top:bottom, left:right], detector, factor)
    )


def tiles(length: int, side: float) -> list[tuple[int, int]]:
    """Starts and ends of tiles of at most `side` that cover a length evenly and overlap by a quarter of `side`."""
    overlap = OVERLAP * side
    count = max(1, math.ceil((length - overlap) / (side - overlap)))
    size = min(length, math.floor((length + (count - 1) * overlap) / count))
    starts = [round(number * (length - size) / max(1, count - 1)) for number in range(count)]
    return [(start, start + size) for start in starts]


def _search(grey: Grey, detector: Any, factor: float) -> tuple[FaceBox, ...]:
    import cv2

    if factor != 1:
        height, width = grey.shape
        size = max(1, round(width * factor)), max(1, round(height * factor))
        grey = np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR))
    boxes, scores, views = detector.run(np.ascontiguousarray(grey), 0, 0.0)
    found = (
        FaceBox(b.left() - 0.5, b.top() - 0.5, b.right() + 0.5, b.bottom() + 0.5, s, "hog", frontal=view == 0)
        for b, s, view in zip(boxes, scores, views, strict=True)
    )
    return tuple(face.scaled(1 / factor) for face in found)


def suppress_duplicates(faces: Iterable[FaceBox]) -> tuple[FaceBox, ...]:
    """Non-maximum suppression: of boxes that overlap by more than `SAME_FACE`, keep the one with the highest score."""
    kept: list[FaceBox] = []
    for face in sorted(faces, key=lambda face: (-face.score, face.left, face.top, face.right)):
        if all(face.iou(other) <= SAME_FACE for other in kept):
            kept.append(face)
    return tuple(kept)


def select_faces(faces: tuple[FaceBox, ...], select: Select, width: int, height: int) -> tuple[FaceBox, ...]:
    """The faces that `select` asks for, the largest first."""
    by_size = sorted(faces, key=lambda face: (-face.width, face.left, face.top))
    if select == "centre":
        middle = ((width - 1) / 2, (height - 1) / 2)
        return (min(by_size, key=lambda face: math.dist(face.centre, middle)),)
    return tuple(by_size) if select == "all" else tuple(by_size[:1])


def predict_landmarks(grey: Grey, box: FaceBox, predictor: Any) -> Landmarks:
    """The 68 iBUG landmarks of the face in a box.

    Args:
        grey: uint8 (H, W).
        box: the face, in pixels of `grey`.
        predictor: dlib's 68-point shape predictor.

    Returns:
        float32 (68, 2), x and y in pixels of `grey`; may lie outside the picture.
    """
    import cv2
    import dlib

    scale, offset = np.ones(2), np.zeros(2)
    if box.width < LANDMARK_WIDTH:
        margin = LANDMARK_MARGIN * box.width
        height, width = grey.shape
        left = min(max(0, math.floor(box.left - margin)), width - 1)  # at least one pixel of the picture
        top = min(max(0, math.floor(box.top - margin)), height - 1)
        right, bottom = max(left + 1, math.ceil(box.right + margin)), max(top + 1, math.ceil(box.bottom + margin))
        face = grey[top:bottom, left:right]
        factor = LANDMARK_WIDTH / box.width
        size = max(1, round(face.shape[1] * factor)), max(1, round(face.shape[0] * factor))
        scale, offset = np.array(size) / face.shape[::-1], np.array([left, top])
        grey = np.asarray(cv2.resize(face, size, interpolation=cv2.INTER_LINEAR))
    (x0, y0), (x1, y1) = ((np.array([[box.left, box.top], [box.right, box.bottom]]) - offset + 0.5) * scale).round()
    shape = predictor(np.ascontiguousarray(grey), dlib.rectangle(int(x0), int(y0), int(x1) - 1, int(y1) - 1))
    points = np.array([(point.x, point.y) for point in shape.parts()], np.float64)
    return ((points + 0.5) / scale - 0.5 + offset).astype(np.float32)


def box_for_aligned(width: int, height: int) -> FaceBox:
    """The face box of an ArcFace crop; it follows from the template, so no detector is needed."""
    left, top, right, bottom = ALIGNED_BOX
    left, right, top, bottom = left * width - 0.5, right * width - 0.5, top * height - 0.5, bottom * height - 0.5
    return FaceBox(left, top, right, bottom, detector="aligned")


def box_of_landmarks(landmarks: Points) -> FaceBox:
    """A face box from landmarks: the square around their bounding box.

    Raises:
        PhotoError: `degenerate_points`, when the landmarks coincide or are not finite.
    """
    low, high = landmarks.min(axis=0), landmarks.max(axis=0)
    (x, y), half = (low + high) / 2, float((high - low).max()) / 2
    if not 0 < half < math.inf:
        raise PhotoError("degenerate_points", "landmarks that coincide or are not finite make no face")
    return FaceBox(float(x) - half, float(y) - half, float(x) + half, float(y) + half, detector="given")
