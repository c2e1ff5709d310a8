"""Planned faces as columns: ten million of them as objects would fill the memory. Landmarks lie on disk."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, overload

import numpy as np
import numpy.typing as npt

from faceloom.pipelines.analyse.analysis import Analysis
from faceloom.pipelines.store.arrow_values import blobs_of, hex_digits, texts_of, values_at
from faceloom.pipelines.store.record_file import RecordFile
from faceloom.schemas.faces import DETECTORS, usable_labels
from faceloom.schemas.keys import PHOTO_BITS, unnamed_person
from faceloom.schemas.photos import Scalar
from faceloom.schemas.plan import FaceList, FaceRows, PlannedFace, PlannedMorph

_BLOCK = 4096
"""Faces that are objects at the same time."""
OF_PHOTO, OF_FACE = -1, -2
"""In place of an identity: the name that is derived from the photo, or from the face in the photo."""
Ints = npt.NDArray[np.integer]
Rows = slice | Ints
"""Some faces of a table."""


class Mixed(Protocol):
    """The morphs among the rows of a table; see `planned_morphs.MorphColumns`."""

    @property
    def number(self) -> Ints: ...
    def objects(self, at: Rows) -> list[PlannedMorph | None]: ...
    def structs(self, at: Rows) -> Any: ...
    def records(self, at: Rows) -> Any: ...
    def identities(self, at: Rows, own: Any) -> Any: ...
    def terms(self, name: str, at: Rows, own: Any) -> Any: ...


@dataclass(frozen=True, eq=False, slots=True)
class FaceTable:
    """All F planned faces of a build in the order of the plan: by split, then by place.

    Attributes:
        analysed: the photos and their analysis.
        photo: number of the face's photo among all. number: of the face in its photo. row: of the face in `analysed`,
            -1 for a whole photo.
        identity: number of the name in `names`, `OF_PHOTO` or `OF_FACE`.
        split: number of the split in `splits`.
        group: upper bits of the place in the prefix tree.
        point: number of the landmarks in `landmarks`, -1 without them.
        attribute: number of the attributes in `attributes`.
        five: number of the five points in `fives`, -1 without them.
        masks: number of the mask of each variant, (F, variants); -1 if the face wears none.
        names, fives: pyarrow arrays.
        labelled: whether the plan names label files.
        morphs: the neighbours that are mixed into some of the faces; None without morphs. Masks and attributes of such
            a row are those of the morph, all other columns those of the face.
    """

    analysed: Analysis
    photo: Ints
    number: Ints
    row: Ints
    identity: Ints
    split: Ints
    group: npt.NDArray[np.uint32]
    point: Ints
    attribute: Ints
    five: Ints
    masks: Ints
    landmarks: RecordFile
    splits: Sequence[str]
    names: Any
    attributes: Sequence[tuple[tuple[str, Scalar], ...]]
    fives: Any
    labelled: bool
    morphs: Mixed | None = None

    def make(self, at: Rows) -> list[PlannedFace]:
        """Some faces, as objects."""
        places = self.places(at)
        mixed = self.morphs.objects(at) if self.morphs else [None] * len(places)
        return [
            PlannedFace(
                source, uri, sha, number, identity, self.splits[split], licence, consent, self.attributes[attribute],
                wide, high, landmarks, (left, top, right, bottom), tuple(masks) if masks[:1] != [-1] else (), place,
                self.label(label), morph, five, *findings,
            )
            for (
                source, uri, sha, number, identity, split, licence, consent, attribute, wide, high, landmarks,
                left, top, right, bottom, label, five, *findings,
            ), masks, place, morph in zip(self.values(at), self.masks[at].tolist(), places, mixed, strict=True)
        ]  # fmt: skip

    def label(self, number: int) -> str:
        """The planned label files of a number in the column `labels`; empty if the plan names none."""
        return usable_labels(self.analysed.texts("labels")[1][number]) if self.labelled else ""

    def values(self, at: Rows) -> Iterator[tuple[Any, ...]]:
        """The values of each of some faces, in the order of the fields of `PlannedFace`, without masks and place.

        The box is four values, and what follows the labels is five points, detector, score, turn and whether the
        landmarks are unsure. Splits, attributes and labels are numbers: in `splits`, in `attributes`, and in the
        texts of the column `labels`.
        """
        import pyarrow as pa

        photos, photo = self.analysed.photos, self.photo[at]
        width, height, box = self.sizes(at)
        taken = pa.array(photo)
        source, uri = (_taken(photos.column(name), taken) for name in ("source", "uri"))
        licence, consent = (self.terms(name, at).to_pylist() for name in ("licence", "consent"))
        shas = [sha.hex() for sha in _bytes(self.analysed.sha256[photo])]
        identity = self.identities(at).to_pylist()
        detector, *findings = (values.tolist() for values in self.findings(at).values())
        return zip(
            source, uri, shas, self.number[at].tolist(), identity, self.split[at].tolist(), licence,
            consent, self.attribute[at].tolist(), width.tolist(), height.tolist(), self._landmarks(at), *box.T.tolist(),
            self.analysed.texts("labels")[0][photo].tolist(), self._fives(at),
            map(DETECTORS.__getitem__, detector), *findings, strict=True,
        )  # fmt: skip

    def columns(self, at: Rows) -> dict[str, Any]:
        """What `FaceRows.columns` returns for some faces."""
        import pyarrow as pa

        analysed, photo, points = self.analysed, self.photo[at], self.point[at]
        width, height, box = self.sizes(at)
        column, taken = analysed.photos.column, pa.array(photo)
        sha256 = analysed.sha256[photo]
        codes = analysed.texts("labels")[0]
        masks, variants = self.masks[at], self.variants(at)
        texts = {name: column(name).take(taken).cast(pa.string()) for name in ("source", "uri")}
        place = np.zeros((len(photo), 16), np.uint8)
        place[:, 4:8] = self.group[at].astype(">u4")[:, None].view(np.uint8)
        place[:, 8:] = sha256[:, :8]
        findings = self.findings(at)
        return texts | {
            "photo_sha256": texts_of(hex_digits(sha256)),
            "face": self.number[at],
            "identity": self.identities(at),
            "licence": self.terms("licence", at),
            "consent": self.terms("consent", at),
            "split": values_at(self.splits.__getitem__, self.split[at]),
            "attributes": values_at(lambda one: json.dumps(self.attributes[one]), self.attribute[at]),
            "width": width,
            "height": height,
            "landmarks": blobs_of(self.landmarks.take(points[points >= 0]), points >= 0),
            "box": pa.FixedSizeListArray.from_arrays(box.ravel(), 4).cast(pa.list_(pa.float64())),
            "masks": pa.ListArray.from_arrays(
                pa.array(np.append(0, np.cumsum(variants)), pa.int32()), masks[variants > 0].ravel().astype(np.int64)
            ),
            "place": blobs_of(place),
            "labels": values_at(self.label, codes[photo]),
            "morph": self.morphs.structs(at) if self.morphs else pa.nulls(len(photo)),
            "five": self._fives(at),
            **findings,
            "detector": values_at(DETECTORS.__getitem__, findings["detector"]),
            "frame": pa.repeat("", len(photo)),
        }

    def variants(self, at: Rows) -> npt.NDArray[np.int64]:
        """Number of masks of each of some faces; all or none of its variants wear one."""
        masks = self.masks[at]
        worn = masks[:, 0] >= 0 if masks.shape[1] else np.zeros(len(masks), bool)
        return worn.astype(np.int64) * masks.shape[1]

    def sizes(self, at: Rows) -> tuple[Ints, Ints, npt.NDArray[np.float64]]:
        """Width, height and box of each face."""
        photo, rows = self.photo[at], self.row[at]
        width, height = self.analysed.width[photo], self.analysed.height[photo]
        box = np.stack([np.full(len(rows), -0.5), np.full(len(rows), -0.5), width - 0.5, height - 0.5], axis=1)
        box[rows >= 0] = self.analysed.box[rows[rows >= 0]]
        return width, height, box

    def findings(self, at: Rows) -> dict[str, npt.NDArray[Any]]:
        """What found each face, as a number in `DETECTORS`, and how; nothing for whole photos."""
        rows = self.row[at]
        found = rows >= 0

        def of(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
            taken = np.zeros(len(rows), values.dtype)
            taken[found] = values[rows[found]]
            return taken

        return {name: of(getattr(self.analysed, name)) for name in ("detector", "score", "turn", "landmarks_unsure")}

    def identities(self, at: Rows) -> Any:
        """The name of each of some faces, or both names of a morph, as a pyarrow array."""
        import pyarrow as pa
        import pyarrow.compute as pc

        codes = self.identity[at]
        names = self.names.take(pa.array(codes, mask=codes < 0)).cast(pa.string())
        if (codes < 0).any():
            shas, numbers = self.analysed.sha256[self.photo[at]], self.number[at].tolist()
            unnamed = [
                unnamed_person(shas[one].tobytes().hex(), numbers[one] if codes[one] == OF_FACE else None)
                for one in np.flatnonzero(codes < 0)
            ]
            names = pc.replace_with_mask(names, codes < 0, pa.array(unnamed, pa.string()))
        return self.morphs.identities(at, names) if self.morphs else names

    def terms(self, name: str, at: Rows) -> Any:
        """Licence or consent of each of some faces, or of both faces of a morph, as a pyarrow array."""
        import pyarrow as pa

        terms = self.analysed.photos.column(name).take(pa.array(self.photo[at])).cast(pa.string())
        return self.morphs.terms(name, at, terms) if self.morphs else terms

    def keys(self, at: Rows) -> Any:
        """Key of each of some faces, morphs apart, as a pyarrow array of strings."""
        import pyarrow.compute as pc

        heads = texts_of(hex_digits(self.analysed.sha256[self.photo[at], :8]))
        return pc.binary_join_element_wise(heads, values_at(lambda one: f"f{one:02d}", self.number[at]), "-")

    def places(self, at: Rows) -> list[int]:
        """Place of each of some faces in the prefix tree."""
        heads = self.analysed.sha256[self.photo[at], :8].view(">u8")[:, 0].tolist()
        return [group << PHOTO_BITS | head for group, head in zip(self.group[at].tolist(), heads, strict=True)]

    def taken(self, rows: Ints) -> FaceTable:
        """The table of some faces in this order. They are no morphs."""
        columns = ("photo", "number", "row", "identity", "split", "group", "point", "attribute", "five", "masks")
        return replace(self, **{name: getattr(self, name)[rows] for name in columns})

    def _fives(self, at: Rows) -> list[bytes]:
        numbers = self.five[at]
        if not np.any(numbers >= 0):
            return [b""] * len(numbers)
        return [self.fives[one].as_py() if one >= 0 else b"" for one in numbers.tolist()]

    def _landmarks(self, at: Rows) -> Iterator[bytes]:
        points = self.point[at]
        found = iter(_bytes(self.landmarks.take(points[points >= 0])))
        return (next(found) if point >= 0 else b"" for point in points.tolist())


class PlannedFaces(FaceRows):
    """Some planned faces that follow each other. A `PlannedFace` is made on access.

    Args:
        table: of all faces.
        start, stop: the faces `start <= i < stop`.
    """

    def __init__(self, table: FaceTable, start: int = 0, stop: int | None = None) -> None:
        self.table, self.start = table, start
        self.stop = len(table.photo) if stop is None else stop

    def __len__(self) -> int:
        return self.stop - self.start

    @overload
    def __getitem__(self, at: int) -> PlannedFace: ...
    @overload
    def __getitem__(self, at: slice) -> FaceRows: ...
    def __getitem__(self, at: int | slice) -> PlannedFace | FaceRows:
        if isinstance(at, slice):
            start, stop, step = at.indices(len(self))
            if step != 1:
                return FaceList(list(self)[at])
            return PlannedFaces(self.table, self.start + start, self.start + max(start, stop))
        if not -len(self) <= at < len(self):
            raise IndexError(at)
        place = self.start + at % len(self)
        return self.table.make(slice(place, place + 1))[0]

    def __iter__(self) -> Iterator[PlannedFace]:
        for start in range(self.start, self.stop, _BLOCK):
            yield from self.table.make(slice(start, min(start + _BLOCK, self.stop)))

    @property
    def slice(self) -> slice:
        """Where these faces are in the columns."""
        return slice(self.start, self.stop)

    def by_split(self) -> list[tuple[str, FaceRows]]:
        """The faces of each split, the splits by name."""
        ends = np.searchsorted(self.table.split[self.slice], np.arange(len(self.table.splits)), side="right")
        starts = [0, *ends.tolist()]
        found = [
            (name, self[start:stop]) for name, start, stop in zip(self.table.splits, starts, starts[1:], strict=False)
        ]
        return [(name, faces) for name, faces in found if len(faces)]

    def places(self) -> Sequence[int]:
        return _Places(self.table, self.slice)

    def weights(self) -> Any:
        masks = self.table.masks[self.slice]
        variants = masks.shape[1]
        bare = masks[:, 0] < 0 if variants else np.ones(len(masks), bool)
        return np.where(bare, 1, variants).astype(np.int64)

    @property
    def people(self) -> int:
        """Number of different identities; a face without one of its own counts as a person."""
        identity = self.table.identity[self.slice]
        return len(np.unique(identity[identity >= 0])) + int(np.count_nonzero(identity < 0))

    @property
    def samples(self) -> int:
        return int(self.weights().sum())

    @property
    def morphs(self) -> int:
        return int(np.count_nonzero(self.table.morphs.number[self.slice] >= 0)) if self.table.morphs else 0

    def begins(self) -> Any:
        photo = self.table.photo[self.slice]
        return np.append(True, photo[1:] != photo[:-1])[: len(photo)]

    def photos(self) -> Iterator[tuple[str, str]]:
        photo = self.table.photo[self.slice][self.begins()]
        for start in range(0, len(photo), _BLOCK):
            block = photo[start : start + _BLOCK]
            table = self.table.analysed.photos
            yield from zip(_taken(table.column("source"), block), _taken(table.column("uri"), block), strict=True)

    def masks(self) -> Iterator[tuple[int, int]]:
        masks = self.table.masks[self.slice]
        yield from zip(*(values.tolist() for values in np.unique(masks[masks >= 0], return_counts=True)), strict=True)

    def sources(self) -> Iterator[tuple[str, int]]:
        codes, names = self.table.analysed.photos.codes("source")
        counts = np.bincount(codes[self.table.photo[self.slice]], self.weights(), len(names))
        yield from ((name, int(count)) for name, count in zip(names, counts.tolist(), strict=True) if count)

    def columns(self) -> dict[str, Any]:
        return self.table.columns(self.slice)

    def joined(self, others: Sequence[FaceRows]) -> FaceRows:
        end = self.stop
        for one in others:
            if not isinstance(one, PlannedFaces) or one.table is not self.table or one.start != end:
                return FaceList([*self, *(face for other in others for face in other)])
            end = one.stop
        return PlannedFaces(self.table, self.start, end)

    def attribute_counts(self) -> npt.NDArray[np.integer]:
        """Number of faces for each of the table's `attributes`."""
        return np.bincount(self.table.attribute[self.slice], minlength=len(self.table.attributes))

    def with_attributes(self, attributes: Sequence[tuple[tuple[str, Scalar], ...]]) -> PlannedFaces:
        """The same faces with other attributes, a tuple for each of the table's `attributes`."""
        return PlannedFaces(replace(self.table, attributes=attributes), self.start, self.stop)


