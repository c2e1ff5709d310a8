"""Read and write rows as Parquet: one schema per row type, the same bytes for the same rows."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, get_type_hints

from pydantic import ValidationError

from faceloom.pipelines.store.storage import Storage
from faceloom.pipelines.store.table_reader import (
    MOST_CONTENT,
    checked,
    damaged,
    parse_stored_metadata,
    parse_table,
    read_table,
)
from faceloom.schemas.column_types import Hex, Offset, adapter, first_fault, place_text
from faceloom.schemas.faces import AnalysedPhoto, FaceRow
from faceloom.schemas.index import IndexRow, Parent
from faceloom.schemas.json_text import parse_json
from faceloom.schemas.photos import Reject
from faceloom.schemas.plan import PlannedFace, PlannedMorph
from faceloom.transforms.neighbours.faces import Neighbour

if TYPE_CHECKING:
    import pyarrow as pa

INDEX_FORMAT: Literal[1] = 1
"""Version of the schema of an index. Raised when a column changes or goes; readers accept added columns."""
_DISTANCES = ("distance", "landmark_distance", "texture_distance")


@cache
def table_schema(kind: type) -> pa.Schema:
    """The columns of the table of a row type."""
    import pyarrow as pa

    text, number, real, blob = pa.string(), pa.int64(), pa.float64(), pa.binary()
    box = pa.list_(real)
    if kind is IndexRow:
        member = pa.struct([("name", text), ("offset", number), ("size", number), ("sha256", text)])
        special = {
            "offset": number, "length": number, "face": number,
            "members": pa.list_(member), "people": pa.list_(text),
            "parents": pa.list_(pa.struct([(f.name, text) for f in fields(Parent)])),
        }  # fmt: skip
    elif kind is PlannedFace:
        special = {
            "face": number, "width": number, "height": number, "landmarks": blob, "box": box,
            "masks": pa.list_(number), "place": blob, "five": blob,
            "score": real, "turn": number, "landmarks_unsure": pa.bool_(),
        }  # fmt: skip
        unmixed = [(field.name, special.get(field.name, text)) for field in fields(kind) if field.name != "morph"]
        figures = [(field.name, real) for field in fields(PlannedMorph) if field.name not in ("other", "rank")]
        special["morph"] = pa.struct([("other", pa.struct(unmixed)), ("rank", number), *figures])
        return pa.schema([(field.name, special.get(field.name, text)) for field in fields(kind)] + [("part", text)])
    elif kind is Neighbour:
        return pa.schema([("query", text), ("neighbour", text), ("rank", number)] + [(n, real) for n in _DISTANCES])
    elif kind is FaceRow:  # the face table: photo columns, repeated for each of its faces
        names = [field.name for field in fields(AnalysedPhoto) if field.name != "faces"]
        special = {"size": number, "width": number, "height": number, "orientation": number, "given": pa.bool_()}
        return pa.schema(
            [(name, special.get(name, text)) for name in names]
            + [("box", box), ("landmarks", blob), ("score", real), ("quality", pa.list_(pa.float32()))]
            + [("detector", text), ("turn", number), ("landmarks_unsure", pa.bool_()), ("masked", real)]
        )
    elif kind is Reject:
        special = {}
    else:
        raise TypeError(f"no table of {kind.__name__}")
    return pa.schema([(field.name, special.get(field.name, text)) for field in fields(kind)])


def write_table(
    storage: Storage,
    path: str,
    kind: type,
    columns: dict[str, Any] | pa.Table,
    metadata: dict[str, str] | None = None,
    *,
    durable: bool = True,
    brief: bool = False,
) -> None:
    """Write columns as Parquet, atomically. `metadata` is stored with the schema.

    A file that is `brief` is read once: it takes half the time to write, and up to half as much space again.
    """
    data = _table_bytes(kind, columns, metadata or {}, brief)
    with storage.write(path, durable=durable) as stream:
        stream.write(data)


def _table_bytes(
    kind: type, columns: dict[str, Any] | pa.Table, metadata: dict[str, str], brief: bool = False
) -> memoryview:
    import pyarrow as pa
    import pyarrow.parquet as pq

    buffer = io.BytesIO()
    schema = table_schema(kind).with_metadata(metadata)
    table = columns if isinstance(columns, pa.Table) else pa.table(columns, schema=schema)
    how = {"compression": "snappy", "use_dictionary": False, "write_statistics": False} if brief else {}
    pq.write_table(table, buffer, **{"compression": "zstd", "write_page_checksum": True, **how})
    return buffer.getbuffer()


def _read(storage: Storage, path: str, kind: type, names: Sequence[str] | None = None) -> dict[str, list[Any]]:
    """Columns of a table, as pyarrow returns them; all by default."""
    schema = table_schema(kind)
    result: dict[str, list[Any]] = read_table(storage, path, schema, names or schema.names).to_pydict()
    return result


def _column(kind: Any, name: str, values: list[Any], path: str) -> list[Any]:
    """A column whose values are checked by the type of a dataclass's field."""
    column: list[Any] = checked(_hints(kind)[name], values, path, name)
    return column


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind, include_extras=True)


