"""A lack of memory is distinguished from a broken picture, whichever library reports it."""

from __future__ import annotations

import re
import subprocess
import sys
import zlib

import cv2
import numpy as np
import pytest

from faceloom.schemas.errors import WorkerError
from faceloom.transforms.memory import is_memory_fault, require_memory


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        cv2.error("OpenCV(5.0.0) alloc.cpp:73: error: (-4:Insufficient memory) Failed to allocate 9 bytes"),
        OSError("out of memory error when reading image file"),
        OSError(12, "Cannot allocate memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
        RuntimeError("std::bad_alloc"),
        ImportError("x.so: failed to map segment from shared object"),
        RuntimeError("can't start new thread"),
        WorkerError("numpy._core._exceptions._ArrayMemoryError: Unable to allocate 9 GiB"),
        zlib.error("Error -4 while decompressing data: out of memory"),
    ],
    ids=lambda error: f"{type(error).__name__} {error}"[:40],
)
def test_a_lack_of_memory_is_recognised(error: Exception) -> None:
    assert is_memory_fault(error)
    with pytest.raises(MemoryError):
        require_memory(1, error)


def test_opencv_and_numpy_raise_what_is_recognised() -> None:
    with pytest.raises(MemoryError) as numpys:
        np.empty(1 << 60, np.uint8)
    assert is_memory_fault(numpys.value)
    with pytest.raises(cv2.error) as opencvs:
        cv2.copyMakeBorder(np.zeros((9, 9, 3), np.uint8), 2**30, 9, 2**19, 9, cv2.BORDER_CONSTANT)
    assert is_memory_fault(opencvs.value)


@pytest.mark.parametrize(
    "error",
    [
        *(ValueError("bad header"), OSError(5, "I/O error"), cv2.error("assertion"), None),
        *(
            ValueError("the caption 'out of memory' is too long"),
            KeyError("insufficient memory"),
            re.error("bad_alloc"),
        ),
        OSError(2, "No such file or directory", "out of memory.jpg"),
    ],
    ids=str,
)
def test_other_errors_count_if_the_memory_is_there(error: Exception | None) -> None:
    assert error is None or not is_memory_fault(error)
    require_memory(1 << 20, error)
    with pytest.raises(MemoryError):
        require_memory(1 << 60, error)


def test_numpy_is_not_imported_to_recognise_an_error() -> None:
    code = "import sys; from faceloom.transforms.memory import is_memory_fault; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
