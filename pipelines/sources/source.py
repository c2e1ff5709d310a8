"""The interface of all photo sources, and helpers of the adapters."""

from __future__ import annotations

import contextlib
import errno
import fnmatch
import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Protocol, runtime_checkable

from faceloom.pipelines.store.object_storage import ObjectStorage
from faceloom.pipelines.store.store_path import Place, StorePath
from faceloom.schemas.errors import PhotoError, SourceError, StorageError
from faceloom.schemas.labels import LabelFiles
from faceloom.schemas.photos import Photo, Reject
from faceloom.schemas.regular_files import UnfitFileError, open_regular_file
from faceloom.schemas.source_spec import SourceSpec
from faceloom.schemas.urls import url_of

MOST_BYTES = 1 << 30
"""Largest size of a photo file in bytes. Reading a larger one could exhaust the memory."""


class Source(Protocol):
    """Photos from one place. Holds only paths, so it pickles cheaply for each worker process."""

    @property
    def name(self) -> str:
        """Name of the source in every table."""

    def scan(self) -> Iterator[Photo | Reject]:
        """Yield a row per entry, photos sorted by uri. The same files give the same rows in the same order.

        Raises:
            SourceError: the source itself cannot be listed.
        """

    def read(self, photo_uri: str) -> bytes:
        """Return the encoded bytes of a photo that `scan` listed.

        Raises:
            PhotoError: code `vanished`, `unreadable` or `too_many_bytes`; other photos are not affected.
            SourceError: the source itself is gone.
        """


@runtime_checkable
class ExpectingSource(Source, Protocol):
    """A source that reads photos ahead."""

    def expect(self, uris: Iterable[str]) -> None:
        """Announce which photos will be read next, in this order."""


@runtime_checkable
class LabelledSource(Source, Protocol):
    """A source that also has labels: the part of the face of each pixel."""

    def read_labels(self, photo_uri: str) -> LabelFiles | None:
        """Return the label files of a photo that `scan` listed; None if it has none.

        Raises:
            PhotoError: as `read`.
            SourceError: the source itself is gone.
        """


def expect(source: Source, uris: Iterable[str]) -> None:
    """Announce which photos of a source will be read next, in this order. Some sources read them ahead."""
    if isinstance(source, ExpectingSource):
        source.expect(uris)


def labels_of(source: Source, photo_uri: str) -> LabelFiles | None:
    """Return the label files of a photo; None if it or its source has none. Raises as `read_labels`."""
    return source.read_labels(photo_uri) if isinstance(source, LabelledSource) else None


def notices_of_scan(source: Source) -> tuple[str, ...]:
    """What the last scan of a source left out and the user should know, such as columns that are no attributes."""
    return tuple(f"source {source.name}: {notice}" for notice in getattr(source, "notices", ()))


def full_path(path: str) -> Path:
    """Return an absolute path, valid in any working directory: `~` expanded, links not resolved."""
    return Path(os.path.normpath(Path(path).expanduser().absolute()))


def place_of(path: str) -> Place:
    """The folder that a path or URL names; a path as by `full_path`.

    Raises:
        StorageError: the URL names no folder of a bucket of a known kind.
    """
    url = url_of(path)
    return StorePath(ObjectStorage(url)) if url else full_path(path)


def uri_filter(spec: SourceSpec) -> Callable[[str], bool] | None:
    """Return the test of a uri for `include` and `exclude`; None if all uris pass."""
    if not spec.include and not spec.exclude:
        return None
    include = re.compile("|".join(map(fnmatch.translate, spec.include or ("*",))))
    exclude = re.compile("|".join(map(fnmatch.translate, spec.exclude)) or r"(?!)")
    return lambda uri: include.match(uri) is not None and exclude.match(uri) is None


