"""Arrays come back as they were; of a stranger's file nothing is believed."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from faceloom.pipelines.store.array_files import check_array, read_arrays, whole, write_arrays
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import StorageError

ARRAYS = {
    "numbers": np.arange(6, dtype=np.float32).reshape(3, 2),
    "records": np.array([("a", [1, 2])], [("key", "S8"), ("place", "i4", 2)]),
    "none": np.zeros((0, 4), np.uint8),
}


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage(str(tmp_path))


def test_arrays_come_back(storage: Storage) -> None:
    write_arrays(storage, "work/a.npz", ARRAYS)
    found = read_arrays(storage, "work/a.npz", 10_000)
    assert found.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert found[name].dtype == array.dtype and np.array_equal(found[name], array)


def saved(**arrays: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def bad_files() -> dict[str, bytes]:
    good, packed = saved(a=np.zeros(99)), io.BytesIO()
    np.savez_compressed(packed, a=np.zeros(10**6))
    lying = io.BytesIO()
    with zipfile.ZipFile(lying, "w") as file:
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (2**40,)})
        file.writestr("a.npy", header.getvalue() + bytes(8))
    flipped = bytearray(good)
    flipped[len(good) // 2] ^= 1
    return {
        "empty": b"",
        "cut": good[:-30],
        "a bomb": packed.getvalue(),
        "pickle": saved(a=np.array([{}], object)),
        "longer than it is": lying.getvalue(),
        "flipped": bytes(flipped),
    }


@pytest.mark.parametrize("kind", bad_files())
def test_a_damaged_file_is_refused(storage: Storage, kind: str) -> None:
    with storage.write("work/a.npz") as stream:
        stream.write(bad_files()[kind])
    with pytest.raises(StorageError, match="damaged") as caught:
        read_arrays(storage, "work/a.npz", 10**6)
    assert caught.value.where == "work/a.npz"


def test_a_file_that_is_too_long_is_not_read(storage: Storage) -> None:
    write_arrays(storage, "work/a.npz", ARRAYS)
    with pytest.raises(StorageError):
        read_arrays(storage, "work/a.npz", 100)


def test_rows_have_the_shape_and_type_of_an_example() -> None:
    check_array(np.zeros((2, 3), np.int64), 2, np.zeros((9, 3), np.int64))
    for array in (np.zeros((3, 3), np.int64), np.zeros((2, 4), np.int64), np.zeros((2, 3), np.int32), np.zeros(2)):
        with pytest.raises(StorageError, match="damaged") as caught, whole("work/a.npz"):
            check_array(array, 2, np.zeros((9, 3), np.int64))
        assert "another shape" in str(caught.value.__cause__)
