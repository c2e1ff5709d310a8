"""Read and write NumPy arrays as npz files of `work/`: bounded, checked, without pickle."""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from faceloom.pipelines.store.storage import REPAIR, Storage
from faceloom.schemas.errors import StorageError

Arrays = dict[str, npt.NDArray[Any]]


def write_arrays(storage: Storage, path: str, arrays: Mapping[str, npt.NDArray[Any]], *, durable: bool = True) -> None:
    """Write arrays without compression. See `Storage.write` for `durable`."""
    buffer, named = io.BytesIO(), dict[str, Any](arrays)
    np.savez(buffer, **named)
    with storage.write(path, durable=durable) as stream:
        stream.write(buffer.getbuffer())


def read_arrays(storage: Storage, path: str, most_bytes: int) -> Arrays:
    """Read the arrays of a file that `write_arrays` wrote. Their sizes are checked before memory is taken for them.

    Raises:
        StorageError: the file cannot be read, is damaged, or has more than `most_bytes`.
    """
    data = storage.read_bytes(path, most_bytes)
    with whole(path):
        return _arrays(data)


@contextmanager
def whole(path: str) -> Iterator[None]:
    """Turn each error that a damaged file causes into a StorageError."""
    try:
        yield
    except (KeyError, IndexError, ValueError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise StorageError(f"damaged: {type(error).__name__}", where=path, remedy=REPAIR) from error


def check_array(array: npt.NDArray[Any], count: int, like: npt.NDArray[Any]) -> None:
    """Check that an array has `count` rows of the dtype and shape of those of `like`.

    Raises:
        ValueError: it has not.
    """
    if array.dtype != like.dtype or array.shape != (count, *like.shape[1:]):
        raise ValueError("an array is of another shape")


def _arrays(data: bytes) -> Arrays:
    arrays = {}
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        for info in file.infolist():
            if info.compress_type != zipfile.ZIP_STORED or info.file_size > len(data):
                raise ValueError("an array is compressed")
            stream = io.BytesIO(file.read(info))
            if np.lib.format.read_magic(stream) != (1, 0):
                raise ValueError("an array has another format")
            shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream)
            content = stream.read()
            if fortran or dtype.hasobject or math.prod(shape) * dtype.itemsize != len(content):
                raise ValueError("an array is of another size")
            arrays[info.filename.removesuffix(".npy")] = np.frombuffer(content, dtype).reshape(shape)
    return arrays
