"""Records of one length in a temporary file without a name: more than fit into memory, gone with the process."""

from __future__ import annotations

import tempfile
import weakref
from collections.abc import Iterator
from contextlib import ExitStack
from typing import IO

import numpy as np
import numpy.typing as npt

from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.urls import url_of

IN_MEMORY = 2**24
"""Bytes up to which the records stay in memory."""
_CHUNK = 2**23
"""Bytes that are read at once."""
_SORTED = 2**25
"""Bytes that are put in order at once."""
_BUFFER = 2**18
"""Bytes of one stretch in memory, while it is gathered."""

Records = npt.NDArray[np.uint8]


class RecordFile:
    """An array of records, uint8 (N, length). It is written once from start to end, then read at any place.

    Args:
        storage: of the output folder; its disk holds the temporary file. If it is no folder, that of `TMPDIR` does.
        length: bytes of a record.
        in_memory: bytes up to which the records stay in memory.
    """

    def __init__(self, storage: Storage, length: int, in_memory: int = IN_MEMORY) -> None:
        self._storage, self.length, self._count = storage, length, 0
        folder = None if url_of(storage.root) else storage.root
        self._file: IO[bytes] = tempfile.SpooledTemporaryFile(in_memory, dir=folder)  # noqa: SIM115
        weakref.finalize(self, self._file.close)

    def __len__(self) -> int:
        return self._count

    def append(self, records: Records) -> None:
        """Add records, uint8 (n, length), at the end. Call it only before the first read."""
        with self._storage.write_errors(""):
            self._file.write(np.ascontiguousarray(records).data)
        self._count += len(records)

    def read(self, start: int, stop: int) -> Records:
        """The records `start <= i < stop`."""
        with self._storage.write_errors(""):
            self._file.seek(start * self.length)
            data = self._file.read((stop - start) * self.length)
        return np.frombuffer(data, np.uint8).reshape(stop - start, self.length)

    def take(self, rows: npt.NDArray[np.integer]) -> Records:
        """Some records, in any order. Rows that follow each other are read at once, and equal ones once."""
        if not len(rows):
            return np.zeros((0, self.length), np.uint8)
        steps = np.diff(rows)
        if np.any(steps == 0):  # such as of a face and its morphs
            begins = np.append(True, steps != 0)
            once = self.take(rows[begins])
            return np.asarray(once[np.cumsum(begins) - 1])
        cuts = np.flatnonzero(steps != 1) + 1
        return np.concatenate([self.read(int(run[0]), int(run[-1]) + 1) for run in np.split(rows, cuts)])

    def in_order(self, rows: npt.NDArray[np.integer]) -> RecordFile:
        """A file of the records `rows`, each at most once, in this order.

        Records that go to the same stretch of the new file are first gathered in a file of their own, so that none is
        read alone and memory holds one stretch.
        """
        size = max(1, _SORTED // self.length)
        target = RecordFile(self._storage, self.length)
        places = np.full(len(self), -1, np.int32)
        places[rows] = np.arange(len(rows), dtype=np.int32)
        with ExitStack() as stack:
            stretches = [RecordFile(self._storage, self.length, _BUFFER) for _ in range(0, len(rows), size)]
            for stretch in stretches:
                stack.callback(stretch.close)
            for start, records in self.chunks():
                number = places[start : start + len(records)] // size  # -1 for records that are left out
                for one in np.unique(number[number >= 0]).tolist():
                    stretches[one].append(records[number == one])
            for one, stretch in enumerate(stretches):
                wanted = rows[one * size : (one + 1) * size]
                order = np.empty(len(wanted), np.int64)  # of the gathered records, which ascend by row
                order[np.argsort(wanted)] = np.arange(len(wanted))
                gathered, some = stretch.read(0, len(stretch)), max(1, _CHUNK // self.length)
                for start in range(0, len(order), some):
                    target.append(gathered[order[start : start + some]])
                del gathered
                stretch.close()
        return target

    def close(self) -> None:
        """Free the memory or the disk."""
        self._file.close()

    def chunks(self) -> Iterator[tuple[int, Records]]:
        """All records, many at once, each time with the number of the first one."""
        step = max(1, _CHUNK // self.length)
        for start in range(0, len(self), step):
            yield start, self.read(start, min(start + step, len(self)))
