"""Export the samples of a build as MXNet RecordIO, for training code that reads only this format."""

from __future__ import annotations

import contextlib
import csv
import io
from array import array
from collections.abc import Collection, Container, Mapping
from itertools import starmap
from typing import BinaryIO

from faceloom.pipelines.export.folder_names import folder_name
from faceloom.pipelines.export.record_labels import MOST_COUNTED
from faceloom.pipelines.export.sample_facts import is_picture_named
from faceloom.pipelines.recordio.record_writer import RecordWriter, index_line
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import FaceloomError, PhotoError, StorageError
from faceloom.schemas.index import IndexRow
from faceloom.transforms.decode import read_header
from faceloom.transforms.types import Size


class _AbandonedError(Exception):
    """An export failed before its end."""


class RecordIoFormat:
    """`{split}/train.rec`, `train.idx` and `property`, the files of ArcFace's training code, and `labels.csv`.

    A record is one picture of a sample. Labels are given, or whole numbers from 0 in each split, in the order of the
    first sample of each identity; `labels.csv` maps them to identities. Each export writes all files again.

    Attributes:
        pictures: number of records by picture.
    """

    threads = 1
    morphs = False  # each morph would be a class of its own, beside the classes of its two people

    def __init__(
        self,
        storage: Storage,
        pictures: tuple[str, ...] = (),
        *,
        labels: Mapping[str, int] | None = None,
        second: Container[str] | None = None,
    ) -> None:
        """Args:
        pictures: names of the pictures, such as `face` or `face.jpg`; empty for the masked one, or the face without a
            mask.
        labels: of each identity; None to count them from 0 in each split.
        second: keys of the samples that give the second picture, if each sample gives one of two.
        """
        self._storage, self._open = storage, contextlib.ExitStack()
        self._wanted, self._labels, self._second = pictures, labels, second
        self._splits: dict[str, _Split] = {}
        self.pictures: dict[str, int] = {}

    def takes(self, names: Collection[str]) -> tuple[str, ...]:
        """Return the names of the pictures that records hold."""
        found = (
            name for picture in self._wanted or ("masked", "face") for name in names if is_picture_named(name, picture)
        )
        return tuple(found)[: len(self._wanted) or 1]

    def holds(self, row: IndexRow) -> bool:
        """Return False: a .rec file is always written as a whole."""
        return False

    def add(self, row: IndexRow, members: Mapping[str, bytes]) -> None:
        """Add the pictures of a sample to the records of its split.

        Raises:
            FaceloomError: a picture has another size than those before it.
            StorageError: a picture cannot be read, or a file cannot be written.
        """
        names = self.takes(members)
        if self._second is not None and len(names) > 1:
            names = (names[row.key in self._second],)
        folder = folder_name(row.split)
        if row.split not in self._splits:
            streams = (
                self._open.enter_context(self._storage.write(f"{folder}/{file}")) for file in ("train.rec", "train.idx")
            )
            records, index = streams
            self._splits[row.split] = _Split(records, index, self._labels)
        with self._storage.write_errors(f"{folder}/train.rec"):
            for name in names:
                self._splits[row.split].add(row, name, members[name])
                self.pictures[name] = self.pictures.get(name, 0) + 1

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

    def __init__(self, records: BinaryIO, index: BinaryIO, labels: Mapping[str, int] | None = None) -> None:
        self._writer, self._index, self._given = RecordWriter(records), index, labels
        self._labels: dict[str, int] = {}
        self._begins: dict[str, array[int]] = {}  # of the records of each person
        self._count, self._size = 0, (0, 0)

    def add(self, row: IndexRow, name: str, picture: bytes) -> None:
        size = _size(picture)
        if self._count == 0:
            self._size = size
        elif size != self._size:
            what = f"the pictures have several sizes: {self._size[0]} x {self._size[1]}, then {size[0]} x {size[1]}"
            remedy = "Export a picture that has one size, such as lr_upsampled, or give --layout imagefolder"
            raise FaceloomError(what, where=row.key, value=name, remedy=remedy)
        if row.identity not in self._labels:
            number = len(self._labels)
            self._labels[row.identity] = number if self._given is None else self._given[row.identity]
            self._begins[row.identity] = array("q")
        label = self._labels[row.identity]
        self._begins[row.identity].append(self._writer.write(self._count, label, picture))
        self._count += 1

    def finish(self) -> None:
        persons = self._count + 1
        end = persons + len(self._labels)
        counted = end <= MOST_COUNTED
        if counted:
            self._index.write(index_line(0, self._writer.write(0, (persons, end), b"")))
        number = int(counted)
        ranges = []
        for identity, _ in self._in_order():
            begins = self._begins[identity]
            ranges.append((number, number + len(begins)))
            self._index.writelines(starmap(index_line, enumerate(begins, number)))
            number += len(begins)
        for number, of_person in enumerate(ranges if counted else (), persons):
            self._index.write(index_line(number, self._writer.write(number, of_person, b"")))

    def property(self) -> bytes:
        """Number of classes, height and width. Kept labels may have gaps, and a class is needed for each number."""
        return f"{max(self._labels.values()) + 1},{self._size[1]},{self._size[0]}\n".encode()

    def labels(self) -> bytes:
        text = io.StringIO(newline="")
        rows = [("label", "identity"), *((label, identity) for identity, label in self._in_order())]
        csv.writer(text, lineterminator="\n").writerows(rows)
        return text.getvalue().encode("utf-8", "backslashreplace")

    def _in_order(self) -> list[tuple[str, int]]:
        """Identities and labels, by label."""
        return sorted(self._labels.items(), key=lambda item: item[1])
