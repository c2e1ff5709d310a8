"""Distinguish a lack of memory from a fault of the picture: libraries report both in the same way."""

from __future__ import annotations

import errno
import re

_WORDS = re.compile(
    "MemoryError|bad_alloc|cannot allocate|unable to allocate|allocate memory|(out of|insufficient|not enough) memory"
    "|failed to map segment|can't start new thread",
    re.IGNORECASE,
)
_KINDS = frozenset(
    {
        *("builtins.OSError", "builtins.RuntimeError", "builtins.ImportError", "zlib.error", "cv2.error"),
        "faceloom.schemas.errors.WorkerError",  # holds the text of an error of another process
    }
)
"""Types by which Pillow, PyTorch, OpenCV, zlib, threads and the loader of libraries report a lack of memory."""


def is_memory_fault(error: BaseException) -> bool:
    """Whether an error means that memory ran out: a MemoryError, or what libraries raise instead.

    The text of other types does not count, nor that of an OSError with a number: both may quote a name or a caption.
    """
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno == errno.ENOMEM
    kinds = (f"{kind.__module__}.{kind.__name__}" for kind in type(error).__mro__)
    return isinstance(error, MemoryError) or (not _KINDS.isdisjoint(kinds) and bool(_WORDS.search(str(error))))


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
    import numpy as np

    np.empty(size, np.uint8)
