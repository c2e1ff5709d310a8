"""Read and write rows as Parquet: one schema per row type, the same bytes for the same rows."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import StorageError
from faceloom.schemas.faces import AnalysedPhoto, FaceRow
from faceloom.schemas.index import IndexRow, Member, Parent
from faceloom.schemas.photos import Reject
from faceloom.schemas.plan import PlannedFace, PlannedMorph
from faceloom.transforms.neighbours.faces import Neighbour

if TYPE_CHECKING:
    import pyarrow as pa

Row = TypeVar("Row")
_DISTANCES = ("distance", "landmark_distance", "texture_distance")


@cache
def _schema(kind: type) -> pa.Schema:
    import pyarrow as pa

    text, number, real, blob = pa.string(), pa.int64(), pa.float64(), pa.binary()
    box = pa.list_(real)
    if kind is IndexRow:
        member = pa.struct([("name", text), ("offset", number), ("size", number), ("sha256", text)])
        special = {
            "offset": number, "length": number, "face": number,
            "members": pa.list_(member), "parents": pa.list_(pa.struct([(f.name, text) for f in fields(Parent)])),
        }  # fmt: skip
    elif kind is PlannedFace:
        special = {
            "face": number, "width": number, "height": number, "landmarks": blob, "box": box,
            "masks": pa.list_(number), "place": blob,
        }  # fmt: skip
        unmixed = [(field.name, special.get(field.name, text)) for field in fields(kind) if field.name != "morph"]
        figures = [(field.name, real) for field in fields(PlannedMorph) if field.name not in ("other", "rank")]
        special["morph"] = pa.struct([("other", pa.struct(unmixed)), ("rank", number), *figures])
    elif kind is Neighbour:
        return pa.schema([("query", text), ("neighbour", text), ("rank", number)] + [(n, real) for n in _DISTANCES])
    elif kind is FaceRow:  # the face table: photo columns, repeated for each of its faces
        names = [field.name for field in fields(AnalysedPhoto) if field.name != "faces"]
        special = {"size": number, "width": number, "height": number, "orientation": number, "given": pa.bool_()}
        return pa.schema(
            [(name, special.get(name, text)) for name in names]
            + [("box", box), ("landmarks", blob), ("score", real), ("quality", text)]
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
    columns: dict[str, list[Any]],
    metadata: dict[str, str] | None = None,
    *,
    durable: bool = True,
) -> None:
    """Write columns as Parquet, atomically. `metadata` is stored with the schema."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = _schema(kind).with_metadata(metadata or {})
    table = pa.table(columns, schema=schema)
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd", write_page_checksum=True)
    with storage.write(path, durable=durable) as stream:
        stream.write(buffer.getbuffer())


@contextmanager
def _intact(path: str) -> Iterator[None]:
    """Turn each error that pyarrow raises for a damaged file into a StorageError."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError, ValueError) as error:
        remedy = "Remove it and run the same command again, which rebuilds it"
        raise StorageError("damaged Parquet file", where=path, value=error, remedy=remedy) from error


def _read(storage: Storage, path: str, columns: Sequence[str] | None = None) -> dict[str, list[Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    data = pa.BufferReader(storage.read_bytes(path))
    with _intact(path):
        # read_table sets up a dataset and takes twice as long.
        file = pq.ParquetFile(data, page_checksum_verification=True)
        result: dict[str, list[Any]] = file.read(columns, use_threads=False).to_pydict()
    return result


def read_metadata(storage: Storage, path: str) -> dict[str, Any]:
    """Read the JSON values stored with a table."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    data = pa.BufferReader(storage.read_bytes(path))
    with _intact(path):
        stored = pq.read_schema(data).metadata or {}
        return {key.decode(): json.loads(value) for key, value in stored.items() if key != b"ARROW:schema"}


def _columns(rows: Sequence[object], kind: type) -> dict[str, list[Any]]:
    return {field.name: [getattr(row, field.name) for row in rows] for field in fields(kind)}


def write_index(
    storage: Storage,
    path: str,
    rows: Sequence[IndexRow],
    parts: dict[str, Any],
    *,
    length: int = 0,
    durable: bool = True,
) -> None:
    """Write a shard's or part's index.

    `parts` maps each part to its rejects; `length` is the size of the whole tar in bytes.
    """
    columns = _columns(rows, IndexRow)
    columns["parents"] = [[asdict(parent) for parent in row.parents] for row in rows]
    columns["members"] = [
        [{"name": m.name, "offset": m.offset, "size": m.size, "sha256": m.sha256} for m in row.members] for row in rows
    ]
    write_table(
        storage,
        path,
        IndexRow,
        columns,
        {"parts": json.dumps(parts, sort_keys=True), "bytes": str(length)},
        durable=durable,
    )