@dataclass(frozen=True, slots=True)
class _Stored:
    """What is stored with an index."""

    format: Literal[1]
    parts: dict[str, list[Reject]]
    bytes: Offset
    sha256: Hex


def read_metadata(storage: Storage, path: str) -> dict[str, Any]:
    """Read what is stored with an index.

    Returns:
        `format`: version of the index's schema. `parts`: the rejects of each part. `bytes` and `sha256`: length and
        digest of the tar; the digest of a part is empty.
    """
    return parse_metadata(storage.read_bytes(path), path)


def parse_metadata(content: bytes, path: str) -> dict[str, Any]:
    """Read what is stored with an index from the bytes of its file, as `read_metadata`. `path` is for messages."""
    texts = parse_stored_metadata(content, path)
    try:
        found = {
            name: parse_json(texts[name.encode()], MOST_CONTENT) for name in ("format", "parts", "bytes", "sha256")
        }
        adapter(_Stored).validate_python(found)
    except KeyError as error:
        raise damaged(path, f"it does not state its {error.args[0].decode()}") from None
    except ValidationError as error:
        loc, text = first_fault(error)
        raise damaged(path, f"metadata {place_text(loc)}: {text}") from None
    except ValueError as error:
        raise damaged(path, f"metadata: {error}") from None
    return found


def _columns(rows: Sequence[object], kind: type) -> dict[str, list[Any]]:
    return {field.name: [getattr(row, field.name) for row in rows] for field in fields(kind)}


def write_index(
    storage: Storage,
    path: str,
    rows: Sequence[IndexRow],
    parts: dict[str, Any],
    *,
    length: int = 0,
    sha256: str = "",
    durable: bool = True,
) -> None:
    """Write a shard's or part's index.

    Args:
        storage: the output folder.
        path: of the index.
        rows, parts, length, sha256: as in `index_bytes`.
        durable: whether the file must survive a power cut.
    """
    data = index_bytes(rows, parts, length=length, sha256=sha256)
    with storage.write(path, durable=durable) as stream:
        stream.write(data)


def index_bytes(rows: Sequence[IndexRow], parts: dict[str, Any], *, length: int = 0, sha256: str = "") -> memoryview:
    """A shard's or part's index as the bytes of its file.

    Args:
        rows: in the order of the tar.
        parts: the rejects of each part.
        length, sha256: of the whole tar; unknown for a part.
    """
    columns = _columns(rows, IndexRow)
    columns["parents"] = [[parent.record() for parent in row.parents] for row in rows]
    columns["people"] = [list(row.people) for row in rows]
    columns["members"] = [
        [{"name": m.name, "offset": m.offset, "size": m.size, "sha256": m.sha256} for m in row.members] for row in rows
    ]
    stored = {
        "format": str(INDEX_FORMAT), "parts": json.dumps(parts, sort_keys=True), "bytes": str(length),
        "sha256": json.dumps(sha256),
    }  # fmt: skip
    return _table_bytes(IndexRow, columns, stored)


def read_index(storage: Storage, path: str) -> list[IndexRow]:
    """Read a shard's or part's index.

    Raises:
        StorageError: it cannot be read or is damaged: a column is missing or of another type, a value is impossible, or
            a member lies outside its sample.
    """
    return parse_index(storage.read_bytes(path), path)


def parse_index(content: bytes, path: str) -> list[IndexRow]:
    """Read an index from the bytes of its file, as `read_index`. `path` is for messages."""
    rows: list[IndexRow] = checked(IndexRow, parse_index_table(content, path).to_pylist(), path)
    for number, row in enumerate(rows):
        end = row.offset + row.length
        if any(member.offset < row.offset or member.offset + member.size > end for member in row.members):
            raise damaged(path, f"row {number}, column members: a member lies outside its sample")
    return rows