def read_span(root: Place, file: str, offset: int = 0, length: int | None = None, *, uri: str = "") -> bytes:
    """Return bytes of a file below a source's root: all of them, or `length` from `offset`.

    Those of an object take one request.

    Raises:
        PhotoError: `vanished`, `unreadable` (also if the file ends early) or `too_many_bytes`; names the `uri`, or the
            file without one.
        SourceError: the root is gone.
    """
    uri = uri or file
    if isinstance(root, StorePath):
        return _read_object(root / file, root, offset, length, uri)
    path = root / file
    try:
        with open_regular_file(path) as stream:
            wanted = os.fstat(stream.fileno()).st_size if length is None else length
            if wanted > MOST_BYTES:
                raise PhotoError("too_many_bytes", "too long for a photo", where=uri, value=wanted)
            stream.seek(offset)
            data = stream.read(wanted)
    except UnfitFileError as error:
        raise PhotoError("unreadable", "no longer a plain file", where=uri) from error
    except (OSError, ValueError) as error:
        raise read_error(root, uri, error) from error
    if length is not None and len(data) < length:
        raise PhotoError("unreadable", "the file ends before the photo does", where=uri)
    return data


def _read_object(file: StorePath, root: StorePath, offset: int, length: int | None, uri: str) -> bytes:
    if length is not None and length > MOST_BYTES:
        raise PhotoError("too_many_bytes", "too long for a photo", where=uri, value=length)
    try:
        if length is None:
            return file.storage.read_bytes(file.path, MOST_BYTES)
        return file.storage.read_range(file.path, offset, length)
    except StorageError as error:
        if error.__cause__ is None and length is None:
            raise PhotoError("too_many_bytes", "too long for a photo", where=uri) from error
        if error.__cause__ is None:
            raise PhotoError("unreadable", "the file ends before the photo does", where=uri) from error
        raise stored_error(root, uri, error) from error.__cause__


def stored_error(root: StorePath, uri: str, error: StorageError) -> PhotoError | SourceError:
    """As `read_error`, for an error of a store; raise it from the error's cause."""
    cause = error.__cause__
    if isinstance(cause, FileNotFoundError):
        return PhotoError("vanished", "listed before, but gone now", where=uri)
    if isinstance(cause, OSError) and cause.errno == errno.ENODEV:
        return SourceError(f"the folder of photos {error.what}", where=str(root), remedy=error.remedy)
    return PhotoError("unreadable", f"cannot be read ({cause or error.what})", where=uri)


@contextlib.contextmanager
def photo_errors(root: Place, uri: str) -> Iterator[None]:
    """Raise an error of the file that holds a photo as an error of the photo, or of the whole source."""
    try:
        yield
    except StorageError as error:
        assert isinstance(root, StorePath), "files of this machine raise OSError"
        raise stored_error(root, uri, error) from error.__cause__
    except OSError as error:
        raise read_error(root, uri, error) from error


def read_if_there(root: Place, file: str, uri: str) -> bytes | None:
    """Return all bytes of a file beside a photo, None if there is none. Errors as `read_span`.

    A link without a target is a file that cannot be read.
    """
    if not isinstance(root, StorePath):
        return read_span(root, file, uri=uri) if lies_there(root / file) else None
    try:
        return read_span(root, file, uri=uri)
    except PhotoError as error:
        if error.code == "vanished":
            return None
        raise


def lies_there(path: Path) -> bool:
    """Whether a file has this path; true also if it is a link without a target, or if it must not be looked at."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return False
    except OSError as error:
        return error.errno != errno.ENAMETOOLONG
    return True


def stamp_of_file(path: Path) -> str:
    """Size and time of a file beside a photo; those of the link, or zeros, if it cannot be looked at."""
    for look in (path.stat, path.lstat):
        with contextlib.suppress(OSError):
            found = look()
            return f"{found.st_size}+{found.st_mtime_ns}"
    return "0+0"


def read_error(root: Place, uri: str, error: Exception) -> PhotoError | SourceError:
    """Return the error for a photo that cannot be read: vanished, unreadable, or the whole source is gone."""
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        return PhotoError("unreadable", f"cannot be read ({error})", where=uri)
    if root.exists():
        return PhotoError("vanished", "listed before, but gone now", where=uri)
    return SourceError("the source is gone", where=str(root), remedy="Bring it back and run the same command again")