class _Places(Sequence[int]):
    """Places of faces in the prefix tree; a number is made on access."""

    def __init__(self, columns: FaceTable, at: slice) -> None:
        self._columns, self._rows = columns, range(len(columns.photo))[at]

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, at: int) -> int: ...
    @overload
    def __getitem__(self, at: slice) -> list[int]: ...
    def __getitem__(self, at: int | slice) -> int | list[int]:
        if isinstance(at, slice):
            return self._columns.places(np.arange(self._rows.start, self._rows.stop)[at])
        row = self._rows[at]
        sha256 = self._columns.analysed.sha256[self._columns.photo[row]]
        return int(self._columns.group[row]) << PHOTO_BITS | int.from_bytes(sha256[:8].tobytes())

    def __iter__(self) -> Iterator[int]:
        for start in range(0, len(self), _BLOCK):
            yield from self[start : start + _BLOCK]


def _taken(column: Any, rows: Any) -> list[Any]:
    import pyarrow as pa

    taken = column.take(pa.array(rows) if isinstance(rows, np.ndarray) else rows)
    values: list[Any] = (taken.cast(pa.string()) if pa.types.is_dictionary(taken.type) else taken).to_pylist()
    return values


def _bytes(records: npt.NDArray[np.uint8]) -> list[bytes]:
    """Each record as bytes."""
    data, length = records.tobytes(), records.shape[1]
    return [data[at : at + length] for at in range(0, len(data), length)]