def read_index_columns(storage: Storage, path: str, names: Sequence[str]) -> dict[str, list[Any]]:
    """Read some columns of an index, much faster than whole rows. Errors as `read_index`."""
    return check_index_columns(parse_index_table(storage.read_bytes(path), path, names), path)


def parse_index_table(content: bytes, path: str, names: Sequence[str] | None = None) -> pa.Table:
    """Read columns of an index, all by default, from the bytes of its file. Types are checked, values are not."""
    schema = table_schema(IndexRow)
    return parse_table(content, path, schema, names or schema.names)


def check_index_columns(table: pa.Table, path: str) -> dict[str, list[Any]]:
    """Columns of an index as lists, each value checked. `path` is for messages."""
    columns: dict[str, list[Any]] = table.to_pydict()
    for name, values in columns.items():
        made = _column(IndexRow, name, values, path)
        if name not in ("members", "people", "parents"):  # these stay mappings
            columns[name] = made
    return columns


def read_index_table(storage: Storage, path: str, names: Sequence[str]) -> pa.Table:
    """Read some columns of an index as an Arrow table, for work on millions of rows. Values are of the columns' types,
    and not checked any further.

    Raises:
        StorageError: the index cannot be read or is damaged, or one of these columns lacks a value that it needs.
    """
    table = read_table(storage, path, table_schema(IndexRow), names)
    for name in names:
        if name not in ("licence", "consent") and table.column(name).null_count:
            raise damaged(path, f"column {name}: a row lacks a value")
    return table


def write_faces(storage: Storage, path: str, photos: Iterable[AnalysedPhoto]) -> None:
    """Write a piece of the face table: a row per face, and one without landmarks per rejected photo."""
    write_table(storage, path, FaceRow, _face_columns(photos))


def face_columns(photos: Iterable[AnalysedPhoto]) -> pa.Table:
    """A piece of the face table in memory."""
    import pyarrow as pa

    return pa.table(_face_columns(photos), schema=table_schema(FaceRow))


def _face_columns(photos: Iterable[AnalysedPhoto]) -> dict[str, list[Any]]:
    shared = [field.name for field in fields(AnalysedPhoto) if field.name != "faces"]
    columns: dict[str, list[Any]] = {name: [] for name in table_schema(FaceRow).names}
    for photo in photos:
        for face in photo.faces or (None,):
            for name in shared:
                columns[name].append(getattr(photo, name))
            columns["box"].append(face and list(face.box))
            columns["landmarks"].append(face and face.landmarks)
            columns["score"].append(face and face.score)
            columns["quality"].append(face and list(face.quality))
            for name in ("detector", "turn", "landmarks_unsure", "masked"):
                columns[name].append(None if face is None else getattr(face, name))
    return columns


def read_faces(storage: Storage, path: str) -> list[AnalysedPhoto]:
    """Read a piece of the face table."""
    columns = _read(storage, path, FaceRow)
    own = {field.name: columns.pop(field.name) for field in fields(FaceRow)}
    columns = {name: _column(AnalysedPhoto, name, values, path) for name, values in columns.items()}
    has_face = [box is not None for box in own["box"]]
    for name, values in own.items():
        if has_face != [value is not None for value in values]:
            raise damaged(path, f"column {name}: some rows have half a face")
        found = [value for value in values if value is not None]
        own[name] = _column(FaceRow, name, found, path)
    faces = map(FaceRow, *own.values())
    photos: dict[tuple[Any, ...], list[FaceRow]] = {}
    for shared, has in zip(zip(*columns.values()), has_face, strict=True):
        of_photo = photos.setdefault(shared, [])
        if has:
            of_photo.append(next(faces))
    names = list(columns)
    return [
        AnalysedPhoto(**dict(zip(names, shared, strict=True)), faces=tuple(rows)) for shared, rows in photos.items()
    ]


def read_face_columns(storage: Storage, path: str, names: Sequence[str]) -> list[tuple[Any, ...]]:
    """Read some columns of photos in a piece of the face table, as a tuple per face."""
    columns = _read(storage, path, FaceRow, names)
    return list(zip(*(_column(AnalysedPhoto, name, columns[name], path) for name in names), strict=True))


def write_rejects(storage: Storage, path: str, rejects: Sequence[Reject]) -> None:
    """Write rejects of one stage."""
    write_table(storage, path, Reject, _columns(rejects, Reject))


def read_rejects(storage: Storage, path: str) -> list[Reject]:
    """Read rejects of one stage."""
    columns = _read(storage, path, Reject)
    return list(map(Reject, *(_column(Reject, name, values, path) for name, values in columns.items())))
