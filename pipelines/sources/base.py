"""The one interface of all photo sources, and how to open one."""

from __future__ import annotations

import contextlib
import fnmatch
import os
import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol, runtime_checkable

from faceloom.pipelines.sources.walk import PICTURE_ENDINGS, Found, ending, walk
from faceloom.schemas.errors import PhotoError, SourceError
from faceloom.schemas.labels import LabelFiles
from faceloom.schemas.photos import Photo, Reject
from faceloom.schemas.source_spec import SourceSpec, is_pattern

_MARKS = {
    "celebamask_hq": {"CelebA-HQ-img", "CelebAMask-HQ-mask-anno"},
    "tinyface": {"Training_Set", "Testing_Set"},
}
"""Folders that make it certain which set lies there."""

MOST_BYTES = 1 << 30
"""A longer file is no photo; reading it would only end the process for want of memory."""


class Source(Protocol):
    """Photos from one place. Holds paths only, so that it pickles cheaply and every worker has its own."""

    @property
    def name(self) -> str:
        """What the source is called in every table."""

    def scan(self) -> Iterator[Photo | Reject]:
        """Yield a row per entry, photos sorted by uri; the same rows in the same order for the same files.

        Raises:
            SourceError: the source itself cannot be listed.
        """

    def read(self, photo_uri: str) -> bytes:
        """Return the encoded bytes of a photo that `scan` listed.

        Raises:
            PhotoError: with code `vanished`, `unreadable` or `too_many_bytes`; the rest of the source is well.
            SourceError: the source itself is gone.
        """


@runtime_checkable
class LabelledSource(Source, Protocol):
    """A source that also says which pixels of its photos belong to which part of the face."""

    def read_labels(self, photo_uri: str) -> LabelFiles | None:
        """Return the label files of a photo that `scan` listed; None if it has none.

        Raises:
            PhotoError: as `read`.
            SourceError: the source itself is gone.
        """


def labels_of(source: Source, photo_uri: str) -> LabelFiles | None:
    """The label files of a photo; None if it, or its whole source, has none. Errors are those of `read_labels`."""
    return source.read_labels(photo_uri) if isinstance(source, LabelledSource) else None


def adapters() -> dict[str, Callable[[SourceSpec], Source]]:
    """The adapter of each kind of source but `auto`."""
    from faceloom.pipelines.sources.celebamask_hq import CelebAMaskHq
    from faceloom.pipelines.sources.flat_folder import FlatFolder
    from faceloom.pipelines.sources.folder_of_people import FolderOfPeople
    from faceloom.pipelines.sources.label_maps import LabelMaps
    from faceloom.pipelines.sources.path_pattern import PathPattern
    from faceloom.pipelines.sources.recordio import RecordIo
    from faceloom.pipelines.sources.table import Table
    from faceloom.pipelines.sources.tinyface import TinyFace
    from faceloom.pipelines.sources.webdataset_shards import WebDatasetShards

    return {
        "people": FolderOfPeople,
        "flat": FlatFolder,
        "table": Table,
        "shards": WebDatasetShards,
        "recordio": RecordIo,
        "celebamask_hq": CelebAMaskHq,
        "label_maps": LabelMaps,
        "tinyface": TinyFace,
        "path_pattern": PathPattern,
    }


def open_source(spec: SourceSpec) -> Source:
    """Open the adapter for a source; `auto` goes by what lies at its path.

    Raises:
        SourceError: there is nothing at the path, or nothing of that kind.
    """
    path = full_path(spec.path)
    if not path.exists() and not is_pattern(spec.path):
        remedy = "Give the path of a folder of photos, a table, tar shards or a .rec file"
        raise SourceError("no such file or folder", where=spec.path, remedy=remedy)
    kind = _kind_at(path) if spec.kind == "auto" else spec.kind
    if kind not in ("table", "shards", "recordio") and not path.is_dir():
        remedy = "Give a folder, or kind 'table', 'shards' or 'recordio' if it is one of these"
        raise SourceError("not a folder", where=spec.path, remedy=remedy)
    return adapters()[kind](spec)


