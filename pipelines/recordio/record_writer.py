"""Write MXNet RecordIO: records, and an index of their offsets."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import BinaryIO

from faceloom.pipelines.recordio.record_file import (
    CHUNK,
    FIRST,
    HEADER,
    LAST,
    LENGTH_BITS,
    MAGIC,
    MAGIC_BYTES,
    MIDDLE,
    WHOLE,
)


class RecordWriter:
    """Write records in sequence, and a line for each to the index if given. The streams need not be seekable."""

    def __init__(self, records: BinaryIO, index: BinaryIO | None = None) -> None:
        self._records, self._index, self._at = records, index, 0

    def write(self, number: int, label: float | Sequence[float], picture: bytes) -> int:
        """Write one record; several labels are packed after the header.

        Returns:
            The offset of the record in bytes.

        Raises:
            ValueError: the picture is too long for the format (512 MiB).
        """
        several = () if isinstance(label, int | float) else tuple(label)
        head = HEADER.pack(len(several), 0.0 if several else float(label), number, 0)  # type: ignore[arg-type]
        data = head + struct.pack(f"<{len(several)}f", *several) + picture
        if len(data) >= 1 << LENGTH_BITS:
            raise ValueError(f"a record must be shorter than {1 << LENGTH_BITS} bytes, not {len(data)}")
        begin = self._at
        if self._index is not None:
            self._index.write(index_line(number, begin))
        pieces = cut_at_magic(data)
        for place, piece in enumerate(pieces):
            ends = (place == 0, place == len(pieces) - 1)
            flag = {(True, True): WHOLE, (True, False): FIRST, (False, True): LAST}.get(ends, MIDDLE)
            block = CHUNK.pack(MAGIC, flag << LENGTH_BITS | len(piece)) + piece + bytes(-len(piece) % 4)
            self._records.write(block)
            self._at += len(block)
        return begin


def index_line(number: int, begin: int) -> bytes:
    """Return the line of an .idx file for a record."""
    return b"%d\t%d\n" % (number, begin)


def cut_at_magic(data: bytes) -> list[bytes]:
    """Split data at the magic numbers at multiples of 4, which readers would mistake for records."""
    pieces, begin, at = [], 0, data.find(MAGIC_BYTES)
    while at >= 0:
        if at % 4 == 0:
            pieces.append(data[begin:at])
            begin = at + 4
            at = data.find(MAGIC_BYTES, begin)
        else:
            at = data.find(MAGIC_BYTES, at + 1)
    return [*pieces, data[begin:]]
