"""Export the samples of a build as MXNet RecordIO, for training code that reads nothing else."""

from __future__ import annotations

import contextlib
import csv
import io
from array import array
from collections.abc import Collection, Mapping
from itertools import starmap
from typing import BinaryIO

from faceloom.pipelines.recordio.record_writer import RecordWriter, index_line
from faceloom.pipelines.sources.walk import PICTURE_ENDINGS, ending
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.index import IndexRow
from faceloom.transforms.decode import read_header

MOST_COUNTED = 1 << 24
"""Whole numbers up to this are exact in float32, as labels are."""


class _AbandonedError(Exception):
    """An export ends before it is done."""


class RecordIoFormat:
    """`{split}/train.rec`, `train.idx` and `property`, as ArcFace's training code wants them, and `labels.csv`.

    A record is one picture of a sample. Labels are whole numbers from 0 in each split, given out in the order in which
    people come; `labels.csv` says who is who. Written whole, and anew each time.
    """

    threads = 1
    morphs = False  # each would be a class of its own, of two people who have one already

    def __init__(self, storage: Storage, picture: str | None = None) -> None:
        """Args:
        picture: which picture, `face` or `face.jpg`; if not given, the masked one, or the face where there is none.
        """
        self._storage, self._open = storage, contextlib.ExitStack()
        self._pictures = ("masked", "face") if picture is None else (picture,)
        self._splits: dict[str, _Split] = {}

    def takes(self, names: Collection[str]) -> tuple[str, ...]:
        """The one picture of a sample that a record holds, or none."""
        wanted = (name for picture in self._pictures for name in names if is_picture_named(name, picture))
        return tuple(wanted)[:1]

    def holds(self, row: IndexRow) -> bool:
        """False: a file of records is written as a whole."""
        return False

    def add(self, row: IndexRow, members: Mapping[str, bytes]) -> None:
        """Add the picture of a sample to the records of its split."""
        (name,) = self.takes(members)
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
            split.finish()
            for file, data in (("property", split.property()), ("labels.csv", split.labels())):
                with self._storage.write(f"{name}/{file}") as stream:
                    stream.write(data)
        self._open.close()

    def abandon(self) -> None:
        """Delete the files that have no name yet."""
        with contextlib.suppress(_AbandonedError), self._open:
            raise _AbandonedError


def is_picture(name: str) -> bool:
    """Whether a member of a sample is a picture."""
    return ending(name) in PICTURE_ENDINGS


def is_picture_named(name: str, picture: str) -> bool:
    """Whether a member is the picture of this name, given with its ending or without.

    >>> [is_picture_named(name, "lr") for name in ("lr.png", "lr_mask.png", "lr.npy")]
    [True, False, False]
    """
    return is_picture(name) and picture in (name, name.rpartition(".")[0])


class _Split:
    """What is being written of one split.

    Records get their numbers at the end, those of a person in a row wherever they lie, so that the records which
    InsightFace's tools look for can be made: number 0 says where the persons' begin and end, and these, behind all
    pictures, say of each person where the pictures do. Labels being float32, there are none beyond `MOST_COUNTED`.
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
            self._size = read_header(picture).size
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
