"""Read a piece of the face table as columns, for work on millions of photos."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from faceloom.pipelines.store.arrow_values import value_bytes
from faceloom.pipelines.store.parquet_tables import face_columns, read_faces, table_schema, write_table
from faceloom.pipelines.store.storage import Storage
from faceloom.pipelines.store.table_reader import damaged, read_table
from faceloom.schemas.column_types import MOST_OFFSET
from faceloom.schemas.faces import DETECTORS, FIGURES, AnalysedPhoto, FaceRow

if TYPE_CHECKING:
    import pyarrow as pa

LANDMARK_BYTES = 544
"""Of 68 points."""
_OWN = ("box", "landmarks", "score", "detector", "turn", "landmarks_unsure", "masked", "quality")
"""Columns of faces."""
_MOST = {"size": MOST_OFFSET, "width": 2**31 - 1, "height": 2**31 - 1, "orientation": 2**31 - 1}


@dataclass(frozen=True, eq=False, slots=True)
class FaceColumns:
    """The analysis of P photos with F faces, in the order of a file.

    Attributes:
        photo_id, stamp, code, message, labels: pyarrow arrays of text (P,).
        size, width, height, orientation: int64 (P,).
        given: bool (P,).
        sha256: uint8 (P, 32); zeros if the photo could not be read.
        faces: number of faces of each photo, int64 (P,).
        box: float64 (F, 4). score: float64 (F,).
        detector: number in `DETECTORS`, int8 (F,). turn: int16 (F,). landmarks_unsure: bool (F,).
        masked: share of each face that a mask covers, -1 if no detector ran, float64 (F,).
        landmarks: uint8 (F, 544), zeros where `bare`, bool (F,), which marks faces without landmarks.
        quality: float32 (F, 5) in the order of `FIGURES`, NaN for faces without figures.
    """

    photo_id: Any
    stamp: Any
    code: Any
    message: Any
    labels: Any
    size: npt.NDArray[np.int64]
    width: npt.NDArray[np.int64]
    height: npt.NDArray[np.int64]
    orientation: npt.NDArray[np.int64]
    given: npt.NDArray[np.bool_]
    sha256: npt.NDArray[np.uint8]
    faces: npt.NDArray[np.int64]
    box: npt.NDArray[np.float64]
    score: npt.NDArray[np.float64]
    landmarks: npt.NDArray[np.uint8]
    bare: npt.NDArray[np.bool_]
    detector: npt.NDArray[np.int8]
    turn: npt.NDArray[np.int16]
    landmarks_unsure: npt.NDArray[np.bool_]
    masked: npt.NDArray[np.float64]
    quality: npt.NDArray[np.float32]


def read_columns(storage: Storage, path: str) -> FaceColumns:
    """Read a piece of the face table.

    Raises:
        StorageError: it cannot be read or is damaged.
    """
    found = _columns(read_face_table(storage, path))
    if found is None:  # a rare form, or a fault that this names
        found = columns_of(read_faces(storage, path))
    if found is None:
        raise damaged(path, "column sha256: a photo with faces has no sha256")
    return found


def columns_of(photos: Sequence[AnalysedPhoto]) -> FaceColumns | None:
    """The columns of some photos; None if a sha256 is neither empty nor whole."""
    return _columns(face_columns(photos))


def read_face_table(storage: Storage, path: str) -> pa.Table:
    """Read a piece of the face table. Values are not checked."""
    schema = table_schema(FaceRow)
    return read_table(storage, path, schema, schema.names)


def write_merged_faces(storage: Storage, path: str, tables: Sequence[pa.Table]) -> None:
    """Write one piece of the face table with the rows of several. Of rows of one photo that are equal in size and stamp
    those of the last table are kept."""
    import pyarrow as pa

    seen: set[tuple[Any, ...]] = set()
    kept = []
    for table in reversed(tables):
        names = [tuple(row.values()) for row in table.select(["photo_id", "size", "stamp"]).to_pylist()]
        kept.append(table.filter(pa.array([name not in seen for name in names], pa.bool_())))
        seen.update(names)
    write_table(storage, path, FaceRow, pa.concat_tables(kept[::-1]))


def _columns(table: pa.Table) -> FaceColumns | None:
    """The columns of a table if all its values are certainly right; otherwise None."""
    import pyarrow as pa
    import pyarrow.compute as pc

    column = {name: pa.concat_arrays(table.column(name).chunks or [_empty(table, name)]) for name in table.column_names}
    own = [column.pop(name) for name in _OWN]
    has_face = _bools(own[0].is_valid())
    halves = [np.array_equal(has_face, _bools(one.is_valid())) for one in own[1:]]
    if not all(halves) or any(one.null_count for one in column.values()):
        return None
    numbers = {name: column[name].to_numpy() for name in _MOST}
    if any(np.any((values < 0) | (values > _MOST[name])) for name, values in numbers.items()):
        return None
    sha256, faces = _digests(column["sha256"]), _faces(*(one.drop_null() for one in own))
    if sha256 is None or faces is None or len(table) != len(sha256):
        return None
    rows = len(table)
    new = np.ones(rows, bool)
    if rows > 1:
        same = [_bools(pc.equal(one.slice(1), one.slice(0, rows - 1))) for one in column.values()]
        new[1:] = ~np.logical_and.reduce(same)
    starts = np.flatnonzero(new)
    lengths = np.diff(np.append(starts, rows))
    counts = np.diff(np.append(0, np.cumsum(has_face))[np.append(starts, rows)])
    if np.any((counts != lengths) & ((counts != 0) | (lengths != 1))):
        return None
    first = {name: column[name].take(pa.array(starts)) for name in ("photo_id", "stamp", "code", "message", "labels")}
    unread = ~sha256[starts].any(axis=1)
    if np.any(unread & _bools(pc.equal(first["code"], ""))):
        return None
    at_start = {name: values[starts] for name, values in numbers.items()}
    given = _bools(column["given"])[starts]
    return FaceColumns(**first, **at_start, given=given, sha256=sha256[starts], faces=counts, **faces)


def _empty(table: pa.Table, name: str) -> pa.Array:
    import pyarrow as pa

    return pa.array([], table.schema.field(name).type)


def _bools(array: pa.Array) -> npt.NDArray[np.bool_]:
    return np.asarray(array.to_numpy(zero_copy_only=False), bool)


def _digests(texts: pa.Array) -> npt.NDArray[np.uint8] | None:
    """Digests as bytes (N, 32), zeros for empty texts; None if a text is something else."""
    import pyarrow.compute as pc

    whole = pc.if_else(pc.equal(texts, ""), "00" * 32, texts)
    if not _bools(pc.equal(pc.binary_length(whole), 64)).all():
        return None
    text = "".join(whole.to_pylist())
    try:
        data = bytes.fromhex(text)
    except ValueError:
        return None
    if data.hex() != text:  # fromhex takes capitals and spaces too
        return None
    return np.frombuffer(data, np.uint8).reshape(-1, 32)


def _figures(quality: pa.Array) -> npt.NDArray[np.float32] | None:
    """Figures (F, 5), NaN for faces without; None if a face has another number of them, or one is not finite."""
    import pyarrow.compute as pc

    lengths = pc.list_value_length(quality).to_numpy(zero_copy_only=False)
    values, has = quality.flatten().to_numpy(zero_copy_only=False), lengths > 0
    if np.any(has & (lengths != len(FIGURES))) or not np.isfinite(values).all():  # a null becomes NaN
        return None
    figures = np.full((len(lengths), len(FIGURES)), np.nan, np.float32)
    figures[has] = values.reshape(-1, len(FIGURES))
    return figures


def _faces(
    box: pa.Array, landmarks: pa.Array, score: pa.Array, detector: pa.Array, turn: pa.Array, unsure: pa.Array,
    masked: pa.Array, quality: pa.Array,
) -> dict[str, Any] | None:  # fmt: skip
    """Columns of faces; None if a value is not what it should be, such as a box that is not four finite numbers."""
    import pyarrow as pa
    import pyarrow.compute as pc

    corners = box.flatten().to_numpy(zero_copy_only=False)
    lengths = pc.binary_length(landmarks).to_numpy(zero_copy_only=False)
    bare = lengths == 0
    if not _bools(pc.equal(pc.list_value_length(box), 4)).all() or not np.all(bare | (lengths == LANDMARK_BYTES)):
        return None
    if corners.dtype != np.float64 or not np.isfinite(corners).all():  # a null makes another type, or no number
        return None
    points = value_bytes(landmarks).reshape(-1, LANDMARK_BYTES)
    if bare.any():
        whole, points = points, np.zeros((len(box), LANDMARK_BYTES), np.uint8)
        points[~bare] = whole
    named = pc.index_in(detector, pa.array(DETECTORS, detector.type))
    turns, figures, shares = turn.to_numpy(), _figures(quality), masked.to_numpy(zero_copy_only=False)
    if not np.isfinite(shares).all():
        return None
    if figures is None or named.null_count or np.any(np.abs(turns) > 180):
        return None
    return {
        "box": corners.reshape(-1, 4),
        "score": score.to_numpy(zero_copy_only=False),
        "landmarks": points,
        "bare": bare,
        "detector": named.to_numpy(zero_copy_only=False).astype(np.int8),
        "turn": turns.astype(np.int16),
        "landmarks_unsure": _bools(unsure),
        "masked": shares,
        "quality": figures,
    }
