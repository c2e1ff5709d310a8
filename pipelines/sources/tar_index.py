"""Find a picture in a tar file by name. Each process lists a tar file once."""

from __future__ import annotations

import bisect
import functools
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from faceloom.pipelines.sources.tar_members import members
from faceloom.pipelines.sources.walk import PICTURE_ENDINGS, ending
from faceloom.pipelines.store.read_at import one_at_a_time, version_of
from faceloom.pipelines.store.store_path import Place

_KEPT = 1024  # tar files; some 50 bytes a picture


class _Index(NamedTuple):
    """Sorted names joined into one bytes, name n from `ends[n - 1]` to `ends[n]`, and (offset, length) of each picture.

    A dict takes five times the memory; an array of fixed width takes the longest name for each.
    """

    names: bytes
    ends: NDArray[np.int64]
    places: NDArray[np.int64]

    def name(self, number: int) -> bytes:
        return self.names[self.ends[number - 1] if number else 0 : self.ends[number]]


def find_picture(path: Place, name: str) -> tuple[int, int] | None:
    """Return offset and length in bytes of the first picture with this name in a tar file; None without one.

    Raises:
        OSError, StorageError: the tar file cannot be read.
    """
    with one_at_a_time(path):
        index = _index(path, *version_of(path))
    key, count = name.encode("utf-8", "surrogateescape"), len(index.ends)
    at = bisect.bisect_left(range(count), key, key=index.name)
    if at == count or index.name(at) != key:
        return None
    return int(index.places[at, 0]), int(index.places[at, 1])


@functools.lru_cache(maxsize=_KEPT)
def _index(path: Place, size: int, version: int | str) -> _Index:
    # Size and version are arguments so that a changed tar file is listed again.
    found: dict[bytes, tuple[int, int]] = {}
    try:
        for member in members(path):
            if member.is_file and ending(member.name) in PICTURE_ENDINGS:
                found.setdefault(member.name.encode("utf-8", "surrogateescape"), (member.offset, member.size))
    except ValueError:
        pass  # the scan reports a damaged tar file; members before the damage are good
    names = sorted(found)
    places = np.array([found[name] for name in names], np.int64).reshape(-1, 2)
    return _Index(b"".join(names), np.cumsum([len(name) for name in names], dtype=np.int64), places)
