"""Read CelebAMask-HQ in its original layout: pictures, 40 attributes, pose, official split, a file per part."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

from faceloom.pipelines.sources.celebamask_notes import KNOWN_BAD, Notes, part_file, read_notes
from faceloom.pipelines.sources.flat_folder import FlatFolder
from faceloom.pipelines.sources.listing import list_files
from faceloom.pipelines.sources.source import place_of, read_if_there, uri_filter
from faceloom.pipelines.sources.walk import Found, scan_reject
from faceloom.pipelines.store.store_path import StorePath
from faceloom.schemas.guide import PARTS
from faceloom.schemas.labels import LabelFiles
from faceloom.schemas.photos import Photo, Reject
from faceloom.schemas.source_spec import SourceSpec

PICTURES = "CelebA-HQ-img"
_AT_ONCE = 6
"""Part files of a photo that are requested from a store at once."""


class CelebAMaskHq(FlatFolder):
    """The pictures `CelebA-HQ-img/{k}.jpg` of a folder; a uri is the file name there.

    Attributes of a photo are CelebA's 40 (-1 or 1), its pose and its index in CelebA, from which its split follows.
    Photos have no identity, because the set gives none. Pictures known to be bad become rejects.
    """

    def __init__(self, spec: SourceSpec) -> None:
        super().__init__(spec)
        self.top = place_of(spec.path)
        self.root = self.top / PICTURES

    def scan(self) -> Iterator[Photo | Reject]:
        """See `Source.scan`."""
        listed = list_files(self.root, self.name, wanted=uri_filter(self.spec))
        first = next(listed, None)  # raises for a missing folder before read_notes raises for a file
        notes = read_notes(self.top)
        for row in (first, *listed) if first else ():
            yield row if isinstance(row, Reject) else self._noted(row, notes)

    def _noted(self, found: Found, notes: Notes) -> Photo | Reject:
        number = _number(found.uri)
        if number is None:
            return scan_reject(
                self.name, found.uri, "no_match", f"the pictures in {PICTURES} must be named 0.jpg, 1.jpg, …"
            )
        if number in KNOWN_BAD:
            return scan_reject(self.name, found.uri, "known_bad", f"known to be bad: {KNOWN_BAD[number]}")
        photo = self.row_of(found)
        if isinstance(photo, Reject):
            return photo
        facts = notes.attributes.get(number, ())
        return replace(photo, split=notes.splits.get(number), attributes=facts, labels=notes.labels.get(number, ""))

    def read_labels(self, photo_uri: str) -> LabelFiles | None:
        """See `LabelledSource.read_labels`. Reads up to 18 small files; a part without a file is absent."""
        number = _number(photo_uri)
        parts = sorted(PARTS) if number is not None else []
        names = [part_file(number or 0, part) for part in parts]
        read = partial(read_if_there, self.top, uri=photo_uri)
        if isinstance(self.top, StorePath):
            with ThreadPoolExecutor(_AT_ONCE) as threads:
                found = list(threads.map(read, names))
        else:
            found = [read(name) for name in names]
        files = tuple((part, data) for part, data in zip(parts, found, strict=True) if data is not None)
        if not files and isinstance(self.root, Path) and not self.root.exists():
            self.read(photo_uri)  # raises: the source is gone
        return LabelFiles("parts", (), files) if files else None


def _number(uri: str) -> int | None:
    match = re.fullmatch(r"(\d{1,5})\.\w+", uri)
    return int(match[1]) if match else None
