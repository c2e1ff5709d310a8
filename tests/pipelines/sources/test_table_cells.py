from __future__ import annotations

import decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from faceloom.pipelines.sources.table_cells import UNREADABLE, as_scalars, cells_of, is_scalar


def cells(column: pa.Array) -> list[object]:
    return cells_of(pa.chunked_array([as_scalars(column)]))


def not_utf8() -> pa.Array:
    buffers = [None, pa.py_buffer(np.array([0, 2, 4], np.int32)), pa.py_buffer(b"\xff\xfeok")]
    return pa.Array.from_buffers(pa.string(), 2, buffers)


@pytest.mark.parametrize(
    ("column", "found"),
    [
        (pa.array(["a", None, "x" * 1_001, "é" * 1_000]), ["a", None, None, "é" * 1_000]),
        (pa.array(["a", "a", "x" * 1_001]).dictionary_encode(), ["a", "a", None]),
        (pa.array(["a"], pa.string_view()), ["a"]),
        (pa.array([1, None], pa.uint64()), [1, None]),
        (pa.array([1.5], pa.float16()), [1.5]),
        (pa.array([True, False]), [True, False]),
        (pa.nulls(2), [None, None]),
        (pa.array([decimal.Decimal("1.50")]), ["1.50"]),
        (pa.array([19_000, 10**8, -(10**8)], pa.date32()), ["2022-01-08", None, None]),
        (pa.array([0, 2**62], pa.date64()), ["1970-01-01", None]),
        (pa.array([1_700_000_000_123_456_789], pa.timestamp("ns")), ["2023-11-14T22:13:20.123456789"]),
        (pa.array([1_700_000_000, 2**62], pa.timestamp("s", "Mars/X")), ["2023-11-14T22:13:20Z", None]),
        (pa.array([1], pa.time64("ns")), ["00:00:00.000000001"]),
        (pa.array([2**62], pa.time64("ns")), [None]),
        (not_utf8(), [UNREADABLE, "ok"]),
        (pa.array(["<b>"]), ["<b>"]),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else "",
)
def test_scalars_become_values_of_python(column: pa.Array, found: list[object]) -> None:
    assert is_scalar(column.type)
    assert cells(column) == found


@pytest.mark.parametrize(
    "kind",
    [
        pa.binary(),
        pa.list_(pa.int8()),
        pa.struct({"a": pa.int8()}),
        pa.map_(pa.string(), pa.int8()),
        pa.duration("ns"),
        pa.month_day_nano_interval(),
        pa.dictionary(pa.int8(), pa.binary()),
    ],
    ids=str,
)
def test_other_types_are_no_scalars(kind: pa.DataType) -> None:
    assert not is_scalar(kind)


@pytest.mark.parametrize(
    ("column", "found"),
    [
        (pa.array([[[1.0, 2.0]], None]), [[[1.0, 2.0]], None]),
        (pa.array([[0] * 200_000, [1]]), [UNREADABLE, [1]]),
        (pa.array([[1_700_000_000_123_456_789], [1_000]], pa.list_(pa.timestamp("ns"))), None),
        (pa.array([10**8, 1], pa.date32()), None),
        (pa.array([0, 1], pa.timestamp("us", "Mars/X")), [UNREADABLE] * 2),
        (pa.array([{"day": 10**8}, {"day": 1}], pa.struct({"day": pa.date32()})), None),
    ],
    ids=str,
)
def test_cells_that_python_cannot_hold_are_marked_one_by_one(column: pa.Array, found: Any) -> None:
    values = cells_of(pa.chunked_array([column]))
    assert values == found if found else values[0] is UNREADABLE and values[1] is not UNREADABLE


def test_the_stand_in_says_what_it_is() -> None:
    assert repr(UNREADABLE) == "a value that cannot be read"
