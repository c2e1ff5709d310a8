"""Arrow arrays from NumPy arrays and lists of values, without an object for each row."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

_HEX = np.frombuffer("".join(f"{byte:02x}" for byte in range(256)).encode(), np.uint16)


def hex_digits(records: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Records (N, L) as hexadecimal digits, ASCII (N, 2 L)."""
    return np.asarray(_HEX[records].view(np.uint8).reshape(len(records), 2 * records.shape[1]))


def texts_of(letters: npt.NDArray[np.uint8]) -> Any:
    """Texts of one length, ASCII (N, L), as a pyarrow array of strings."""
    import pyarrow as pa

    ends = np.arange(len(letters) + 1, dtype=np.int32) * letters.shape[1]
    return pa.StringArray.from_buffers(len(letters), pa.py_buffer(ends), pa.py_buffer(np.ascontiguousarray(letters)))


def blobs_of(records: npt.NDArray[np.uint8], has: npt.NDArray[np.bool_] | None = None) -> Any:
    """Records of one length, (N, L), as a pyarrow array of bytes.

    Args:
        has: marks the rows that have a record, (M,) with N true values; the others are empty. By default all have one.
    """
    import pyarrow as pa

    counts = np.ones(len(records), np.int64) if has is None else has.astype(np.int64)
    ends = np.append(0, np.cumsum(counts * records.shape[1])).astype(np.int32)
    return pa.BinaryArray.from_buffers(
        pa.binary(), len(counts), [None, pa.py_buffer(ends), pa.py_buffer(np.ascontiguousarray(records))]
    )


def values_at(value: Callable[[int], Any], numbers: npt.NDArray[np.integer]) -> Any:
    """For each number its value, as a pyarrow array. The value of a number is made once."""
    import pyarrow as pa

    if len(numbers) and (numbers == numbers[0]).all():  # as often, and much faster than to sort them
        return pa.repeat(pa.scalar(value(int(numbers[0]))), len(numbers))
    used, which = np.unique(numbers, return_inverse=True)
    return pa.array(map(value, used.tolist())).take(pa.array(which))


def value_bytes(array: Any) -> npt.NDArray[np.uint8]:
    """The bytes of all values of a text or binary array without nulls, one value after another."""
    _, offsets, data = array.buffers()
    ends = np.frombuffer(offsets, np.int32)[array.offset : array.offset + len(array) + 1] if len(array) else [0, 0]
    return np.frombuffer(data or b"", np.uint8)[ends[0] : ends[-1]]


def number_texts(numbers: npt.NDArray[np.float64]) -> Any:
    """What `repr` returns for each number, (N,), as a pyarrow array. Arrow makes most of the texts, in a fifth of the
    time."""
    import pyarrow as pa
    import pyarrow.compute as pc

    texts = pa.array(numbers).cast(pa.string())
    size = np.abs(numbers)
    alike = (size >= 1e-3) & (size < 1e9) & (np.trunc(numbers) != numbers) & _arrow_writes_as_python()
    if alike.all():
        return texts
    return pc.replace_with_mask(texts, ~alike, pa.array(map(repr, numbers[~alike].tolist()), pa.string()))


@cache
def _arrow_writes_as_python() -> bool:
    """Whether this version of pyarrow writes decimal numbers as Python does: digests depend on every digit."""
    import pyarrow as pa

    tried = [123.45678901234567, -0.1, 199.9375, 0.0010000000474974513, -31.25, 1 / 3, 999999999.5, 70.10000000000001]
    return list(map(repr, tried)) == pa.array(tried).cast(pa.string()).to_pylist()
