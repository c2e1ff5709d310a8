"""The interface of all photo sources, and what several adapters share."""

from __future__ import annotations

import fnmatch
import os
import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol, runtime_checkable

from faceloom.schemas.errors import PhotoError, SourceError
from faceloom.schemas.labels import LabelFiles
from faceloom.schemas.photos import Photo, Reject
from faceloom.schemas.source_spec import SourceSpec

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


def full_path(path: str) -> Path:
    """A path that holds whatever the working directory of a worker: absolute, `~` filled in, links left as they are."""
    return Path(os.path.normpath(Path(path).expanduser().absolute()))


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
