"""Read photos that a CSV or Parquet table lists, one row each."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from faceloom.pipelines.sources.source import full_path, read_span, uri_filter
from faceloom.pipelines.sources.table_file import Row, load_table
from faceloom.pipelines.sources.values import as_attributes, as_landmarks, as_text, is_missing, typed
from faceloom.pipelines.sources.walk import ending, is_unsafe, scan_reject
from faceloom.schemas.errors import PhotoError, SourceError
from faceloom.schemas.photos import Photo, Reject
from faceloom.schemas.source_spec import SourceSpec


class Table:
    """Photos that a CSV or Parquet file lists, by paths below a root folder.

    The column `uri` is required; `identity`, `split`, `landmarks` (68 pairs, as JSON in CSV), `attributes` (an object,
    as JSON in CSV), `licence` and `consent` are optional; every other column becomes an attribute. Files that the table
    does not list are ignored.
    """

    def __init__(self, spec: SourceSpec) -> None:
        self.spec = spec
        self.file = full_path(spec.path)
        self.root = full_path(spec.root) if spec.root else self.file.parent
        self.name = spec.source_name

    def scan(self) -> Iterator[Photo | Reject]:
        """See `Source.scan`. A bad row becomes a reject that names its number; the row below the header is row 1."""
        if not self.root.is_dir():
            raise SourceError(
                "the folder of the table's paths does not exist",
                where=str(self.root),
                remedy="Set the source's `root`, or restore the folder",
            )
        wanted = uri_filter(self.spec)
        columns = self.spec.columns
        table = load_table(self.file, {columns.uri} | {getattr(columns, field) for field in columns.model_fields_set})
        uris = [self._uri(cell) for cell in table.column(columns.uri)]
        order = sorted(range(len(uris)), key=lambda index: (uris[index], index))
        before = None
        for index, row in zip(order, table.rows(order), strict=True):
            uri = uris[index]
            if wanted is not None and uri and not wanted(uri):
                continue
            try:
                if index in table.ragged:
                    raise PhotoError("bad_row", "more or fewer cells than the header")
                if not uri:
                    raise PhotoError("empty_uri", "no photo path in this row")
                if uri == before:
                    raise PhotoError("duplicate_uri", "listed in an earlier row")
                before = uri
                yield self._photo(uri, row)
            except PhotoError as error:
                place = uri or f"{self.file.name}#row={index + 1}"
                yield scan_reject(self.name, place, error.code, f"row {index + 1}: {error.what}")

    def read(self, photo_uri: str) -> bytes:
        """See `Source.read`."""
        return read_span(self.root, photo_uri)

    def _uri(self, value: object) -> str:
        """Turn a path of the table into a path below the root with forward slashes."""
        if is_missing(value):
            return ""
        path = str(value)
        # Path.exists raises on a name that is too long.
        if "\\" in path and not os.path.exists(self.root / path):  # noqa: PTH110
            path = path.replace("\\", "/")
        path = os.path.normpath(path)
        if path.startswith("/"):
            path = os.path.relpath(path, self.root)
        return path

    def _photo(self, uri: str, row: Row) -> Photo:
        columns = self.spec.columns
        if uri == ".." or uri.startswith("../"):
            raise PhotoError(
                "outside_root", "the path leads outside the source's root; set `root` to a folder above it"
            )
        size, mtime_ns = _look_at(self.root, uri)
        try:
            landmarks = as_landmarks(row.get(columns.landmarks))
        except ValueError as error:
            raise PhotoError("bad_landmarks", str(error)) from error
        known = {"", *columns.model_dump().values()}
        extra = {name: cell for name, cell in row.items() if name not in known}
        if ending(self.file.name) != "parquet":
            extra = {name: typed(str(cell)) for name, cell in extra.items()}
        return Photo(
            source=self.name,
            uri=uri,
            identity=as_text(row.get(columns.identity)),
            split=as_text(row.get(columns.split)),
            licence=as_text(row.get(columns.licence)) or self.spec.licence,
            consent=as_text(row.get(columns.consent)) or self.spec.consent,
            attributes=as_attributes(_object(row.get(columns.attributes)) | extra),
            landmarks=landmarks,
            size=size,
            stamp=str(mtime_ns),
        )


def _look_at(root: Path, uri: str) -> tuple[int, int]:
    if is_unsafe(uri):
        raise PhotoError("bad_name", "the path holds a control character or undecodable bytes")
    try:
        found = Path(root, uri).stat()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise PhotoError("missing_file", "no such file") from error
    except OSError as error:
        raise PhotoError("unreadable", f"cannot be accessed ({error.strerror})") from error
    if not stat.S_ISREG(found.st_mode):
        raise PhotoError("not_a_file", "a folder, pipe, socket or device; not opened")
    if found.st_size == 0:
        raise PhotoError("empty", "the file has zero bytes")
    return found.st_size, found.st_mtime_ns


def _object(value: object) -> dict[str, object]:
    if is_missing(value):
        return {}
    try:
        parsed = json.loads(value) if isinstance(value, str) else value
    except (ValueError, RecursionError) as error:
        raise PhotoError("bad_attributes", f"attributes must be a JSON object ({error})") from error
    if not isinstance(parsed, dict):
        raise PhotoError("bad_attributes", "attributes must be a JSON object")
    return parsed
