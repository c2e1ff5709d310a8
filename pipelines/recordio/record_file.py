"""Read MXNet RecordIO without MXNet: records of a .rec file, their labels, and their offsets in the .idx file.

A record is one or more chunks, each `magic, flags and length, bytes, padding to 4`, little endian. Content with the
magic number at a multiple of 4 is split there into chunks, and the number is left out. The content starts with a header
`flag, label, id, id2`; if flag is not 0, that many labels follow, then the picture.
"""

from __future__ import annotations

import os
import re
import struct
import warnings
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from faceloom.schemas.regular_files import open_regular_file

MAGIC = 0xCED7230A
MAGIC_BYTES = struct.pack("<I", MAGIC)
CHUNK = struct.Struct("<II")
HEADER = struct.Struct("<IfQQ")
LENGTH_BITS = 29
WHOLE, FIRST, MIDDLE, LAST = range(4)
"""The upper three bits of a chunk's second word."""

MOST_LABELS = 1_000
"""Labels of one record."""
MOST_BYTES = 1 << 30
"""Largest size of a record. Reading a larger one could exhaust the memory."""

_MOST_CHUNKS = 10_000  # of one record: pictures with the magic number are rare
_MOST_INDEX = 1 << 30  # bytes of an .idx file: some 50 million records
_INDEX_LINE = 6  # bytes of an .idx file for each of its .rec file; a record has 32 or more, its line 42 or fewer
_BLOCK = 1 << 23
_LONE_SIGN = re.compile(rb"[+-](?![0-9])")
_NOT_AN_INDEX = "the .idx file is not lines of two whole numbers"
_LIMITS = np.iinfo(np.int64)
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
    first, total, expected = offset, 0, (WHOLE, FIRST)
    for _ in range(_MOST_CHUNKS):
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
        total += length
        if total > MOST_BYTES:
            raise ValueError(f"the record at byte {first} has more than {MOST_BYTES:,} bytes")
        yield begin, length
        if flag in (WHOLE, LAST):
            return
        offset, expected = begin + length + -length % 4, (MIDDLE, LAST)
    raise ValueError(f"the record at byte {first} has more than {_MOST_CHUNKS:,} chunks")


def read_head(file: int, offset: int) -> Head:
    """Read the labels of the record at an offset, and the size of its picture.

    Args:
        file: descriptor of the open .rec file.
        offset: in bytes.

    Raises:
        ValueError: no record begins there, or the record is truncated, too long, too short for its labels, or has more
            than `MOST_LABELS`.
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
    if count > MOST_LABELS:
        raise ValueError(f"the record at byte {offset} states {count:,} labels; at most {MOST_LABELS:,} are read")
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
        ValueError: the .idx file has a wrong format or an implausible size, or one of them is a pipe or device.
        OSError: one of them cannot be read.
    """
    beside = path.with_suffix(".idx")
    files = [path]
    # A link without a target is no reason to number the records anew.
    if beside.exists() or beside.is_symlink():
        files.append(beside)
    return _index(path, tuple((stat.st_size, stat.st_mtime_ns) for stat in map(Path.stat, files)))


@lru_cache(maxsize=_KEPT)
def _index(path: Path, stats: tuple[tuple[int, int], ...]) -> Index:
    # Sizes and times are arguments so that a changed file is read again.
    if len(stats) > 1:
        numbers, offsets = _read_index(path.with_suffix(".idx"), stats[0][0])
    else:
        offsets = np.fromiter(_offsets(path), np.int64)
        numbers = np.arange(len(offsets))
    if np.all(numbers[1:] >= numbers[:-1]):
        return Index(numbers, offsets)
    order = np.argsort(numbers, kind="stable")
    return Index(numbers[order], offsets[order])


def _read_index(file: Path, records: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Numbers and offsets of an .idx file for `records` bytes, read in blocks: as a whole, words take 70 bytes each."""
    most = min(_MOST_INDEX, (1 << 20) + _INDEX_LINE * records)
    pieces: list[NDArray[Any]] = []
    with open_regular_file(file, most) as stream:
        while block := stream.read(_BLOCK):
            rest = stream.readline(_BLOCK)
            if len(rest) == _BLOCK:
                raise ValueError(_NOT_AN_INDEX)  # no line is so long
            block += rest
            pieces.append(_whole_numbers(block))
    table = np.concatenate(pieces) if pieces else np.empty(0, np.int64)
    if len(table) % 2:
        raise ValueError(_NOT_AN_INDEX)
    return np.ascontiguousarray(table[0::2]), np.ascontiguousarray(table[1::2])


def _whole_numbers(text: bytes) -> NDArray[Any]:
    """The numbers of a text: int64, or Python integers if one does not fit."""
    if not text.strip():
        return np.empty(0, np.int64)
    if _LONE_SIGN.search(text):  # which NumPy takes for zero
        raise ValueError(_NOT_AN_INDEX)
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)  # of text that is no number
        try:
            numbers = np.fromstring(text, np.int64, sep=" ")
        except (ValueError, DeprecationWarning):
            raise ValueError(_NOT_AN_INDEX) from None
    if np.any((numbers == _LIMITS.max) | (numbers == _LIMITS.min)):  # NumPy writes these for larger ones
        try:
            return np.array([int(word) for word in text.split()], object)
        except ValueError:
            raise ValueError(_NOT_AN_INDEX) from None
    return numbers


def _offsets(path: Path) -> Iterator[int]:
    offset = 0
    with open_regular_file(path) as stream:
        size = os.fstat(stream.fileno()).st_size
        while offset < size:
            yield offset  # also of a damaged record, so that the scan reports it
            try:
                *_, (begin, length) = _chunks(stream.fileno(), offset)
            except ValueError:
                return
            offset = begin + length + -length % 4
