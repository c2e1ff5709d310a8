"""Export the samples of a build as MXNet RecordIO, for training code that reads only this format."""

from __future__ import annotations

import contextlib
import csv
import io
from array import array
from collections.abc import Collection, Mapping
from itertools import starmap
from typing import BinaryIO

from faceloom.pipelines.export.folder_names import folder_name
from faceloom.pipelines.recordio.record_writer import RecordWriter, index_line
from faceloom.pipelines.sources.walk import PICTURE_ENDINGS, ending
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import PhotoError, StorageError
from faceloom.schemas.index import IndexRow
from faceloom.transforms.decode import read_header
from faceloom.transforms.types import Size

MOST_COUNTED = 1 << 24
"""Whole numbers up to this are exact in float32, as labels are."""


class _AbandonedError(Exception):
    """An export failed before its end."""


class RecordIoFormat:
    """`{split}/train.rec`, `train.idx` and `property`, the files of ArcFace's training code, and `labels.csv`.

    A record is one picture of a sample. Labels are whole numbers from 0 in each split, in the order of the first sample
    of each identity; `labels.csv` maps them to identities. Each export writes all files again.
    """

    threads = 1
    morphs = False  # each morph would be a class of its own, beside the classes of its two people

    def __init__(self, storage: Storage, picture: str | None = None) -> None:
        """Args:
        picture: name of the picture, `face` or `face.jpg`; None for the masked one, or the face without a mask.
        """
        self._storage, self._open = storage, contextlib.ExitStack()
        self._pictures = ("masked", "face") if picture is None else (picture,)
        self._splits: dict[str, _Split] = {}

    def takes(self, names: Collection[str]) -> tuple[str, ...]:
        """Return the name of the picture that a record holds, or nothing."""
        wanted = (name for picture in self._pictures for name in names if is_picture_named(name, picture))
        return tuple(wanted)[:1]

    def holds(self, row: IndexRow) -> bool:
        """Return False: a .rec file is always written as a whole."""
        return False

    def add(self, row: IndexRow, members: Mapping[str, bytes]) -> None:
        """Add the picture of a sample to the records of its split.

        Raises:
            StorageError: the first picture of a split cannot be read, or a file cannot be written.
        """
        (name,) = self.takes(members)
        folder = folder_name(row.split)
        if row.split not in self._splits:
            streams = (
                self._open.enter_context(self._storage.write(f"{folder}/{file}")) for file in ("train.rec", "train.idx")
            )
            self._splits[row.split] = _Split(*streams)
        with self._storage.write_errors(f"{folder}/train.rec"):
            self._splits[row.split].add(row.identity, members[name])

    def finish(self) -> None:
        """Write `property` and `labels.csv`, and give all files their final names."""
        for name, split in self._splits.items():
            with self._storage.write_errors(f"{folder_name(name)}/train.rec"):
                split.finish()
            for file, data in (("property", split.property()), ("labels.csv", split.labels())):
                with self._storage.write(f"{folder_name(name)}/{file}") as stream:
                    stream.write(data)
        self._open.close()

    def abandon(self) -> None:
        """Delete the partial files."""
        with contextlib.suppress(_AbandonedError), self._open:
            raise _AbandonedError


def is_picture(name: str) -> bool:
    """True if a member of a sample is a picture."""
    return ending(name) in PICTURE_ENDINGS


def is_picture_named(name: str, picture: str) -> bool:
    """True if a member is the picture with this name, given with or without its ending.

    >>> [is_picture_named(name, "lr") for name in ("lr.png", "lr_mask.png", "lr.npy")]
    [True, False, False]
    """
    return is_picture(name) and picture in (name, name.rpartition(".")[0])


def _size(picture: bytes) -> Size:
    try:
        return read_header(picture).size
    except PhotoError as error:
        raise StorageError(f"a picture of the build cannot be read: {error.what}", value=error.value) from None


class _Split:
    """The open files of one split.

    Records get their numbers at the end, consecutive for each person wherever they lie. InsightFace's tools need this:
    record 0 holds the range of the persons' records, which follow all pictures, and each of these holds the range of
    that person's pictures. Labels are float32, so above `MOST_COUNTED` these records are left out.
    """

    def __init__(self, records: BinaryIO, index: BinaryIO) -> None:
        self._writer, self._index = RecordWriter(records), index
        self._labels: dict[str, int] = {}
        self._begins: list[array[int]] = []  # of the records of each label
        self._count, self._size = 0, (0, 0)

    def add(self, identity: str, picture: bytes) -> None:
        label = self._labels.setdefault(identity, len(self._labels))
        if label == len(self._begins):
            self._begins.append(array("q"))
        if self._count == 0:
            self._size = _size(picture)
        self._begins[label].append(self._writer.write(self._count, label, picture))
        self._count += 1

    def finish(self) -> None:
        persons = self._count + 1
        end = persons + len(self._labels)
        counted = end <= MOST_COUNTED
        if counted:
            self._index.write(index_line(0, self._writer.write(0, (persons, end), b"")))
        number = int(counted)
        ranges = []
        for begins in self._begins:
            ranges.append((number, number + len(begins)))
            self._index.writelines(starmap(index_line, enumerate(begins, number)))
            number += len(begins)
        for number, of_person in enumerate(ranges if counted else (), persons):
            self._index.write(index_line(number, self._writer.write(number, of_person, b"")))

    def property(self) -> bytes:
        return f"{len(self._labels)},{self._size[1]},{self._size[0]}\n".encode()

    def labels(self) -> bytes:
        text = io.StringIO(newline="")
        rows = [("label", "identity"), *((label, identity) for identity, label in self._labels.items())]
        csv.writer(text, lineterminator="\n").writerows(rows)
        return text.getvalue().encode("utf-8", "backslashreplace")
