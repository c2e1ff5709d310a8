"""The photos of all sources as columns. Millions of photo objects would fill the memory."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from operator import attrgetter
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import numpy.typing as npt

from faceloom.schemas.keys import digest
from faceloom.schemas.photos import GivenFace, Photo, Scalar

if TYPE_CHECKING:
    import pyarrow as pa

_BLOCK = 2**12
"""Photos that are objects at the same time. More of them would keep the garbage collector busy."""
_REPEATED = ("source", "identity", "split", "licence", "consent", "attributes", "labels")
"""Columns whose values come often: each value is stored once."""
_FEW = 2**7
"""Values that a number of one byte tells apart."""


def stamp_of(photo: Photo) -> str:
    """Stamp of a photo with its landmarks and labels; if it differs, the photo is analysed again."""
    parts = [photo.stamp]
    if photo.landmarks is not None:
        parts.append(hashlib.sha256(photo.landmarks).hexdigest()[:16])
    if photo.faces:
        places = [(face.box, face.landmarks and face.landmarks.hex()) for face in photo.faces]
        parts.append(digest(places)[:16])
    if photo.labels:
        parts.append(hashlib.sha256(photo.labels.encode()).hexdigest()[:16])
    return "+".join(parts)


class PhotoTable(Sequence[Photo]):
    """Photos in the order in which they were listed, about 100 bytes each. A `Photo` is made on access.

    Attributes:
        columns: a column for each field of `Photo`, in one chunk; attributes as JSON, repeated values as dictionaries.
    """

    def __init__(self, columns: pa.Table) -> None:
        self.columns = columns

    @classmethod
    def of(cls, photos: Iterable[Photo]) -> PhotoTable:
        """Put photos into columns; they are taken one block after another."""
        if isinstance(photos, PhotoTable):
            return photos
        import pyarrow as pa

        schema, waiting, blocks = _schema(), iter(photos), []
        while block := list(islice(waiting, _BLOCK)):
            blocks.append(_record_batch(block, schema))
        table = pa.Table.from_batches(blocks, schema).unify_dictionaries()
        del blocks
        return cls(pa.table({name: _joined(table.column(name)) for name in schema.names}))

    def __len__(self) -> int:
        return int(self.columns.num_rows)

    @overload
    def __getitem__(self, at: int) -> Photo: ...
    @overload
    def __getitem__(self, at: slice) -> PhotoTable: ...
    def __getitem__(self, at: int | slice) -> Photo | PhotoTable:
        if isinstance(at, slice):
            return self.take(np.arange(len(self))[at])
        if not -len(self) <= at < len(self):
            raise IndexError(at)
        return _parsed(Photo(*(column[at % len(self)].as_py() for column in self.columns.columns)))

    def __iter__(self) -> Iterator[Photo]:
        for start in range(0, len(self), _BLOCK):
            block = self.columns.slice(start, _BLOCK)
            values = [_plain(block.column(name)).to_pylist() for name in self.columns.column_names]
            for photo in map(Photo, *values):
                yield _parsed(photo)

    def __eq__(self, other: object) -> bool:
        return list(self) == list(other) if isinstance(other, PhotoTable) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def take(self, rows: npt.NDArray[np.integer]) -> PhotoTable:
        """The table of some photos, in this order."""
        return PhotoTable(self.columns.take(rows))

    def column(self, name: str) -> Any:
        """A column as a pyarrow array."""
        column = self.columns.column(name)
        return column.chunk(0) if column.num_chunks else column.combine_chunks()

    def numbers(self, name: str) -> npt.NDArray[np.int32]:
        """The number of each photo's value in the column's dictionary, -1 for none."""
        numbers = self.column(name).indices.fill_null(-1).to_numpy()
        return np.asarray(numbers, np.int32)

    def codes(self, name: str) -> tuple[npt.NDArray[np.int32], list[str]]:
        """The number of each photo's value in a list of values, -1 for none; and that list."""
        return self.numbers(name), self.column(name).dictionary.to_pylist()

    def people(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], list[str]]:
        """Each person that the source names in each photo, once: number of the photo, number of the name, the names."""
        import pyarrow.compute as pc

        codes, names = self.codes("identity")
        named = np.flatnonzero(codes >= 0)
        pairs = np.stack([named, codes[named]], axis=1).astype(np.int64)
        faces = self.column("faces")
        if faces.null_count < len(faces):
            counts = faces.value_lengths().fill_null(0).to_numpy()
            found = faces.flatten().field("identity").dictionary_encode()  # without those of null rows
            numbers = {name: number for number, name in enumerate(names)}
            known = [numbers.setdefault(name, len(numbers)) for name in found.dictionary.to_pylist()]
            places = pc.fill_null(found.indices, -1).to_numpy()
            of_face = np.array([*known, -1], np.int64)[places]
            more = np.stack([np.repeat(np.arange(len(self)), counts), of_face], axis=1)
            pairs, names = np.unique(np.concatenate([pairs, more[of_face >= 0]]), axis=0), list(numbers)
        return pairs[:, 0], pairs[:, 1], names

    def ids(self, rows: npt.NDArray[np.integer] | None = None) -> pa.Array:
        """The photo ids of some photos, by default of all, as large strings."""
        import pyarrow as pa
        import pyarrow.compute as pc

        source, uri = self.column("source"), self.column("uri")
        if rows is not None:
            source, uri = source.take(pa.array(rows)), uri.take(pa.array(rows))
        return pc.binary_join_element_wise(source.cast(pa.large_string()), uri, pa.scalar("/", pa.large_string()))

    def stamps(self) -> pa.Array:
        """What `stamp_of` returns for each photo, as large strings."""
        import pyarrow as pa
        import pyarrow.compute as pc

        plain, labels = self.column("stamp"), self.column("labels")
        placed = pc.or_(pc.is_valid(self.column("landmarks")), pc.is_valid(self.column("faces")))
        unlike = pc.or_(placed, pc.not_equal(labels.cast(pa.string()), ""))
        if not (rows := np.flatnonzero(unlike.to_numpy(zero_copy_only=False))).size:
            return plain
        stamps = pa.array(map(stamp_of, self.take(rows)), pa.large_string())
        return pc.replace_with_mask(plain, unlike, stamps)

    @property
    def sizes(self) -> npt.NDArray[np.int64]:
        """Length in bytes of each photo."""
        return np.asarray(self.column("size").to_numpy())


