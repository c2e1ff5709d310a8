"""The plan: what will be made from which face, decided before a pixel is touched."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from faceloom.schemas.keys import face_key, morph_key
from faceloom.schemas.photos import Reject, Scalar


@dataclass(frozen=True, slots=True)
class PlannedMorph:
    """The neighbour that is mixed into a face, and its share.

    Attributes:
        other: the neighbour, which is not a morph itself.
        rank: 0 for the nearest neighbour.
        distance, landmark_distance, texture_distance: distance of the two faces; see `schemas.morph.Morph`.
        shape_weight, texture_weight: the neighbour's share, 0..1.
    """

    other: PlannedFace
    rank: int
    distance: float
    landmark_distance: float
    texture_distance: float
    shape_weight: float
    texture_weight: float


@dataclass(frozen=True, slots=True)
class PlannedFace:
    """One face and the samples that will be made of it.

    Attributes:
        source, uri, photo_sha256: the photo.
        face: number of the face in its photo.
        identity: who it is, or a name made of the photo if nobody knows.
        split: `train`, `val`, `test` or whatever the source calls it.
        landmarks: 68 (x, y) points as float32 bytes, pixels of the upright photo.
        box: left, top, right, bottom in the same pixels.
        masks: for each variant, the number of its mask in the recipe; empty if the recipe has no masks.
        place: place in the prefix tree, which is also the order inside a shard.
        labels: sha256 of what the source says about parts of the face; empty where it says nothing, or nobody asks.
        morph: what the face is mixed with, if this is a morph; the other fields are then of the face that it is mixed
            into, but for identity, licence and consent, which are of both.
    """

    source: str
    uri: str
    photo_sha256: str
    face: int
    identity: str
    split: str
    licence: str | None
    consent: str | None
    attributes: tuple[tuple[str, Scalar], ...]
    width: int
    height: int
    landmarks: bytes
    box: tuple[float, float, float, float]
    masks: tuple[int, ...]
    place: int
    labels: str = ""
    morph: PlannedMorph | None = None

    @property
    def key(self) -> str:
        """Of the face, or of the morph."""
        own = face_key(self.photo_sha256, self.face)
        return own if self.morph is None else morph_key(own, self.morph.other.key)

    @property
    def samples(self) -> int:
        """How many samples this face is planned to give."""
        return max(1, len(self.masks))


@dataclass(frozen=True, slots=True)
class Part:
    """A run of neighbouring faces of one shard: the unit of work, retry, resume and memory.

    Attributes:
        digest: 24 hex digits over everything that decides the part's bytes.
    """

    digest: str
    faces: tuple[PlannedFace, ...]

    @property
    def samples(self) -> int:
        """Samples planned in this part."""
        return sum(face.samples for face in self.faces)


@dataclass(frozen=True, slots=True)
class Shard:
    """A leaf of the prefix tree: one tar file, its parts joined in order."""

    split: str
    prefix: str
    digest: str
    parts: tuple[Part, ...]

    @property
    def name(self) -> str:
        """File name without ending: split, prefix bits, digest."""
        return f"{self.split}-{self.prefix}-{self.digest}"

    @property
    def samples(self) -> int:
        """Samples planned in this shard."""
        return sum(part.samples for part in self.parts)


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that a build will make.

    Attributes:
        digest: sha256 over the shards' names; with the code version it identifies the build.
        rejects: of the analyse and plan stages.
        recall: by split, the measured share of true neighbours that an index found; empty where they are exact.
        neighbours: paths of who is near whom, in the output; none without morphs.
        sample_bytes: estimated size of one sample in a shard.
    """

    digest: str
    shards: tuple[Shard, ...]
    rejects: tuple[Reject, ...]
    sample_bytes: int
    recall: tuple[tuple[str, float], ...] = ()
    neighbours: tuple[str, ...] = ()

    @property
    def faces(self) -> Iterator[PlannedFace]:
        """All of them, morphs too."""
        return (face for shard in self.shards for part in shard.parts for face in part.faces)

    @property
    def samples(self) -> int:
        """Samples planned in all."""
        return sum(shard.samples for shard in self.shards)
