"""Read the text files of CelebAMask-HQ, list its part files, and name its bad pictures."""

from __future__ import annotations

import contextlib
import math
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from faceloom.pipelines.sources.listing import entries_of
from faceloom.pipelines.sources.values import MOST_ATTRIBUTES
from faceloom.pipelines.store.fetched import fetched
from faceloom.pipelines.store.store_path import Place, StorePath
from faceloom.schemas.errors import SourceError, StorageError
from faceloom.schemas.guide import PARTS
from faceloom.schemas.keys import digest
from faceloom.schemas.photos import Scalar
from faceloom.schemas.regular_files import read_regular_file

ATTRIBUTES, POSES = "CelebAMask-HQ-attribute-anno.txt", "CelebAMask-HQ-pose-anno.txt"
MAPPING, PART_FILES = "CelebA-HQ-to-CelebA-mapping.txt", "CelebAMask-HQ-mask-anno"

FIRST_VAL, FIRST_TEST = 162_771, 182_638
"""CelebA indices, from 0, at which the official splits val and test begin."""

POSE_NAMES = ("pose_yaw", "pose_pitch", "pose_roll")

KNOWN_BAD: dict[int, str] = {
    404: "mouth and lips are visible but missing from the part files",
    4790: "its part files are empty",
}
"""Numbers of bad pictures with the reason: wrong part files, or a duplicate."""
KNOWN_BAD |= {
    first + 1: f"the same picture as {first}.jpg"
    for first in (234, 3329, 5162, 6770, 7384, 7561, 12444, 12885, 13825, 15506, 19199, 20134, 24646)
}

_MOST_DIGITS = 18  # of a whole number, so that 64 bits hold it
_LONGEST_TEXT_FILE = 1 << 28
"""Bytes; the longest of the dataset has 5 million."""
_PART_FILE = re.compile(r"(\d+)_(\w+)\.png")
Pairs = tuple[tuple[str, Scalar], ...]


@dataclass(frozen=True, slots=True)
class Notes:
    """Facts about the pictures, by number.

    Attributes:
        attributes: CelebA's 40 as -1 or 1, pose in degrees, and `celeba_index`; sorted by name.
        splits: the official split.
        labels: digest of the part files; pictures without part files are absent.
    """

    attributes: dict[int, Pairs]
    splits: dict[int, str]
    labels: dict[int, str]


def read_notes(root: Place) -> Notes:
    """Read the files beside the pictures. The facts of a missing text file are left out.

    Raises:
        SourceError: a text file has an unknown format, or a file or folder cannot be read.
    """
    attributes, poses, mapping = root / ATTRIBUTES, root / POSES, root / MAPPING
    facts: dict[int, list[tuple[str, Scalar]]] = {}
    splits: dict[int, str] = {}
    shared: dict[tuple[str, int], tuple[str, Scalar]] = {}  # few distinct pairs; 1.2 million copies would take memory
    names: list[str] = []
    for number, cells in _lines(attributes):
        with _line_errors(attributes, number):
            if number == 2:
                names = cells
                if len(names) > MOST_ATTRIBUTES:
                    raise ValueError(f"{len(names):,} names")
            elif number > 2:
                pairs = [(name, _whole(cell)) for name, cell in zip(names, cells[1:], strict=True)]
                facts.setdefault(_picture(cells[0]), []).extend(shared.setdefault(pair, pair) for pair in pairs)
    for number, cells in _lines(poses):
        with _line_errors(poses, number):
            if number > 2:
                facts.setdefault(_picture(cells[0]), []).extend(zip(POSE_NAMES, map(_finite, cells[1:]), strict=True))
    for number, cells in _lines(mapping):
        with _line_errors(mapping, number):
            if number > 1 or cells[0].isdecimal():  # some copies lack the header line
                picture, index = _whole(cells[0]), _whole(cells[1])
                facts.setdefault(picture, []).append(("celeba_index", index))
                splits[picture] = "train" if index < FIRST_VAL else "val" if index < FIRST_TEST else "test"
    return Notes({picture: tuple(sorted(pairs)) for picture, pairs in facts.items()}, splits, _label_stamps(root))