def parse_attributes(text: str) -> tuple[tuple[str, Scalar], ...]:
    """The attributes of a photo from a value of the column `attributes`."""
    return tuple((name, value) for name, value in json.loads(text))


def _parsed(photo: Any) -> Photo:
    """A photo whose attributes are still JSON, and whose faces are still mappings."""
    object.__setattr__(photo, "attributes", parse_attributes(photo.attributes) if photo.attributes != "[]" else ())
    faces = tuple(GivenFace(**{**face, "attributes": parse_attributes(face["attributes"]),
                               "box": face["box"] and tuple(face["box"])}) for face in photo.faces or ())  # fmt: skip
    object.__setattr__(photo, "faces", faces)
    made: Photo = photo
    return made


def _schema() -> pa.Schema:
    import pyarrow as pa

    kinds: dict[str, Any] = {name: pa.dictionary(pa.int32(), pa.string()) for name in _REPEATED}
    face = [("identity", pa.string()), ("attributes", pa.string()), ("box", pa.list_(pa.float64()))]
    faces = pa.list_(pa.struct([*face, ("landmarks", pa.binary())]))
    kinds |= {"landmarks": pa.large_binary(), "size": pa.int64(), "faces": faces}
    return pa.schema([(name, kinds.get(name, pa.large_string())) for name in Photo.__dataclass_fields__])


def _record_batch(photos: Sequence[Photo], schema: pa.Schema) -> pa.RecordBatch:
    import pyarrow as pa

    values: dict[str, Any] = dict(
        zip(schema.names, zip(*map(attrgetter(*schema.names), photos), strict=True), strict=True)
    )
    values["attributes"] = [json.dumps(one) if one else "[]" for one in values["attributes"]]
    values["faces"] = [[_plain_face(face) for face in faces] if faces else None for faces in values["faces"]]
    return pa.record_batch([_array(values[name], schema.field(name).type) for name in schema.names], schema=schema)


def _joined(column: pa.ChunkedArray) -> pa.Array:
    """A column in one chunk. Values of a small dictionary are numbered by single bytes."""
    import pyarrow as pa

    whole = column.combine_chunks()
    if not pa.types.is_dictionary(whole.type) or len(whole.dictionary) > _FEW:
        return whole
    return pa.DictionaryArray.from_arrays(whole.indices.cast(pa.int8()), whole.dictionary)


def _array(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """An array of some values. Where all are equal, which is often so, one is converted."""
    import pyarrow as pa

    # Numbers with a fraction are converted one by one: 0.0 and -0.0 are equal, and not the same.
    plain = pa.types.is_string(kind) or pa.types.is_integer(kind) or pa.types.is_dictionary(kind)
    if not (plain or values[0] is None) or values.count(values[0]) < len(values):
        return pa.array(values, kind)
    return pa.nulls(len(values), kind) if values[0] is None else pa.repeat(pa.scalar(values[0], kind), len(values))


def _plain_face(face: GivenFace) -> dict[str, Any]:
    box = None if face.box is None else list(face.box)
    return {
        "identity": face.identity,
        "attributes": json.dumps(face.attributes),
        "box": box,
        "landmarks": face.landmarks,
    }


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    import pyarrow as pa

    return column.cast(pa.string()) if pa.types.is_dictionary(column.type) else column
