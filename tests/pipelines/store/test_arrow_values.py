"""Arrow arrays hold what a loop over the rows would put into them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceloom.pipelines.store import arrow_values
from faceloom.pipelines.store.arrow_values import blobs_of, hex_digits, number_texts, texts_of, values_at

RECORDS = np.random.default_rng(0).integers(0, 256, (5, 32), np.uint8)
CORNERS = st.floats(-2000, 2000) | st.floats(-2000, 2000, width=32) | st.integers(-2000, 2000).map(float)


def test_records_become_hexadecimal_texts() -> None:
    found = texts_of(hex_digits(RECORDS))
    found.validate(full=True)
    assert found.type == pa.string() and found.to_pylist() == [record.tobytes().hex() for record in RECORDS]
    assert texts_of(hex_digits(RECORDS[:0])).to_pylist() == []


def test_records_become_bytes_where_there_are_some() -> None:
    whole = blobs_of(RECORDS)
    whole.validate(full=True)
    assert whole.to_pylist() == [record.tobytes() for record in RECORDS]
    has = np.array([False, True, False, True, True, False])
    assert blobs_of(RECORDS[:3], has).to_pylist() == [b"", RECORDS[0].tobytes(), b"", *map(bytes, RECORDS[1:3]), b""]
    assert blobs_of(RECORDS[:0], has[:1]).to_pylist() == [b""]


def test_each_value_is_made_once() -> None:
    made: list[int] = []

    def value(number: int) -> str:
        made.append(number)
        return f"value {number}"

    for numbers, different in (([7, 2, 7, 2, 2], [2, 7]), ([5, 5, 5], [5]), ([], [])):
        made.clear()
        found = values_at(value, np.array(numbers, np.int64))
        assert found.to_pylist() == [f"value {number}" for number in numbers]
        assert sorted(made) == different


@given(st.lists(st.floats(allow_nan=False) | CORNERS))
def test_numbers_are_written_as_python_writes_them(numbers: list[float]) -> None:
    assert number_texts(np.array(numbers, np.float64)).to_pylist() == list(map(repr, numbers))


def test_a_pyarrow_that_writes_other_digits_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    assert arrow_values._arrow_writes_as_python()
    monkeypatch.setattr(arrow_values, "_arrow_writes_as_python", lambda: False)
    plain = pa.array

    def zeros(values: Any, kind: Any = None) -> Any:
        return plain(np.zeros(len(values))) if isinstance(values, np.ndarray) else plain(values, kind)

    monkeypatch.setattr(pa, "array", zeros)
    assert number_texts(np.array([0.1, 2.5])).to_pylist() == ["0.1", "2.5"]