def kind_of(source: Source) -> str:
    """The kind of an open source, a key of `adapters`."""
    return next(kind for kind, adapter in adapters().items() if type(source) is adapter)


def full_path(path: str) -> Path:
    """A path that holds whatever the working directory of a worker: absolute, `~` filled in, links left as they are."""
    return Path(os.path.normpath(Path(path).expanduser().absolute()))


def _kind_at(path: Path) -> str:
    if path.is_dir():
        return _kind_of_folder(path)
    by_ending = {"csv": "table", "tsv": "table", "parquet": "table", "tar": "shards", "rec": "recordio"}
    kind = by_ending.get(ending(path.name))
    if kind is None:
        remedy = "Give a folder, or a .csv, .tsv, .parquet, .tar or .rec file"
        raise SourceError("not a source of photos", where=str(path), remedy=remedy)
    return kind


def _kind_of_folder(path: Path) -> str:
    try:
        with os.scandir(path) as found:
            entries = [entry for entry in found if not entry.name.startswith(".")]
    except OSError as error:
        raise SourceError(f"this folder cannot be listed ({error.strerror})", where=str(path)) from error
    endings = [ending(entry.name) for entry in entries]
    on_top = sum(name in PICTURE_ENDINGS for name in endings)
    for kind, marks in _MARKS.items():
        if marks <= {entry.name for entry in entries}:
            return kind
    if not on_top:
        for name, kind in (("tar", "shards"), ("rec", "recordio")):
            if name in endings:
                return kind
    below = 0
    for folder in sorted(entry.name for entry in entries if ending(entry.name) not in PICTURE_ENDINGS):
        if not (path / folder).is_dir():
            continue
        # A folder that cannot be listed says nothing here; the scan reports it.
        with contextlib.suppress(SourceError):
            for row in walk(path / folder, ""):
                below += isinstance(row, Found)
                if below > on_top:
                    return "people"
    if not on_top and (inside := sorted(path.glob("*/*.rec"))):
        remedy = f"Give one of its folders, such as {inside[0].parent}; labels in each may count from 0"
        raise SourceError("holds no .rec file itself, but folders that do", where=str(path), remedy=remedy)
    return "flat"


def uri_filter(spec: SourceSpec) -> Callable[[str], bool] | None:
    """The test for a uri that `include` and `exclude` ask for; None if all are wanted."""
    if not spec.include and not spec.exclude:
        return None
    include = re.compile("|".join(map(fnmatch.translate, spec.include or ("*",))))
    exclude = re.compile("|".join(map(fnmatch.translate, spec.exclude)) or r"(?!)")
    return lambda uri: include.match(uri) is not None and exclude.match(uri) is None


def read_span(root: Path, file: str, offset: int = 0, length: int | None = None, *, uri: str = "") -> bytes:
    """Return bytes of a file below a source's root: all of them, or `length` from `offset`.

    Raises:
        PhotoError: `vanished`, `unreadable` (also when the file ends early) or `too_many_bytes`; names the `uri`, or
            the file if none is given.
        SourceError: the root is gone.
    """
    uri = uri or file
    path = root / file
    try:
        # Looked at before it is opened: opening a pipe would wait for ever.
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise PhotoError("unreadable", "no longer a plain file", where=uri)
        wanted = found.st_size if length is None else length
        if wanted > MOST_BYTES:
            raise PhotoError("too_many_bytes", "too long for a photo", where=uri, value=wanted)
        with path.open("rb") as stream:
            stream.seek(offset)
            data = stream.read() if length is None else stream.read(length)
    except (OSError, ValueError) as error:
        raise read_error(root, uri, error) from error
    if length is not None and len(data) < length:
        raise PhotoError("unreadable", "the file ends before the photo does", where=uri)
    return data


def read_error(root: Path, uri: str, error: Exception) -> PhotoError | SourceError:
    """What it means that a photo could not be read: it is gone, it is damaged, or all of its source is gone."""
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        return PhotoError("unreadable", f"cannot be read ({error})", where=uri)
    if root.exists():
        return PhotoError("vanished", "listed before, but gone now", where=uri)
    return SourceError("the source is gone", where=str(root), remedy="Bring it back and run the same command again")
