"""Find a picture inside a tar file by its name, listing each tar file once per process."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faceloom.pipelines.sources.tar_members import members
from faceloom.pipelines.sources.walk import PICTURE_ENDINGS, ending

_KEPT = 1024  # tar files; some 50 bytes a picture


def find_picture(path: Path, name: str) -> tuple[int, int] | None:
    """Offset and length in bytes of a picture in a tar file, the first of its name; None if there is none.

    Raises:
        OSError: the tar file cannot be read.
    """
    found = path.stat()
    names, places = _index(path, found.st_size, found.st_mtime_ns)
    key = name.encode()
    at = int(np.searchsorted(names, np.bytes_(key)))
    if at == len(names) or names[at] != key:
        return None
    return int(places[at, 0]), int(places[at, 1])


@functools.lru_cache(maxsize=_KEPT)
def _index(path: Path, size: int, mtime_ns: int) -> tuple[NDArray[np.bytes_], NDArray[np.int64]]:
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
    return np.array(names, dtype=np.bytes_), places
