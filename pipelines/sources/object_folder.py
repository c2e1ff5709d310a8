"""Read a folder of photos in an object store, with or without a sub-folder per person."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Literal

from faceloom.pipelines.sources.other_formats import advice_on
from faceloom.pipelines.sources.read_ahead import ReadAhead
from faceloom.pipelines.sources.source import MOST_BYTES, uri_filter
from faceloom.pipelines.sources.walk import PICTURE_ENDINGS, ending, is_unsafe, scan_reject
from faceloom.pipelines.store.object_storage import ObjectEntry, ObjectStorage
from faceloom.schemas.errors import PhotoError, SourceError, StorageError
from faceloom.schemas.photos import Photo, Reject
from faceloom.schemas.source_spec import SourceSpec

_LOOKED_AT = 1000
"""Objects by which the kind of a source is detected: one page of a list."""


class ObjectFolder:
    """All pictures below a folder of a bucket; of kind `people`, the first folder of a uri names the person.

    Photos are listed page by page, and read ahead in the order that `expect` announces.

    Attributes:
        kind: `people` or `flat`. With `auto` it is `people` if most of the first objects lie in folders.
    """

    def __init__(self, spec: SourceSpec) -> None:
        self.spec, self.name = spec, spec.source_name
        self.storage = ObjectStorage(spec.path)
        if spec.kind not in ("auto", "people", "flat"):
            remedy = "Read a folder of photos there, or download it"
            raise SourceError("this kind of source cannot be read from an object store", where=spec.path,
                              value=spec.kind, remedy=remedy)  # fmt: skip
        self.kind: Literal["people", "flat"] = self._detected() if spec.kind == "auto" else spec.kind
        self._ahead = ReadAhead(self._read)

    def scan(self) -> Iterator[Photo | Reject]:
        """See `Source.scan`. An object that is not a picture becomes a reject."""
        wanted, before = uri_filter(self.spec), ""
        hidden: set[str] = set()
        for entry in self._entries():
            if entry.path < before:
                remedy = "Directory buckets are one kind of these; copy the photos to another bucket"
                raise SourceError("this store does not list objects in order", where=self.spec.path, remedy=remedy)
            before = entry.path
            *folders, _ = entry.path.split("/")
            if number := next((n for n, name in enumerate(folders, 1) if name.startswith(".")), 0):
                if (folder := "/".join(folders[:number])) not in hidden:
                    hidden.add(folder)
                    yield scan_reject(self.name, folder, "hidden_folder")
            elif wanted is None or wanted(entry.path):
                yield self._row(entry)

    def _row(self, entry: ObjectEntry) -> Photo | Reject:
        uri, name = entry.path, entry.path.rpartition("/")[2]
        if name.startswith("._"):
            return scan_reject(self.name, uri, "resource_fork")
        if ending(name) not in PICTURE_ENDINGS:
            return scan_reject(self.name, uri, "not_a_picture", advice_on(name))
        if name.startswith("."):
            return scan_reject(self.name, uri, "hidden_file")
        if is_unsafe(uri):
            return scan_reject(self.name, uri, "bad_name")
        if not entry.size:
            return scan_reject(self.name, uri, "empty")
        person, slash, _ = uri.partition("/")
        identity = person if slash and self.kind == "people" else None
        licence, consent = self.spec.licence, self.spec.consent
        return Photo(self.name, uri, identity, None, licence, consent, (), None, entry.size, entry.e_tag)

    def expect(self, uris: Iterable[str]) -> None:
        """Announce which photos will be read next, in this order, so that they are read ahead."""
        self._ahead.expect(uris)

    def read(self, photo_uri: str) -> bytes:
        """See `Source.read`."""
        return self._ahead.read(photo_uri)

    def _read(self, uri: str) -> bytes:
        try:
            return self.storage.read_bytes(uri, MOST_BYTES)
        except StorageError as error:
            cause = error.__cause__
            if isinstance(cause, FileNotFoundError):
                raise PhotoError("vanished", "listed before, but gone now", where=uri) from error
            if isinstance(cause, OSError) and cause.errno == errno.ENODEV:
                raise self._gone(error) from error
            if cause is None:
                raise PhotoError("too_many_bytes", "too long for a photo", where=uri) from error
            raise PhotoError("unreadable", f"cannot be read ({cause})", where=uri) from cause

    def _entries(self) -> Iterator[ObjectEntry]:
        try:
            yield from self.storage.entries()
        except StorageError as error:
            raise self._gone(error) from error

    def _gone(self, error: StorageError) -> SourceError:
        return SourceError(f"the folder of photos {error.what}", where=self.spec.path, remedy=error.remedy)

    def _detected(self) -> Literal["people", "flat"]:
        first = [one for one in islice(self._entries(), _LOOKED_AT) if ending(one.path) in PICTURE_ENDINGS]
        below = sum("/" in one.path for one in first)
        return "people" if below > len(first) - below else "flat"