def read_index(storage: Storage, path: str) -> list[IndexRow]:
    """Read a shard's or part's index."""
    columns = _read(storage, path)
    columns["members"] = [tuple(Member(**member) for member in row) for row in columns["members"]]
    columns["parents"] = [tuple(Parent(**parent) for parent in row) for row in columns["parents"]]
    return [IndexRow(**dict(zip(columns, row, strict=True))) for row in zip(*columns.values(), strict=True)]


def read_index_columns(storage: Storage, path: str, names: Sequence[str]) -> dict[str, list[Any]]:
    """Read some columns of an index, much faster than whole rows."""
    return _read(storage, path, names)


def write_faces(storage: Storage, path: str, photos: Iterable[AnalysedPhoto]) -> None:
    """Write a piece of the face table: a row per face, and one without landmarks per rejected photo."""
    shared = [field.name for field in fields(AnalysedPhoto) if field.name != "faces"]
    columns: dict[str, list[Any]] = {name: [] for name in _schema(FaceRow).names}
    for photo in photos:
        for face in photo.faces or (None,):
            for name in shared:
                columns[name].append(getattr(photo, name))
            columns["box"].append(face and list(face.box))
            columns["landmarks"].append(face and face.landmarks)
            columns["score"].append(face and face.score)
            columns["quality"].append(face and json.dumps(dict(face.quality), sort_keys=True))
    write_table(storage, path, FaceRow, columns)


def read_faces(storage: Storage, path: str, *, quality: bool = True) -> list[AnalysedPhoto]:
    """Read a piece of the face table. `quality=False` skips that column, half of the file."""
    columns = _read(storage, path, None if quality else [name for name in _schema(FaceRow).names if name != "quality"])
    columns.setdefault("quality", ["{}"] * len(columns["box"]))
    own = {name: columns.pop(name) for name in ("box", "landmarks", "score", "quality")}
    photos: dict[tuple[Any, ...], list[FaceRow]] = {}
    for shared, box, landmarks, score, figures in zip(zip(*columns.values()), *own.values(), strict=True):
        faces = photos.setdefault(shared, [])
        if landmarks is not None:
            faces.append(FaceRow(tuple(box), landmarks, score, tuple(json.loads(figures).items())))
    names = list(columns)
    return [
        AnalysedPhoto(**dict(zip(names, shared, strict=True)), faces=tuple(faces)) for shared, faces in photos.items()
    ]


def read_face_columns(storage: Storage, path: str, names: Sequence[str]) -> list[tuple[Any, ...]]:
    """Read some columns of a piece of the face table, as a tuple per face."""
    columns = _read(storage, path, list(names))
    return list(zip(*(columns[name] for name in names), strict=True))


def write_planned(storage: Storage, path: str, faces: Sequence[PlannedFace]) -> None:
    """Write the plan rows of one part."""
    rows = [_plan_row(face) for face in faces]
    columns = {field.name: [row[field.name] for row in rows] for field in fields(PlannedFace)}
    write_table(storage, path, PlannedFace, columns, durable=False)  # every run writes it again


def _plan_row(face: PlannedFace) -> dict[str, Any]:
    row = {field.name: getattr(face, field.name) for field in fields(PlannedFace)}
    row["attributes"] = json.dumps(face.attributes)
    row["place"] = face.place.to_bytes(16, "big")
    if face.morph is not None:
        row["morph"] = {field.name: getattr(face.morph, field.name) for field in fields(PlannedMorph)}
        row["morph"]["other"] = _plan_row(face.morph.other)
    return row


def read_planned(storage: Storage, path: str) -> list[PlannedFace]:
    """Read the plan rows of one part."""
    columns = _read(storage, path)
    return [_planned_face(dict(zip(columns, row, strict=True))) for row in zip(*columns.values(), strict=True)]


def _planned_face(row: dict[str, Any]) -> PlannedFace:
    row["attributes"] = tuple(map(tuple, json.loads(row["attributes"])))
    row["place"] = int.from_bytes(row["place"], "big")
    row["masks"], row["box"] = tuple(row["masks"]), tuple(row["box"])
    if morph := row.get("morph"):
        row["morph"] = PlannedMorph(**{**morph, "other": _planned_face(morph["other"])})
    return PlannedFace(**row)


def write_neighbours(storage: Storage, path: str, rows: Sequence[Neighbour]) -> None:
    """Write the neighbours of faces."""
    columns = {name: [getattr(row, name) for row in rows] for name in Neighbour._fields}
    write_table(storage, path, Neighbour, columns)


def read_neighbours(storage: Storage, path: str) -> list[Neighbour]:
    """Read the neighbours of faces."""
    columns = _read(storage, path)
    return [Neighbour(*row) for row in zip(*columns.values(), strict=True)]


def write_rejects(storage: Storage, path: str, rejects: Sequence[Reject]) -> None:
    """Write rejects of one stage."""
    write_table(storage, path, Reject, _columns(rejects, Reject))


def read_rejects(storage: Storage, path: str) -> list[Reject]:
    """Read rejects of one stage."""
    columns = _read(storage, path)
    return [Reject(*row) for row in zip(*columns.values(), strict=True)]
