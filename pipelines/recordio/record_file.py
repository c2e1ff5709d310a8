"""Read MXNet RecordIO without MXNet: records of a .rec file, their labels, and their offsets in the .idx file.

A record is one or more chunks, each `magic, flags and length, bytes, padding to 4`, little endian. Content with the
magic number at a multiple of 4 is split there into chunks, and the number is left out. The content starts with a header
`flag, label, id, id2`; if flag is not 0, that many labels follow, then the picture.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

MAGIC = 0xCED7230A
MAGIC_BYTES = struct.pack("<I", MAGIC)
CHUNK = struct.Struct("<II")
HEADER = struct.Struct("<IfQQ")
LENGTH_BITS = 29
WHOLE, FIRST, MIDDLE, LAST = range(4)
"""The upper three bits of a chunk's second word."""

_KEPT = 64  # .rec files whose index a process holds; 16 bytes a record


class Head(NamedTuple):
    """The labels of a record, and where its picture and the next record are.

    Attributes:
        labels: the label of the header, or the labels that follow it.
        length: size of the picture in bytes.
        end: offset of the next record.
        packed: whether labels follow the header.
    """

    labels: tuple[float, ...]
    length: int
    end: int
    packed: bool


class Index(NamedTuple):
    """Numbers of the records of a file, ascending, and their offsets, which are not checked.

    Both are int64, or Python integers if the .idx file has a number that does not fit.
    """

    numbers: NDArray[Any]
    offsets: NDArray[Any]

    def offset(self, number: int) -> int | None:
        """Return the offset of a record; None if no record has that number."""
        at = int(np.searchsorted(self.numbers, number))
        return int(self.offsets[at]) if at < len(self.numbers) and self.numbers[at] == number else None


def _chunks(file: int, offset: int) -> Iterator[tuple[int, int]]:
    """Yield start and length of each chunk of the record at an offset."""
    size = os.fstat(file).st_size
    if offset < 0:
        raise ValueError(f"no record begins at byte {offset}")
    if offset > size:
        raise ValueError(f"the file ends before the record at byte {offset}")
    expected = (WHOLE, FIRST)
    while True:
        head = os.pread(file, CHUNK.size, offset)
        if len(head) < CHUNK.size:
            raise ValueError(f"the file ends inside the record at byte {offset}")
        magic, word = CHUNK.unpack(head)
        flag, length = word >> LENGTH_BITS, word & (1 << LENGTH_BITS) - 1
        if magic != MAGIC or flag not in expected:
            raise ValueError(f"no record begins at byte {offset}")
        begin = offset + CHUNK.size
        if begin + length > size:
            raise ValueError(f"the file ends inside the record at byte {offset}")
        yield begin, length
        if flag in (WHOLE, LAST):
            return
        offset, expected = begin + length + -length % 4, (MIDDLE, LAST)


def read_head(file: int, offset: int) -> Head:
    """Read the labels of the record at an offset, and the size of its picture.

    Args:
        file: descriptor of the open .rec file.
        offset: in bytes.

    Raises:
        ValueError: no record begins there, or the record is truncated or too short for its labels.
        OSError: the file cannot be read.
    """
    chunks = list(_chunks(file, offset))
    begin, length = chunks[-1]
    end = begin + length + -length % 4
    if len(chunks) == 1:
        begin, total = chunks[0]
        start = os.pread(file, min(total, HEADER.size + 16), begin)
    else:
        start = content_of(file, offset)
        begin, total = 0, len(start)
    if len(start) < HEADER.size:
        raise ValueError(f"the record at byte {offset} is too short for a header")
    count, label, _, _ = HEADER.unpack_from(start)
    if count == 0:
        return Head((label,), total - HEADER.size, end, False)
    labels_end = HEADER.size + 4 * count
    if labels_end > total:
        raise ValueError(f"the record at byte {offset} is too short for its {count} labels")
    if len(start) < labels_end:
        start = os.pread(file, labels_end, begin)
    return Head(struct.unpack_from(f"<{count}f", start, HEADER.size), total - labels_end, end, True)


def content_of(file: int, offset: int) -> bytes:
    """Return all bytes of the record at an offset, header included. Raises as `read_head`."""
    return MAGIC_BYTES.join(os.pread(file, length, begin) for begin, length in _chunks(file, offset))


def picture_of(file: int, offset: int) -> bytes:
    """Return the picture of the record at an offset. Raises as `read_head`."""
    content = content_of(file, offset)
    if len(content) < HEADER.size:
        raise ValueError(f"the record at byte {offset} is too short for a header")
    return content[HEADER.size + 4 * HEADER.unpack_from(content)[0] :]


def index_of(path: Path) -> Index:
    """Return the offsets of the records of a .rec file, from the .idx file beside it or from a scan of the file.

    Without .idx, records are numbered from 0, and those after a damaged record are not found.

    Raises:
        ValueError: the .idx file has a wrong format.
        OSError: the file cannot be read.
    """
    beside = path.with_suffix(".idx")
    stats = [(stat.st_size, stat.st_mtime_ns) for file in (path, beside) if file.exists() for stat in [file.stat()]]
    if not stats or not path.exists():
        raise FileNotFoundError(2, "No such file or directory", str(path))
    return _index(path, tuple(stats))


@lru_cache(maxsize=_KEPT)
def _index(path: Path, stats: tuple[tuple[int, int], ...]) -> Index:
    # Sizes and times are arguments so that a changed file is read again.
    if len(stats) > 1:
        try:
            table = _whole_numbers(path.with_suffix(".idx").read_bytes().split()).reshape(-1, 2)
        except ValueError:
            raise ValueError("the .idx file is not lines of two whole numbers") from None
    else:
        table = np.array(list(enumerate(_offsets(path))), np.int64).reshape(-1, 2)
    order = np.argsort(table[:, 0], kind="stable")
    return Index(table[order, 0], table[order, 1])


def _whole_numbers(words: list[bytes]) -> NDArray[Any]:
    try:
        return np.array(words, np.int64)
    except OverflowError:
        return np.array(list(map(int, words)), object)


def _offsets(path: Path) -> Iterator[int]:
    offset = 0
    with path.open("rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        while offset < size:
            yield offset  # also of a damaged record, so that the scan reports it
            try:
                *_, (begin, length) = _chunks(stream.fileno(), offset)
            except ValueError:
                return
            offset = begin + length + -length % 4
