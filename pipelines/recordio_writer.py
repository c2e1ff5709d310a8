"""Write MXNet RecordIO for training code that reads nothing else: records and their index, and an export in them."""

from __future__ import annotations

import contextlib
import csv
import io
import struct
from collections.abc import Mapping, Sequence
from typing import BinaryIO

from faceloom.pipelines.sources.record_file import (
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
from faceloom.pipelines.storage import Storage
from faceloom.schemas.errors import FaceloomError
from faceloom.schemas.index import IndexRow
from faceloom.transforms.decode import read_header


class RecordWriter:
    """Writes records one after the other, and a line for each into the index. Needs no seeking."""

    def __init__(self, records: BinaryIO, index: BinaryIO) -> None:
        self._records, self._index, self._at = records, index, 0

    def write(self, number: int, label: float | Sequence[float], picture: bytes) -> None:
        """Write one record; several labels are packed behind the header.

        Raises:
            ValueError: the picture is too long for the format (512 MiB).
        """
        several = () if isinstance(label, int | float) else tuple(label)
        head = HEADER.pack(len(several), 0.0 if several else float(label), number, 0)  # type: ignore[arg-type]
        data = head + struct.pack(f"<{len(several)}f", *several) + picture
        if len(data) >= 1 << LENGTH_BITS:
            raise ValueError(f"a record holds less than {1 << LENGTH_BITS} bytes, not {len(data)}")
        self._index.write(b"%d\t%d\n" % (number, self._at))
        pieces = cut_at_magic(data)
        for place, piece in enumerate(pieces):
            ends = (place == 0, place == len(pieces) - 1)
            flag = {(True, True): WHOLE, (True, False): FIRST, (False, True): LAST}.get(ends, MIDDLE)
            block = CHUNK.pack(MAGIC, flag << LENGTH_BITS | len(piece)) + piece + bytes(-len(piece) % 4)
            self._records.write(block)
            self._at += len(block)


def cut_at_magic(data: bytes) -> list[bytes]:
    """What lies between the magic numbers that stand at multiples of 4; readers that look for records would stumble."""
    pieces, begin, at = [], 0, data.find(MAGIC_BYTES)
    while at >= 0:
        if at % 4 == 0:
            pieces.append(data[begin:at])
            begin = at + 4
            at = data.find(MAGIC_BYTES, begin)
        else:
            at = data.find(MAGIC_BYTES, at + 1)
    return [*pieces, data[begin:]]


class RecordIoFormat:
    """`{split}/train.rec`, `train.idx` and `property`, as ArcFace's training code wants them, and `labels.csv`.

    A record is the masked picture, or the face where there is no mask. Labels are whole numbers from 0 in each split,
    given out in the order in which people come; `labels.csv` says who is who. Written whole, and anew each time.
    """

    threads = 1

    def __init__(self, storage: Storage) -> None:
        self._storage, self._open = storage, contextlib.ExitStack()
        self._splits: dict[str, _Split] = {}

    def holds(self, row: IndexRow) -> bool:
        """False: a file of records is written as a whole."""
        return False

    def add(self, row: IndexRow, members: Mapping[str, bytes]) -> None:
        """Add a sample to the records of its split."""
        name = next((name for kind in ("masked.", "face.") for name in members if name.startswith(kind)), None)
        if name is None:
            raise FaceloomError("the sample has no picture to export", where=row.key, value=", ".join(sorted(members)))
        if row.split not in self._splits:
            streams = (
                self._open.enter_context(self._storage.write(f"{row.split}/{file}"))
                for file in ("train.rec", "train.idx")
            )
            self._splits[row.split] = _Split(*streams)
        self._splits[row.split].add(row.identity, members[name])

    def finish(self) -> None:
        """Write what is known of all records together, and give the files their names."""
        for name, split in self._splits.items():
            for file, data in (("property", split.property()), ("labels.csv", split.labels())):
                with self._storage.write(f"{name}/{file}") as stream:
                    stream.write(data)
        self._open.close()


class _Split:
    """What is being written of one split."""

    def __init__(self, records: BinaryIO, index: BinaryIO) -> None:
        self._writer = RecordWriter(records, index)
        self._labels: dict[str, int] = {}
        self._count, self._size = 0, (0, 0)

    def add(self, identity: str, picture: bytes) -> None:
        label = self._labels.setdefault(identity, len(self._labels))
        if self._count == 0:
            self._size = read_header(picture).size
        self._writer.write(self._count, label, picture)
        self._count += 1

    def property(self) -> bytes:
        return f"{len(self._labels)},{self._size[1]},{self._size[0]}\n".encode()

    def labels(self) -> bytes:
        text = io.StringIO(newline="")
        rows = [("label", "identity"), *((label, identity) for identity, label in self._labels.items())]
        csv.writer(text, lineterminator="\n").writerows(rows)
        return text.getvalue().encode("utf-8", "backslashreplace")
