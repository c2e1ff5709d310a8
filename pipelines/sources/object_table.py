"""Read photos that a table lists, where the table, the photos or both lie in an object store."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from faceloom.pipelines.sources.listing import entries_of
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

    Only a scan reads the table. The photos are looked up in a list of the folder, not one by one.

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
    """A table whose photos are found in a list."""

    def __init__(self, spec: SourceSpec, folder: StorePath) -> None:
        super().__init__(spec)
        self.folder = folder
        self.listed: Mapping[str, ObjectEntry] = {entry.path: entry for entry in entries_of(folder)}

    def _uri(self, value: object) -> str:
        path = str(value)
        if url := url_of(path):
            return posixpath.relpath(url, str(self.folder))
        if path.startswith("/"):
            return f"../{path.strip('/')}"
        return super()._uri(value)

    def _photo(self, uri: str, *facts: Any, **named: Any) -> Photo:
        if uri == ".." or uri.startswith("../"):
            what = "the path leads outside the source's root; set `root` to a folder above it"
            raise PhotoError("outside_root", what)
        if is_unsafe(uri):
            raise PhotoError("bad_name", "the path holds a control character or undecodable bytes")
        if (entry := self.listed.get(uri)) is None:
            raise PhotoError("missing_file", "no such object")
        if not entry.size:
            raise PhotoError("empty", "the file has zero bytes")
        # The other facts are those of the row; the table itself stands for the photo, which is not on this machine.
        photo = super()._photo(Path(self.file).name, *facts, **named)
        return replace(photo, uri=uri, size=entry.size, stamp=entry.e_tag)
