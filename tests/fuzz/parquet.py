"""Parquet tables: every type, odd metadata, odd names, and damaged files."""

from __future__ import annotations

import decimal
import io
import json
import random
import struct
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.fuzz.base import INPUT, Case, Kind, build, lay_photos, points
from tests.fuzz.mutate import mutate, noise, put
from tests.fuzz.rules import Outcomes

_URIS = ["0.jpg", "1.jpg", "2.jpg"]
_NAMES = (
    "identity",
    "split",
    "landmarks",
    "attributes",
    "licence",
    "consent",
    "uri",
    "x",
    "",
    "a.b",
    "\n",
    "é",
    "n" * 300,
)
_BAD_TEXT = b"\xff\xfe\xff"


def _raw(kind: pa.DataType, values: Sequence[bytes]) -> pa.Array:
    """An array of text whose bytes are not checked."""
    ends = [sum(map(len, values[:n])) for n in range(len(values) + 1)]
    offsets = struct.pack(f"<{len(ends)}i", *ends)
    return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(offsets), pa.py_buffer(b"".join(values))])


@cache
def columns() -> dict[str, pa.Array]:
    """Three cells of each type that a table can hold, with values at its limits."""
    text, whole = ["Ada", None, "Bob"], [1, 2**31, -(2**63)]
    grid = [points()] * 3
    plain: dict[str, tuple[list[Any], pa.DataType]] = {
        "text": (text, pa.string()),
        "large text": (text, pa.large_string()),
        "text view": (text, pa.string_view()),
        "dictionary": (text, pa.dictionary(pa.int8(), pa.string())),
        "long text": (["x" * 70_000, "é" * 5_000, "\0\x1b[31m"], pa.string()),
        "binary": ([b"a", b"\xff", None], pa.binary()),
        "picture": ([b"\xff\xd8" + bytes(70_000)] * 3, pa.large_binary()),
        "fixed binary": ([b"abcd"] * 3, pa.binary(4)),
        "bool": ([True, None, False], pa.bool_()),
        "null": ([None] * 3, pa.null()),
        "int64": (whole, pa.int64()),
        "uint64": ([0, 2**64 - 1, None], pa.uint64()),
        "float": ([float("nan"), float("inf"), 1e-320], pa.float64()),
        "half": ([0.5, None, 2.0], pa.float16()),
        "decimal": ([decimal.Decimal("1.5"), None, decimal.Decimal("9" * 30)], pa.decimal128(38, 2)),
        "wide decimal": ([decimal.Decimal(10**60)] * 3, pa.decimal256(76, 0)),
        "date32": ([10**8, -(10**8), 0], pa.date32()),
        "date64": ([2**62, -(2**62), 0], pa.date64()),
        "time32": ([1, 86_399, None], pa.time32("s")),
        "time64": ([1, 86_399 * 10**9 + 1, None], pa.time64("ns")),
        "timestamp s": ([2**60, -(2**60), 0], pa.timestamp("s")),
        "timestamp ns": ([1, 2**62, None], pa.timestamp("ns")),
        "timestamp zone": ([1, 2, 3], pa.timestamp("us", "Mars/Olympus")),
        "timestamp utc": ([2**62, 2, 3], pa.timestamp("ms", "+99:99")),
        "duration": ([1, 2**62, None], pa.duration("ns")),
        "list of text": ([["a"], [], None], pa.list_(pa.string())),
        "points": (grid, pa.list_(pa.list_(pa.float64()))),
        "flat points": ([[x for point in points() for x in point]] * 3, pa.list_(pa.float32(), 136)),
        "pairs": (grid, pa.list_(pa.list_(pa.float64(), 2), 68)),
        "large lists": (grid, pa.large_list(pa.large_list(pa.float64()))),
        "short points": ([[[1.0, 2.0]], [], None], pa.list_(pa.list_(pa.float64()))),
        "points with null": ([[[None, 1.0]] * 68, None, []], pa.list_(pa.list_(pa.float64()))),
        "embedding": ([[0.5] * 512] * 3, pa.list_(pa.float32())),
        "struct": ([{"a": 1, "b": "x"}, None, {"b": ""}], pa.struct([("a", pa.int64()), ("b", pa.string())])),
        "struct without": ([{}, None, {}], pa.struct([])),
        "map": ([[("a", 1)], [], None], pa.map_(pa.string(), pa.int64())),
        "map of days": ([[(1, 1)], [], None], pa.map_(pa.date32(), pa.timestamp("ns"))),
        "deep": ([[[[[["x"]]]]]] * 3, pa.list_(pa.list_(pa.list_(pa.list_(pa.list_(pa.string())))))),
        "json points": ([json.dumps(points()), "[[1, 2]]", "[" * 5_000], pa.string()),
        "json": (['{"a": 1}', "[", '{"\\ud800": "\\udfff"}'], pa.string()),
        "paths": (["../0.jpg", "/dev/zero", "0.jpg\0"], pa.string()),
        "more paths": (["~nobody/0.jpg", "\\\\host\\0.jpg", "x" * 5_000], pa.string()),
        "links": (["https://example.invalid/0.jpg", "0.jpg ", "./0.jpg"], pa.string()),
    }  # fmt: skip
    made = {name: array for name, (values, kind) in plain.items() if (array := _array(values, kind)) is not None}
    made["bad utf-8"] = _raw(pa.string(), [b"", _BAD_TEXT, b"a"])
    made["interval"] = _array([(1, 2, 3)] * 3, pa.month_day_nano_interval())
    return {name: array for name, array in made.items() if array is not None and _can_be_written(array)}


