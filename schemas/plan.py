"""The plan of a build: which samples are made from which face, decided before any pixel is read."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import chain, groupby
from operator import eq
from typing import Any, overload

from faceloom.schemas.column_types import Count, Finite, FivePoints, Landmarks, Turn
from faceloom.schemas.faces import Detector, Spread
from faceloom.schemas.keys import face_key, morph_key, variant_key
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
class FrameFace:
    """One face of a frame, a sample that shows a whole photo.

    Attributes:
        face: number of the face in its photo.
        identity: the person, or a name derived from the photo.
        box: left, top, right, bottom in pixels of the upright photo.
        landmarks: as of a `PlannedFace`.
        masks: for each variant, the number of its mask in the recipe, -1 for none; empty if the recipe has no masks, or
            if the face is not used.
        used: whether the recipe selects the face. A frame states the boxes of the others too, as it shows them.
        fault: code of the reject of a face that is not used; empty otherwise.
    """

    face: Count
    identity: str
    box: tuple[Finite, Finite, Finite, Finite]
    landmarks: Landmarks
    detector: Detector
    score: Finite
    turn: Turn
    masks: tuple[int, ...]
    used: bool
    fault: str = ""


@dataclass(frozen=True, slots=True)
class PlannedFrame:
    """What a whole photo shows.

    Attributes:
        faces: all faces that were found, in the order of their numbers.
        people: everyone who is named for the photo or for a face of it.
    """

    faces: tuple[FrameFace, ...]
    people: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PlannedFace:
    """One face and the samples that will be made of it.

    Attributes:
        source, uri, photo_sha256: the photo.
        face: number of the face in its photo.
        identity: the person, or a name derived from the photo if the source gives none.
        split: `train`, `val`, `test`, or a name from the source.
        landmarks: 68 (x, y) points as float32 bytes, pixels of the upright photo; empty without trusted ones.
        box: left, top, right, bottom in the same pixels.
        masks: for each variant, the number of its mask in the recipe; empty if the recipe has no masks.
        place: place in the prefix tree, which is also the order inside a shard.
        labels: sha256 of the label files of the photo; empty without them, or if the recipe does not need them.
        detector: what gave the box; empty for a whole photo.
        score: of the detector.
        turn: degrees clockwise by which the head is turned in the photo, if it was found in a photo turned back.
        landmarks_unsure: whether there are no landmarks because those that were found are probably wrong.
        morph: the neighbour that is mixed into the face, if this is a morph. Identity, licence and consent are then
            those of both people, and attributes those in which both agree; the other fields are those of the face
            itself.
        five: eyes, nose tip and mouth corners (5, 2) as float32 bytes, if the source gives these five points: then they
            align the face. Empty without them.
        frame: the faces of the photo, if the sample shows the whole photo. The face itself is then the first one that
            is used, and identity and attributes are those of the photo.
    """

    source: str
    uri: str
    photo_sha256: str
    face: Count
    identity: str
    split: str
    licence: str | None
    consent: str | None
    attributes: tuple[tuple[str, Scalar], ...]
    width: Count
    height: Count
    landmarks: Landmarks
    box: tuple[Finite, Finite, Finite, Finite]
    masks: tuple[Count, ...]
    place: int
    labels: str = ""
    morph: PlannedMorph | None = None
    five: FivePoints = b""
    detector: Detector = ""
    score: Finite = 0.0
    turn: Turn = 0
    landmarks_unsure: bool = False
    frame: PlannedFrame | None = None

    @property
    def key(self) -> str:
        """Key of the face, or of the morph."""
        own = face_key(self.photo_sha256, self.face)
        return own if self.morph is None else morph_key(own, self.morph.other.key)

    @property
    def samples(self) -> int:
        """Number of samples planned for this face."""
        return max(1, len(self.masks))

    @property
    def sample_keys(self) -> list[str]:
        """Keys of its samples, in the order of their variants."""
        return [variant_key(self.key, variant) for variant in range(self.samples)]


class FaceRows(Sequence[PlannedFace]):
    """Planned faces, which need not be objects yet. What is counted of all faces is counted without making them."""

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, FaceRows):
            return NotImplemented
        return len(self) == len(other) and all(map(eq, self, other))

    __hash__ = None  # type: ignore[assignment]

    @overload
    def __getitem__(self, at: int) -> PlannedFace: ...
    @overload
    def __getitem__(self, at: slice) -> FaceRows: ...
    @abstractmethod
    def __getitem__(self, at: int | slice) -> PlannedFace | FaceRows: ...

    @abstractmethod
    def places(self) -> Sequence[int]:
        """Place of each face in the prefix tree."""

    @abstractmethod
    def weights(self) -> Sequence[int]:
        """Samples of each face, or a NumPy array of them."""

    @property
    @abstractmethod
    def samples(self) -> int:
        """Samples planned of these faces."""

    @property
    @abstractmethod
    def morphs(self) -> int:
        """How many of them are morphs."""

    @abstractmethod
    def begins(self) -> Sequence[bool]:
        """Whether each face is the first one of its photo, or a NumPy array of that."""

    @abstractmethod
    def photos(self) -> Iterator[tuple[str, str]]:
        """Source and uri of their photos, once for faces of one photo that follow each other."""

    @abstractmethod
    def masks(self) -> Iterator[tuple[int, int]]:
        """Numbers of masks in the recipe, and the samples that wear each; without samples that wear none."""

    @abstractmethod
    def sources(self) -> Iterator[tuple[str, int]]:
        """Names of sources, and the samples of each."""

    @abstractmethod
    def columns(self) -> dict[str, Any]:
        """A list or pyarrow array for each field; attributes as JSON, places as 16 bytes, morphs as mappings."""

    @abstractmethod
    def joined(self, others: Sequence[FaceRows]) -> FaceRows:
        """These faces and those that follow them."""


class FaceList(FaceRows):
    """Planned faces that are objects, such as morphs."""

    def __init__(self, faces: Iterable[PlannedFace]) -> None:
        self._faces = tuple(faces)

    def __len__(self) -> int:
        return len(self._faces)

    @overload
    def __getitem__(self, at: int) -> PlannedFace: ...
    @overload
    def __getitem__(self, at: slice) -> FaceList: ...
    def __getitem__(self, at: int | slice) -> PlannedFace | FaceList:
        return FaceList(self._faces[at]) if isinstance(at, slice) else self._faces[at]

    def places(self) -> Sequence[int]:
        return [face.place for face in self._faces]

    def weights(self) -> Sequence[int]:
        return [face.samples for face in self._faces]

    @property
    def samples(self) -> int:
        return sum(face.samples for face in self._faces)

    @property
    def morphs(self) -> int:
        return sum(face.morph is not None for face in self._faces)

    def begins(self) -> Sequence[bool]:
        shas = [face.photo_sha256 for face in self._faces]
        return [one != before for one, before in zip(shas, [None, *shas], strict=False)]

    def photos(self) -> Iterator[tuple[str, str]]:
        return (photo for photo, _ in groupby((face.source, face.uri) for face in self._faces))

    def masks(self) -> Iterator[tuple[int, int]]:
        yield from Counter(number for face in self._faces for number in face.masks).items()

    def sources(self) -> Iterator[tuple[str, int]]:
        counts: Counter[str] = Counter()
        for face in self._faces:
            counts[face.source] += face.samples
        yield from counts.items()

    def columns(self) -> dict[str, Any]:
        rows = list(map(_plain, self._faces))
        return {field.name: [row[field.name] for row in rows] for field in fields(PlannedFace)}

    def joined(self, others: Sequence[FaceRows]) -> FaceList:
        return FaceList(chain(self, *others))


def frame_text(frame: PlannedFrame) -> str:
    """A frame as JSON; landmarks are hexadecimal."""
    faces = [asdict(face) | {"landmarks": face.landmarks.hex()} for face in frame.faces]
    return json.dumps({"faces": faces, "people": frame.people}, sort_keys=True)


def _plain(face: PlannedFace) -> dict[str, Any]:
    row = {field.name: getattr(face, field.name) for field in fields(PlannedFace)}
    row["attributes"] = json.dumps(face.attributes)
    row["place"] = face.place.to_bytes(16, "big")
    row["frame"] = "" if face.frame is None else frame_text(face.frame)
    if face.morph is not None:
        row["morph"] = {field.name: getattr(face.morph, field.name) for field in fields(PlannedMorph)}
        row["morph"]["other"] = _plain(face.morph.other)
    return row


@dataclass(frozen=True, slots=True)
class Part:
    """Consecutive faces of one shard: the unit of work, retry, resume and memory.

    Attributes:
        digest: 24 hex digits over everything that the part's bytes depend on.
        faces: in the order of their samples.
        heads: the first 8 bytes of the digest of each sample's inputs, one after another.
    """

    digest: str
    faces: FaceRows
    heads: bytes = b""

    @property
    def samples(self) -> int:
        """Samples planned in this part."""
        return self.faces.samples


@dataclass(frozen=True, slots=True)
class Shard:
    """A leaf of the prefix tree: one tar file of parts in order."""

    split: str
    prefix: str
    digest: str
    parts: tuple[Part, ...]

    @property
    def name(self) -> str:
        """File name without ending: split, prefix bits, digest."""
        return f"{self.split}-{self.prefix}-{self.digest}"

    @property
    def faces(self) -> FaceRows:
        """The faces of all parts; there is at least one."""
        return self.parts[0].faces.joined([part.faces for part in self.parts[1:]])

    @property
    def samples(self) -> int:
        """Samples planned in this shard."""
        return sum(part.samples for part in self.parts)


@dataclass(frozen=True, slots=True)
class Plan:
    """All shards of a build, and the rejects before rendering.

    Attributes:
        digest: sha256 over the shards' names; with the code version it identifies the build.
        rejects: of the analyse and plan stages.
        recall: by split, the measured share of true neighbours that an index found; empty for an exact search.
        neighbours: paths of the neighbour tables in the output; empty without morphs.
        sample_bytes: estimated size of one sample in a shard.
        figures: how quality figures, size and score are spread over the faces, by figure.
    """

    digest: str
    shards: tuple[Shard, ...]
    rejects: tuple[Reject, ...]
    sample_bytes: int
    recall: tuple[tuple[str, float], ...] = ()
    neighbours: tuple[str, ...] = ()
    figures: tuple[tuple[str, Spread], ...] = ()

    @property
    def faces(self) -> Iterator[PlannedFace]:
        """All planned faces, morphs included."""
        return (face for part in self.parts for face in part.faces)

    @property
    def parts(self) -> Iterator[Part]:
        """All parts, in the order of the shards."""
        return (part for shard in self.shards for part in shard.parts)

    def count_photos(self, among: Collection[tuple[str, str]]) -> tuple[int, int]:
        """Number of photos of the planned faces, and how many of them are `among` these, by source and uri.

        Faces of one photo have one place in the prefix tree, so they follow each other in one part.
        """
        photos = found = 0
        for photo in (photo for part in self.parts for photo in part.faces.photos()):
            photos += 1
            found += photo in among
        return photos, found

    @property
    def samples(self) -> int:
        """Samples planned in all."""
        return sum(shard.samples for shard in self.shards)
