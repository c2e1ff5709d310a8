"""Read an array of numbers from the bytes of a .npy file of a stranger.

`numpy.load` also opens zip files, makes arrays of any size that a header states, and parses the header as Python. Here
nothing is made before the header agrees with the number of bytes. Format: `numpy.lib.format`, versions 1.0 to 3.0.
"""

from __future__ import annotations

import math
import re
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_MAGIC = b"\x93NUMPY"
_LENGTH_BYTES = {1: 2, 2: 4, 3: 4}
_LONGEST_HEADER = 10_000
_TYPE = re.compile(rb"'descr'\s*:\s*(?:'([<>=|]?[biufc]\d{1,2})'|\S)")
_ORDER = re.compile(rb"'fortran_order'\s*:\s*(True|False)")
_SHAPE = re.compile(rb"'shape'\s*:\s*\(((?:\s*\d{1,30}\s*,)*\s*(?:\d{1,30})?\s*)\)")


class NpyHeader(NamedTuple):
    """What the header states.

    Attributes:
        shape: of the array.
        dtype: its type, such as `<f4`; empty if it holds something other than plain numbers.
        by_columns: whether the first index changes fastest.
        start: place of the first byte of the array.
    """

    shape: tuple[int, ...]
    dtype: str
    by_columns: bool
    start: int


def read_npy_header(data: bytes) -> NpyHeader:
    """The header of a .npy file.

    Raises:
        ValueError: this is no .npy file, or it has more or fewer bytes than its shape and type need.
    """
    if data[:6] != _MAGIC or len(data) < 8 or data[6] not in _LENGTH_BYTES:
        raise ValueError("not an .npy file")
    begin = 8 + _LENGTH_BYTES[data[6]]
    length = int.from_bytes(data[8:begin], "little")
    if length > _LONGEST_HEADER or begin + length > len(data):
        raise ValueError(f"an .npy header of {length} bytes")
    text = data[begin : begin + length]
    kind, order, shape = _TYPE.search(text), _ORDER.search(text), _SHAPE.search(text)
    if kind is None or order is None or shape is None:
        raise ValueError("the .npy header cannot be read")
    dtype = (kind[1] or b"").decode()
    sizes = tuple(int(size) for size in shape[1].split(b",") if size.strip())
    header = NpyHeader(sizes, dtype, order[1] == b"True", begin + length)
    if dtype:
        expected = math.prod(sizes) * _type(dtype).itemsize
        if expected != len(data) - header.start:
            raise ValueError(f"the .npy has {len(data) - header.start} bytes of numbers; its header states {expected}")
    return header


def read_npy_numbers(data: bytes, header: NpyHeader) -> NDArray[np.generic]:
    """The array, without a copy.

    Raises:
        ValueError: it does not hold whole numbers or floats.
    """
    dtype = _type(header.dtype) if header.dtype else None
    if dtype is None or dtype.kind not in "iuf":
        raise ValueError("the .npy does not hold numbers")
    flat = np.frombuffer(data, dtype, offset=header.start)
    return flat.reshape(header.shape, order="F" if header.by_columns else "C")


def _type(name: str) -> np.dtype[np.generic]:
    try:
        return np.dtype(name)
    except TypeError:
        raise ValueError(f"numbers of the type {name}") from None
