"""Read photos that a table lists, where the table, the photos or both lie in an object store."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from faceloom.pipelines.sources.listing import entries_of, in_order
from faceloom.pipelines.sources.source import place_of, read_span
from faceloom.pipelines.sources.table import Table
from faceloom.pipelines.sources.walk import is_unsafe
from faceloom.pipelines.store.fetched import fetched
from faceloom.pipelines.store.object_list import ObjectEntry
from faceloom.pipelines.store.store_path import StorePath
from faceloom.schemas.errors import PhotoError, SourceError
from faceloom.schemas.photos import Photo, Reject
from faceloom.schemas.source_spec import SourceSpec
from faceloom.schemas.urls import url_of

MOST_BYTES = 2**32
"""Length of a table."""


class ObjectTable:
    """As `Table`, for photos below a folder of an object store: their paths are relative to it, or URLs.

    Only a scan reads the table. The photos are looked up in a list of the folder, not one by one. Rows and list are
    read in one order, so that neither is held in memory as objects.

    Attributes:
        notices: what was left out; complete after a scan.
    """

    def __init__(self, spec: SourceSpec) -> None:
        self.spec, self.name = spec, spec.source_name
        root = place_of(spec.root or spec.path.rpartition("/")[0])
        if not isinstance(root, StorePath):
            remedy = "Set `root` to the folder of the photos in the store, or copy the table to this machine"
            raise SourceError("the photos of a table in an object store lie in a store too", where=spec.path,
                              value=spec.root, remedy=remedy)  # fmt: skip
        self.root = root
        self.notices: tuple[str, ...] = ()

    def scan(self) -> Iterator[Photo | Reject]:
        """See `Table.scan`."""
        try:
            copy = fetched(self.spec.path, MOST_BYTES)
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or error
            remedy = "Give a CSV file in UTF-8 with a header line, or a Parquet file"
            raise SourceError(f"the table cannot be read ({why})", where=self.spec.path, remedy=remedy) from error
        try:
            table = _Listed(self.spec.model_copy(update={"path": str(copy), "root": None}), self.root)
            table.name = self.name
            yield from table.scan()
        except SourceError as error:
            where = error.where.replace(str(copy), self.spec.path)
            raise type(error)(error.what, where=where, value=error.value, remedy=error.remedy) from error
        self.notices = table.notices

    def read(self, photo_uri: str) -> bytes:
        """See `Source.read`."""
        return read_span(self.root, photo_uri)


class _Listed(Table):
    """A table whose photos are found in a list. `_look_at` is called in the order of the list."""

    def __init__(self, spec: SourceSpec, folder: StorePath) -> None:
        super().__init__(spec)
        self.folder = folder
        self._list = entries_of(folder)
        self._entry = ObjectEntry("", 0, "")

    def _uri(self, value: object) -> str:
        path = str(value)
        if url := url_of(path):
            return posixpath.relpath(url, str(self.folder))
        if path.startswith("/"):
            return f"../{path.strip('/')}"
        return super()._uri(value)

    def _look_at(self, uri: str) -> tuple[int, str]:
        if is_unsafe(uri):
            raise PhotoError("bad_name", "the path holds a control character or undecodable bytes")
        entry = self._entry_at(uri)
        if entry.path != uri:
            raise PhotoError("missing_file", "no such object")
        if not entry.size:
            raise PhotoError("empty", "the file has zero bytes")
        return entry.size, entry.e_tag

    def _entry_at(self, uri: str) -> ObjectEntry:
        """The first object that does not come before a uri; the last one of the list if all do."""
        while self._entry.path < uri and (entry := next(self._list, None)):
            if entry.size or entry.path > self._entry.path:  # else of a folder, listed late; see `object_list`
                in_order(entry.path, self._entry.path, self.folder)
                self._entry = entry
        return self._entry