def _array(values: list[Any], kind: pa.DataType) -> pa.Array | None:
    try:
        if pa.types.is_date64(kind) or pa.types.is_date32(kind):
            return pa.array(values, pa.int32() if pa.types.is_date32(kind) else pa.int64()).view(kind)
        return pa.array(values, kind)
    except (pa.ArrowException, TypeError, ValueError):
        return None


def _can_be_written(array: pa.Array) -> bool:
    try:
        pq.write_table(pa.table([array], names=["x"]), io.BytesIO())
    except (pa.ArrowException, ValueError, OSError):
        return False
    return True


def table(
    cells: Sequence[tuple[str, pa.Array]], metadata: Mapping[bytes, bytes] | None = None, **options: Any
) -> bytes:
    """A Parquet file of named columns; names may repeat."""
    fields = [pa.field(name, array.type) for name, array in cells]
    made = pa.Table.from_arrays([array for _, array in cells], schema=pa.schema(fields, metadata))
    buffer = io.BytesIO()
    pq.write_table(made, buffer, **options)
    return buffer.getvalue()


def _good() -> list[tuple[str, pa.Array]]:
    return [("uri", pa.array(_URIS)), ("identity", pa.array(["a", "b", "c"])), ("landmarks", columns()["points"])]


def _wrong_schema(data: bytes, rng: random.Random) -> bytes:
    """The file with a damaged copy of Arrow's schema, which lies in it as base64."""
    at = data.find(b"ARROW:schema")
    return (
        put(data, at + 20 + rng.randrange(200), rng.choice((b"AAAA", b"////", b"!", b"ABCDEFGH"))) if at > 0 else data
    )


def seeds() -> dict[str, Case]:
    """Each type as identity, attribute, landmarks and uri, and files that no writer makes."""
    good = _good()
    made = {"valid": table(good)}
    for name, array in columns().items():
        made[f"{name} as attribute"] = table([*good, ("x", array)])
        made[f"{name} as identity"] = table([good[0], ("identity", array), good[2]])
        made[f"{name} as landmarks"] = table([*good[:2], ("landmarks", array)])
        made[f"{name} as attributes"] = table([*good, ("attributes", array)])
        made[f"{name} as uri"] = table([("uri", array), *good[1:]])
    made["identity twice"] = table([*good, ("identity", pa.array(["d", "e", "f"]))])
    made["uri twice"] = table([*good, ("uri", pa.array(_URIS))])
    made["attribute twice"] = table([*good, ("x", pa.array([1, 2, 3])), ("x", pa.array([4, 5, 6]))])
    made["no rows"] = table([(name, array[:0]) for name, array in good])
    made["no columns"] = table([])
    made["a pandas index"] = table(good, {b"pandas": b'{"index_columns": [{"kind": "range", "start": 0, "stop": 10'})
    made["names of ours"] = table([*good, ("faceloom-error:gAROLg==", pa.array([1, 2, 3]))])
    made["one value a million times"] = table(
        [("uri", pa.array(["0.jpg"] * 100_000)), ("x", pa.array(["y" * 90] * 100_000))]
    )
    made["int96"] = table([*good, ("x", columns()["timestamp ns"])], use_deprecated_int96_timestamps=True)
    made["empty file"] = b""
    made["only magic"] = b"PAR1" + bytes(8) + b"PAR1"
    made["long footer"] = b"PAR1" + bytes(40) + struct.pack("<I", 2**31 - 1) + b"PAR1"
    made["encrypted"] = b"PARE" + bytes(40) + struct.pack("<I", 20) + b"PARE"
    return {name: {"table.parquet": data} for name, data in made.items()}


def make(rng: random.Random) -> Case:
    """Some columns of any type and name, written in any way, then damaged or not."""
    cells = _good()[: rng.choice((1, 2, 3))]
    for _ in range(rng.randrange(4)):
        cells.append((rng.choice(_NAMES), columns()[rng.choice(list(columns()))]))
    if rng.random() < 0.2:
        rng.shuffle(cells)
    metadata = (
        {rng.choice((b"pandas", b"huggingface", b"ARROW:schema", b"")): noise(rng, 40)} if rng.random() < 0.2 else None
    )
    options: dict[str, Any] = {"compression": rng.choice(("snappy", "zstd", "gzip", "none"))}
    options |= {"row_group_size": rng.choice((1, 2, 1000)), "use_dictionary": rng.random() < 0.5}
    options |= {"version": rng.choice(("1.0", "2.4", "2.6")), "write_page_checksum": rng.random() < 0.3}
    options["store_schema"] = rng.random() < 0.7
    try:
        data = table(cells, metadata, **options)
    except (pa.ArrowException, ValueError, OSError):
        data = table(_good())
    what = rng.random()
    if what < 0.1:
        data = _wrong_schema(data, rng)
    elif what < 0.6:
        data = mutate(rng, data)
    elif what < 0.7:  # the footer holds the types and places of everything
        length = struct.unpack("<I", data[-8:-4])[0]
        cut = max(4, len(data) - 8 - length)
        footer = mutate(rng, data[cut:-8])
        data = data[:cut] + footer + struct.pack("<I", len(footer)) + b"PAR1"
    return {"table.parquet": data}


def run(folder: Path, outcomes: Outcomes) -> None:
    """Build from a table of three photos."""
    lay_photos(folder / INPUT)
    build(folder, outcomes, folder / INPUT / "table.parquet")


KIND = Kind("parquet", seeds, make, run)
