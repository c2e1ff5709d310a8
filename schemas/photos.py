"""Rows of the photo table and of the reject table."""

from __future__ import annotations

from dataclasses import dataclass

from faceloom.schemas.reject_codes import Stage, check_code

Scalar = str | int | float | bool


FIVE_POINTS = 40
"""Bytes of five (x, y) points as float32."""


@dataclass(frozen=True, slots=True)
class GivenFace:
    """A face that a source names in a photo, with its place there.

    Attributes:
        identity, attributes: of this face, as those of `Photo`.
        box: left, top, right, bottom in pixels of the photo as displayed; None if not given.
        landmarks: as those of `Photo`. There are landmarks, a box, or both.
    """

    identity: str | None
    attributes: tuple[tuple[str, Scalar], ...]
    box: tuple[float, float, float, float] | None
    landmarks: bytes | None


@dataclass(frozen=True, slots=True)
class Photo:
    """One photo of a source, as listed and not yet read.

    Attributes:
        source: name of its source.
        uri: path inside the source, with forward slashes; unique there, and the same on every machine:
            `Tony_Blair/Tony_Blair_0001.jpg`, or `shard-0001.tar::key.jpg` for a member of a tar file.
        identity: the person in the photo; None if the source does not give it.
        split: the source's own split, such as `train`; None if it has none.
        licence: terms of use, as free text.
        consent: what the subject agreed to, as free text.
        attributes: further values, sorted by name.
        landmarks: points given by the user as float32 bytes, in pixels of the photo as displayed; None if not given.
            68 (x, y) points in iBUG order (544 bytes), or five (40 bytes): eyes, nose tip and mouth corners, from left
            to right in the picture, as RetinaFace has them.
        size: length in bytes.
        stamp: changes whenever the stored bytes may have changed; a photo with the same uri, size and stamp is not read
            again.
        labels: changes whenever the photo's label files may have changed; empty if there are none.
        faces: the faces that the source places in the photo, the largest first; empty if it places none, or gives
            landmarks of a single face. `identity` is then the first name among them, `attributes` are those of the
            first face, and `landmarks` is None.
    """

    source: str
    uri: str
    identity: str | None
    split: str | None
    licence: str | None
    consent: str | None
    attributes: tuple[tuple[str, Scalar], ...]
    landmarks: bytes | None
    size: int
    stamp: str
    labels: str = ""
    faces: tuple[GivenFace, ...] = ()

    @property
    def names(self) -> frozenset[str]:
        """The people in the photo, as far as the source gives them."""
        stated = (self.identity, *(face.identity for face in self.faces))
        return frozenset(name for name in stated if name is not None)

    @property
    def photo_id(self) -> str:
        """Name of the photo, unique among all sources of a build."""
        return f"{self.source}/{self.uri}"


@dataclass(frozen=True, slots=True)
class Reject:
    """One photo, face or sample that was rejected, with the reason. Holds no pixels.

    Attributes:
        stage: in which it was rejected.
        source: name of its source.
        uri: path inside the source, escaped if it is not printable.
        code: one of `REJECT_CODES`.
        message: what is wrong, for a person to read.
        key: key of the face or sample, once there is one.

    Raises:
        ValueError: there is no such code.
    """

    stage: Stage
    source: str
    uri: str
    code: str
    message: str
    key: str = ""

    def __post_init__(self) -> None:
        check_code(self.code)
