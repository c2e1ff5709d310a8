"""Plan rows as Parquet: the planned faces of a part, or of all parts of a shard."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from faceloom.pipelines.store.parquet_tables import table_schema, write_table
from faceloom.pipelines.store.storage import Storage
from faceloom.pipelines.store.table_reader import MOST_CONTENT, checked, damaged, read_table
from faceloom.schemas.json_text import parse_json
from faceloom.schemas.plan import FaceList, FaceRows, PlannedFace

if TYPE_CHECKING:
    import pyarrow as pa


def write_planned(storage: Storage, path: str, faces: Sequence[PlannedFace], parts: Sequence[str] = ()) -> None:
    """Write plan rows; `parts` names the part of each face, where a file holds those of several."""
    rows = faces if isinstance(faces, FaceRows) else FaceList(faces)
    columns = rows.columns() | {"part": parts or [""] * len(faces)}
    write_table(storage, path, PlannedFace, columns, durable=False, brief=True)  # every run writes it again


def read_planned(storage: Storage, path: str, part: str = "") -> list[PlannedFace]:
    """Read plan rows; only those of one part, if it is named."""
    import pyarrow.compute as pc

    table = _table(storage.root, path, storage.stamp(path))
    rows = (table.filter(pc.equal(table.column("part"), part)) if part else table).drop_columns("part").to_pylist()
    return list(checked(PlannedFace, [_planned_fields(row, path) for row in rows], path))


@lru_cache(maxsize=1)
def _table(root: str, path: str, stamp: tuple[object, ...]) -> pa.Table:
    """All plan rows of a file. Kept, since a process renders several parts of a shard one after another."""
    schema = table_schema(PlannedFace)
    return read_table(Storage(root), path, schema, schema.names)


def _planned_fields(row: dict[str, Any], path: str) -> dict[str, Any]:
    if not row["attributes"] or not row["place"]:
        raise damaged(path, "column attributes or place: a row has none")
    row["attributes"] = _json(row["attributes"], path, "attributes", list)
    row["place"] = int.from_bytes(row["place"], "big")
    row["frame"] = _frame(row.get("frame"), path)
    if morph := row.get("morph"):
        morph["other"] = morph["other"] and _planned_fields(morph["other"], path)
    return row


def _frame(text: str | None, path: str) -> dict[str, Any] | None:
    frame: dict[str, Any] = _json(text or "{}", path, "frame", dict)
    try:
        frame |= {"faces": [face | {"landmarks": bytes.fromhex(face["landmarks"])} for face in frame.get("faces", ())]}
    except (KeyError, TypeError, ValueError):
        raise damaged(path, "column frame: landmarks that are not hexadecimal") from None
    return frame if text else None


def _json(text: str, path: str, column: str, kind: type) -> Any:
    try:
        value = parse_json(text, MOST_CONTENT)
    except ValueError as error:
        raise damaged(path, f"column {column}: {error}") from None
    if not isinstance(value, kind):
        raise damaged(path, f"column {column}: {type(value).__name__}, not {kind.__name__}")
    return value
