"""Find a picture inside a tar file by its name, listing each tar file once per process."""

from __future__ import annotations

import bisect
import functools
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from faceloom.pipelines.sources.tar_members import members
from faceloom.pipelines.sources.walk import PICTURE_ENDINGS, ending

_KEPT = 1024  # tar files; some 50 bytes a picture


class _Index(NamedTuple):
    """Sorted names in one piece, name n from `ends[n - 1]` to `ends[n]`, and the (offset, length) of each picture.

    A dict would take five times the memory, an array of fixed width as much per name as the longest needs.
    """

    names: bytes
    ends: NDArray[np.int64]
    places: NDArray[np.int64]

    def name(self, number: int) -> bytes:
        return self.names[self.ends[number - 1] if number else 0 : self.ends[number]]


def find_picture(path: Path, name: str) -> tuple[int, int] | None:
    """Offset and length in bytes of a picture in a tar file, the first of its name; None if there is none.

    Raises:
        OSError: the tar file cannot be read.
    """
    found = path.stat()
    index = _index(path, found.st_size, found.st_mtime_ns)
    key, count = name.encode("utf-8", "surrogateescape"), len(index.ends)
    at = bisect.bisect_left(range(count), key, key=index.name)
    if at == count or index.name(at) != key:
        return None
    return int(index.places[at, 0]), int(index.places[at, 1])


@functools.lru_cache(maxsize=_KEPT)
def _index(path: Path, size: int, mtime_ns: int) -> _Index:
    # Size and time are arguments so that a tar file that was written anew is listed anew.
    found: dict[bytes, tuple[int, int]] = {}
    try:
        for member in members(path):
            if member.is_file and ending(member.name) in PICTURE_ENDINGS:
                found.setdefault(member.name.encode("utf-8", "surrogateescape"), (member.offset, member.size))
    except ValueError:
        pass  # the scan reports a damaged tar file; what comes before the damage is good
    names = sorted(found)
    places = np.array([found[name] for name in names], np.int64).reshape(-1, 2)
    return _Index(b"".join(names), np.cumsum([len(name) for name in names], dtype=np.int64), places)
