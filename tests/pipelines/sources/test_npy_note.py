from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from faceloom.pipelines.sources.npy_note import read_npy_header, read_npy_numbers


def npy(array: Any, version: tuple[int, int] | None = None) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, np.asarray(array), version=version, allow_pickle=True)
    return stream.getvalue()


def stated(header: str, data: bytes = b"") -> bytes:
    return b"\x93NUMPY\1\0" + len(header).to_bytes(2, "little") + header.encode() + data


NUMBERS = hnp.integer_dtypes() | hnp.unsigned_integer_dtypes() | hnp.floating_dtypes()


@given(hnp.arrays(NUMBERS, hnp.array_shapes(min_dims=0, max_dims=3)), st.sampled_from([(1, 0), (2, 0), (3, 0)]))
def test_reads_what_numpy_writes(given_array: np.ndarray[Any, Any], version: tuple[int, int]) -> None:
    for array in (given_array, np.asfortranarray(given_array)):
        data = npy(array, version)
        header = read_npy_header(data)
        assert header.shape == array.shape
        assert np.array_equal(read_npy_numbers(data, header), array, equal_nan=True)


@pytest.mark.parametrize(
    "array", [np.zeros((3, 2), bool), np.zeros(3, complex), np.zeros(3, "U4"), np.zeros(2, "i4,f8"), [{"a": 1}]]
)
def test_other_arrays_have_a_shape_and_no_numbers(array: Any) -> None:
    data = npy(array)
    header = read_npy_header(data)
    assert header.shape == np.asarray(array).shape
    with pytest.raises(ValueError, match="does not hold numbers"):
        read_npy_numbers(data, header)


PLAIN = "{'descr': '<f8', 'fortran_order': False, 'shape': (%s)}\n"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x93NUMPY",
        b"PK\3\4xx",
        b"\x93NUMPY\1\0",
        b"\x93NUMPY\2\0\xff\xff\xff\xff",
        b"\x93NUMPY\x09\0\x10\0" + bytes(16),
        stated("{{{\n"),
        stated("[" * 9_000),
        stated("-" * 9_990 + "1"),
        stated("(" * 60_000),
        stated(PLAIN % "1000000000000, 2"),
        stated(PLAIN % "99999999999999999999, 2"),
        stated(PLAIN % ("9" * 5_000 + ",")),
        stated(PLAIN % "True, 2", bytes(16)),
        stated(PLAIN % "-1, 2", bytes(16)),
        stated(PLAIN % "68.0, 2", bytes(1088)),
        stated(PLAIN % "68, 2", bytes(1087)),
        stated(PLAIN % "68, 2", bytes(1089)),
        stated(PLAIN.replace("<f8", "<f7") % "1,", bytes(7)),
        npy(np.zeros((68, 2)))[:-1],
    ],
)
def test_what_is_no_array_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"npy|type"):
        read_npy_header(data)


@given(st.binary(max_size=300) | st.binary(max_size=200).map(lambda text: b"\x93NUMPY\1\0\xc8\0" + text.ljust(200)))
def test_any_bytes_are_an_array_or_a_value_error(data: bytes) -> None:
    try:
        read_npy_numbers(data, read_npy_header(data))
    except ValueError as error:
        assert str(error) and "\n" not in str(error)


@given(st.integers(0, 400), st.binary(min_size=1, max_size=4))
def test_any_damage_is_an_array_or_a_value_error(place: int, other: bytes) -> None:
    data = npy(np.ones((68, 2)))
    data = data[:place] + other + data[place + len(other) :]
    try:
        read_npy_numbers(data, read_npy_header(data))
    except ValueError as error:
        assert str(error)