def _finite(cell: str) -> float:
    value = float(cell)
    if not math.isfinite(value):
        raise ValueError(f"{cell} is not a finite number")
    return value


def _picture(name: str) -> int:
    return _whole(name.partition(".")[0])


def _whole(cell: str) -> int:
    if len(cell) > _MOST_DIGITS:
        raise ValueError(f"a number of {len(cell):,} digits")
    return int(cell)


def _lines(file: Place) -> Iterator[tuple[int, list[str]]]:
    """Yield number and cells of each line that is not blank; nothing if the file is missing."""
    try:
        here = fetched(str(file), _LONGEST_TEXT_FILE) if isinstance(file, StorePath) else file
        text = read_regular_file(here, _LONGEST_TEXT_FILE).decode("utf-8")
    except FileNotFoundError:
        return
    except (OSError, ValueError, StorageError) as error:
        remedy = "Download the file again, or move it away to build without it"
        why = error.what if isinstance(error, StorageError) else error
        raise SourceError(f"cannot be read ({why})", where=str(file), remedy=remedy) from error
    for number, line in enumerate(text.splitlines(), 1):
        if cells := line.split():
            yield number, cells


@contextlib.contextmanager
def _line_errors(file: Place, number: int) -> Iterator[None]:
    try:
        yield
    except (ValueError, IndexError) as error:
        remedy = "Download the file again, or move it away to build without it"
        value = str(error)[:100]
        raise SourceError(f"line {number} has an unknown format", where=str(file), value=value, remedy=remedy) from None


def part_file(picture: int, part: str) -> str:
    """Path of a part file below the root.

    >>> part_file(12974, "nose")
    'CelebAMask-HQ-mask-anno/6/12974_nose.png'
    """
    return f"{PART_FILES}/{picture // 2000}/{picture:05d}_{part}.png"


def _size_and_time(entry: os.DirEntry[str]) -> tuple[int, int]:
    try:
        stat = entry.stat()
    except OSError:  # a link without a target; reported when its photo's labels are read
        stat = entry.stat(follow_symlinks=False)
    return stat.st_size, stat.st_mtime_ns


def _part_of(path: str) -> tuple[int, str] | None:
    """Picture and part of a part file, given its path below their folder; None for any other file."""
    folder, _, name = path.rpartition("/")
    match = _PART_FILE.fullmatch(name)
    if match is None or match[2] not in PARTS or part_file(int(match[1]), match[2]) != f"{PART_FILES}/{folder}/{name}":
        return None
    return int(match[1]), match[2]


def _label_stamps(root: Place) -> dict[int, str]:
    """Digest the names, sizes and times or ETags of each picture's part files. Opens no file."""
    found: dict[int, list[tuple[str, int, int | str]]] = {}
    if isinstance(root, StorePath):
        for path, size, e_tag in entries_of(root / PART_FILES):
            if place := _part_of(path):
                found.setdefault(place[0], []).append((place[1], size, e_tag))
        return _digests(found)
    try:
        for folder in sorted((root / PART_FILES).iterdir()):
            if not folder.is_dir():
                continue
            with os.scandir(folder) as entries:
                for entry in entries:
                    if place := _part_of(f"{folder.name}/{entry.name}"):
                        found.setdefault(place[0], []).append((place[1], *_size_and_time(entry)))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise SourceError(
            f"the part files cannot be listed ({error.strerror})", where=str(root / PART_FILES)
        ) from error
    return _digests(found)


def _digests(found: Mapping[int, list[tuple[str, int, int | str]]]) -> dict[int, str]:
    return {picture: digest(sorted(files))[:24] for picture, files in found.items()}
