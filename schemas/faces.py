"""Rows of the face table: what analysis found in a photo, cached by photo content and analyser."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from faceloom.schemas.column_types import Count, Figures, Finite, Hex, Landmarks, Offset, Turn

Detector = Literal["", "hog", "yunet", "onnx", "aligned", "given"]
"""What gave a face its box: nothing (a whole photo), a detector, the ArcFace template, or landmarks of the user's."""
DETECTORS: tuple[Detector, ...] = get_args(Detector)
"""All of them, in a fixed order."""
FIGURES = ("yaw", "pitch", "sharpness", "brightness", "contrast")
"""Quality figures of a face in the order of the face table; see `transforms.quality.FaceQuality`."""


@dataclass(frozen=True, slots=True)
class FaceRow:
    """One face of one photo.

    Attributes:
        box: left, top, right, bottom in pixels of the upright photo.
        landmarks: 68 (x, y) points as float32 bytes (544 of them), pixels of the upright photo, iBUG order.
        score: of the detector; 0 if no detector ran.
        quality: in the order of `FIGURES`, in the precision of float32; empty without trusted landmarks.
        detector: what gave the box.
        turn: degrees clockwise by which the head is turned in the photo, if it was found in a photo turned back.
        landmarks_unsure: whether the landmarks are probably wrong.
        masked: share of the box that a mask covers, 0..1, by the detector of `faces.masked`; -1 if it was not measured.
    """

    box: tuple[Finite, Finite, Finite, Finite]
    landmarks: Landmarks
    score: float
    quality: Figures
    detector: Detector = ""
    turn: Turn = 0
    landmarks_unsure: bool = False
    masked: Finite = -1.0

    @property
    def width(self) -> float:
        """Width of the face box in pixels."""
        return self.box[2] - self.box[0]


@dataclass(frozen=True, slots=True)
class Spread:
    """How a figure is spread over faces.

    Attributes:
        faces: that have the figure.
        min, p5, median, p95, max: smallest value, percentiles 5, 50 and 95, largest value.
    """

    faces: Count
    min: Finite
    p5: Finite
    median: Finite
    p95: Finite
    max: Finite


UNREADABLE = "unreadable: "
"""Start of `AnalysedPhoto.labels` if label files could not be read; the reason follows."""


def usable_labels(labels: str) -> str:
    """The sha256 in `AnalysedPhoto.labels`; empty if there are no label files, or they could not be read."""
    return "" if labels.startswith(UNREADABLE) else labels


@dataclass(frozen=True, slots=True)
class AnalysedPhoto:
    """The analysis of one photo: its faces, or the reason why there are none.

    Attributes:
        photo_id, size, stamp: of the photo as it was listed; if all three are the same, the photo did not change.
        sha256: of the photo's bytes.
        width, height: pixels of the upright photo; 0 if the file does not give them.
        faces: empty exactly if `code` is not.
        code, message: of the reject, otherwise empty.
        given: whether the user gave the landmarks; the row then does not apply to other photos with the same bytes.
        labels: sha256 of the photo's label files; empty if there are none; `UNREADABLE` and the reason if they could
            not be read.
    """

    photo_id: str
    size: Offset
    stamp: str
    sha256: Hex
    width: Count
    height: Count
    orientation: Count
    faces: tuple[FaceRow, ...]
    code: str = ""
    message: str = ""
    given: bool = False
    labels: str = ""

    @property
    def labels_fault(self) -> str:
        """Why the label files could not be read; empty if they were read, or there are none."""
        return self.labels.removeprefix(UNREADABLE) if self.labels.startswith(UNREADABLE) else ""
