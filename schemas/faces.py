"""Rows of the face table: what analysis found in a photo, cached by photo content and analyser."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FaceRow:
    """One face of one photo.

    Attributes:
        box: left, top, right, bottom in pixels of the upright photo.
        landmarks: 68 (x, y) points as float32 bytes (544 of them), pixels of the upright photo, iBUG order.
        score: the detector's, or 0 where no detector ran.
        quality: named figures of `faceloom.transforms.quality`; empty where they were not asked for.
    """

    box: tuple[float, float, float, float]
    landmarks: bytes
    score: float
    quality: tuple[tuple[str, float], ...]

    @property
    def width(self) -> float:
        """Width of the face box in pixels."""
        return self.box[2] - self.box[0]


UNREADABLE = "unreadable: "
"""How `AnalysedPhoto.labels` begins where label files could not be read; the reason follows."""


@dataclass(frozen=True, slots=True)
class AnalysedPhoto:
    """What analysis says of one photo: its faces, or why there are none.

    Attributes:
        photo_id, size, stamp: of the photo as it was listed; an unchanged photo is recognised by them.
        sha256: of the photo's bytes.
        width, height: pixels of the upright photo; 0 where the file does not say.
        faces: empty exactly if `code` is not.
        code, message: of the reject, else empty.
        given: whether the user gave the landmarks; then nothing is said about other photos of the same bytes.
        labels: sha256 of what the source says about parts of the face; empty where it says nothing; `UNREADABLE` and
            why where that could not be read.
    """

    photo_id: str
    size: int
    stamp: str
    sha256: str
    width: int
    height: int
    orientation: int
    faces: tuple[FaceRow, ...]
    code: str = ""
    message: str = ""
    given: bool = False
    labels: str = ""

    @property
    def labels_fault(self) -> str:
        """Why the label files could not be read; empty if they could, or there are none."""
        return self.labels.removeprefix(UNREADABLE) if self.labels.startswith(UNREADABLE) else ""
