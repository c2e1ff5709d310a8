"""Rows of the photo table and of the reject table."""

from __future__ import annotations

from dataclasses import dataclass

from faceloom.schemas.reject_codes import Stage, check_code

Scalar = str | int | float | bool


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
        landmarks: 68 (x, y) points given by the user, as float32 bytes (544 of them), in pixels of the photo as
            displayed, iBUG order; None if not given.
        size: length in bytes.
        stamp: changes whenever the stored bytes may have changed; a photo with the same uri, size and stamp is not read
            again.
        labels: changes whenever the photo's label files may have changed; empty if there are none.
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
