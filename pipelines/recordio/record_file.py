"""Read MXNet RecordIO without MXNet: records of a .rec file, their labels, and their offsets in the .idx file.

A record is one or more chunks, each `magic, flags and length, bytes, padding to 4`, little endian. Content with the
magic number at a multiple of 4 is split there into chunks, and the number is left out. The content starts with a header
`flag, label, id, id2`; if flag is not 0, that many labels follow, then the picture.
"""

from __future__ import annotations

import re
import struct
import warnings
from collections.abc import Iterator
from functools import lru_cache, partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from faceloom.pipelines.store.read_at import (
    File,
    Window,
    length_of,
    one_at_a_time,
    opened,
    read_at,
    up_to_date,
    version_of,
)
from faceloom.pipelines.store.store_path import Place, StorePath
from faceloom.schemas.errors import StorageError
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
_MOST_WINDOW = 1 << 24  # bytes of an object that are read for a record, before what is in it is known
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

    Attributes:
        places: the offsets, ascending; empty for a file of this machine.
    """

    numbers: NDArray[Any]
    offsets: NDArray[Any]
    places: NDArray[Any] = np.empty(0, np.int64)

    def offset(self, number: int) -> int | None:
        """Return the offset of a record; None if no record has that number."""
        at = int(np.searchsorted(self.numbers, number))
        return int(self.offsets[at]) if at < len(self.numbers) and self.numbers[at] == number else None

    def next_after(self, offset: int, end: int) -> int:
        """Return the next larger offset of a record in a file of `end` bytes; its end after the last one."""
        at = int(np.searchsorted(self.places, offset, side="right"))
        return min(end, int(self.places[at])) if at < len(self.places) else end


def _chunks(file: File, offset: int) -> Iterator[tuple[int, int]]:
    """Yield start and length of each chunk of the record at an offset."""
    size = length_of(file)
    if offset < 0:
        raise ValueError(f"no record begins at byte {offset}")
    if offset > size:
        raise ValueError(f"the file ends before the record at byte {offset}")
    first, total, expected = offset, 0, (WHOLE, FIRST)
    for _ in range(_MOST_CHUNKS):
        head = read_at(file, CHUNK.size, offset)
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


def read_head(file: File, offset: int) -> Head:
    """Read the labels of the record at an offset, and the size of its picture.

    Args:
        file: the open .rec file.
        offset: in bytes.

    Raises:
        ValueError: no record begins there, or the record is truncated, too long, too short for its labels, or has more
            than `MOST_LABELS`.
        OSError, StorageError: the file cannot be read.
    """
    chunks = list(_chunks(file, offset))
    begin, length = chunks[-1]
    end = begin + length + -length % 4
    if len(chunks) == 1:
        begin, total = chunks[0]
        start = read_at(file, min(total, HEADER.size + 16), begin)
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
        start = read_at(file, labels_end, begin)
    return Head(struct.unpack_from(f"<{count}f", start, HEADER.size), total - labels_end, end, True)


def content_of(file: File, offset: int) -> bytes:
    """Return all bytes of the record at an offset, header included. Raises as `read_head`."""
    return MAGIC_BYTES.join(read_at(file, length, begin) for begin, length in _chunks(file, offset))


def picture_of(file: File, offset: int) -> bytes:
    """Return the picture of the record at an offset. Raises as `read_head`."""
    content = content_of(file, offset)
    if len(content) < HEADER.size:
        raise ValueError(f"the record at byte {offset} is too short for a header")
    return content[HEADER.size + 4 * HEADER.unpack_from(content)[0] :]


def read_picture(place: Place, number: int) -> bytes | None:
    """Return the picture of a record by its number; None if no record has it. An object mostly takes one request.

    Raises:
        ValueError: as `read_head` and `index_of`.
        OSError, StorageError: a file cannot be read.
    """
    return up_to_date(place, partial(_read_picture, place, number))


def _read_picture(place: Place, number: int) -> bytes | None:
    size, e_tag = version_of(place) if isinstance(place, StorePath) else (0, "")
    index = index_of(place)
    if (offset := index.offset(number)) is None:
        return None
    if isinstance(place, StorePath):
        length = min(index.next_after(offset, size) - offset, _MOST_WINDOW)
        if offset >= 0 and length > 0:
            data = place.storage.read_range(place.path, offset, length, str(e_tag) or None)
            try:
                return picture_of(Window(data, offset, size), offset)
            except EOFError:  # it is longer, or the next one does not begin where the index states
                pass
    with opened(place) as file:
        return picture_of(file, offset)


def index_of(path: Place) -> Index:
    """Return the offsets of the records of a .rec file, from the .idx file beside it or from a scan of the file.

    Without .idx, records are numbered from 0, and those after a damaged record are not found.

    Raises:
        ValueError: the .idx file has a wrong format or an implausible size, or one of them is a pipe or device.
        OSError, StorageError: one of them cannot be read.
    """
    with one_at_a_time(path):
        return _index(path, tuple(version_of(file) for file in _files(path)))


def _files(path: Place) -> list[Place]:
    beside = path.with_suffix(".idx")
    if isinstance(beside, StorePath):
        try:
            version_of(beside)
        except StorageError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                return [path]
            raise
        return [path, beside]
    # A link without a target is no reason to number the records anew.
    return [path, beside] if beside.exists() or beside.is_symlink() else [path]


@lru_cache(maxsize=_KEPT)
def _index(path: Place, stats: tuple[tuple[int, int | str], ...]) -> Index:
    # Sizes and versions are arguments so that a changed file is read again.
    if len(stats) > 1:
        numbers, offsets = _read_index(path.with_suffix(".idx"), stats[0][0])
    else:
        offsets = np.fromiter(_offsets(path), np.int64)
        numbers = np.arange(len(offsets))
    places = np.sort(offsets) if isinstance(path, StorePath) else offsets[:0]
    if np.all(numbers[1:] >= numbers[:-1]):
        return Index(numbers, offsets, places)
    order = np.argsort(numbers, kind="stable")
    return Index(numbers[order], offsets[order], places)


def _read_index(file: Place, records: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Numbers and offsets of an .idx file for `records` bytes, read in blocks: as a whole, words take 70 bytes each."""
    most = min(_MOST_INDEX, (1 << 20) + _INDEX_LINE * records)
    pieces: list[NDArray[Any]] = []
    opening = file.storage.open(file.path, most) if isinstance(file, StorePath) else open_regular_file(file, most)
    with opening as stream:
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


def _offsets(path: Place) -> Iterator[int]:
    offset = 0
    with opened(path) as file:
        size = length_of(file)
        while offset < size:
            yield offset  # also of a damaged record, so that the scan reports it
            try:
                *_, (begin, length) = _chunks(file, offset)
            except ValueError:
                return
            offset = begin + length + -length % 4
