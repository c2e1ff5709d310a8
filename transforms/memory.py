"""Telling a lack of memory from a fault of the picture: libraries report both in the same way."""

from __future__ import annotations

import numpy as np

_WORDS = ("out of memory", "insufficient memory", "not enough memory", "allocate memory", "bad_alloc")


def is_memory_fault(error: BaseException) -> bool:
    """Whether an error means that memory ran out: a MemoryError, or its likes in OpenCV, Pillow, zlib and PyTorch."""
    return isinstance(error, MemoryError) or any(words in str(error).lower() for words in _WORDS)


def require_memory(size: int, cause: object = None) -> None:
    """Check that memory of this size can be had.

    Decoders often only report that a picture is broken when they find no memory. Their verdict counts if the memory
    that they need is there.

    Args:
        size: in bytes.
        cause: error of the library, if there is one.

    Raises:
        MemoryError: it cannot, or `cause` is a lack of memory itself.
    """
    if isinstance(cause, BaseException) and is_memory_fault(cause):
        raise MemoryError(str(cause)) from None
    np.empty(size, np.uint8)
