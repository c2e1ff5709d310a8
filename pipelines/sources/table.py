"""Read photos that a CSV or Parquet table lists, one row each."""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from faceloom.pipelines.sources.source import full_path, read_span, uri_filter
from faceloom.pipelines.sources.table_cells import UNREADABLE
from faceloom.pipelines.sources.table_columns import EDGES, choose_columns
from faceloom.pipelines.sources.table_faces import RowOfPhoto, join_rows
from faceloom.pipelines.sources.table_file import BATCH, Row, TableFile, load_schema, load_table
from faceloom.pipelines.sources.values import (
    MOST_ATTRIBUTES,
    as_attributes,
    as_box,
    as_landmarks,
    as_object,
    as_role,
    is_missing,
    notices_of,
    typed,
)
from faceloom.pipelines.sources.walk import ending, is_unsafe, scan_reject
from faceloom.schemas.errors import PhotoError, SourceError
from faceloom.schemas.photos import GivenFace, Photo, Reject
from faceloom.schemas.source_spec import SourceSpec


class Table:
    """Photos that a CSV or Parquet file lists, by paths below a root folder.

    The column `uri` is required; `identity`, `split`, `landmarks` (68 or five pairs, as JSON in CSV), a face box,
    `attributes` (an object, as JSON in CSV), `licence` and `consent` are optional; other columns become attributes if
    the recipe chooses them, or by default if they hold short text, numbers or times. Files that the table does not list
    are ignored. Rows of one photo name faces in it: see `join_rows`.

    Attributes:
        notices: what was left out; complete after a scan.
    """

    def __init__(self, spec: SourceSpec) -> None:
        self.spec = spec
        self.file = full_path(spec.path)
        self.root = full_path(spec.root) if spec.root else self.file.parent
        self.name = spec.source_name
        self.chosen = choose_columns(load_schema(self.file), spec.columns, str(self.file))
        self.notices = self.chosen.notices

    def scan(self) -> Iterator[Photo | Reject]:
        """See `Source.scan`. A bad row becomes a reject that names its number; the row below the header is row 1."""
        if not self.root.is_dir():
            raise SourceError(
                "the folder of the table's paths does not exist",
                where=str(self.root),
                remedy="Set the source's `root`, or restore the folder",
            )
        wanted = uri_filter(self.spec)
        self.chosen = choose_columns(load_schema(self.file), self.spec.columns, str(self.file))
        table = load_table(self.file, self.chosen)
        left_out = table.left_out.copy()
        of_photo: list[RowOfPhoto] = []
        for index, uri, row in self._sorted(table):
            if wanted is not None and uri and not wanted(uri):
                continue
            if of_photo and of_photo[0].photo.uri != uri:
                yield from join_rows(of_photo)
                of_photo = []
            try:
                if index in table.ragged:
                    raise PhotoError("bad_row", "more or fewer cells than the header")
                if not uri:
                    raise PhotoError("empty_uri", "no photo path in this row")
                of_photo.append(RowOfPhoto(index + 1, self._photo(uri, row, left_out)))
            except PhotoError as error:
                place = uri or f"{self.file.name}#row={index + 1}"
                yield scan_reject(self.name, place, error.code, f"row {index + 1}: {error.what}")
        if of_photo:
            yield from join_rows(of_photo)
        self.notices = self.chosen.notices + notices_of(left_out)

    def read(self, photo_uri: str) -> bytes:
        """See `Source.read`."""
        return read_span(self.root, photo_uri)

    def _sorted(self, table: TableFile) -> Iterator[tuple[int, str, Row]]:
        """The index, uri and cells of each row, by uri, then by index. Uris stay in Arrow: there may be millions."""
        import pyarrow as pa
        import pyarrow.compute as pc

        cells, pieces = table.column(self.chosen.roles["uri"]), []
        while some := [self._uri(cell) for cell in islice(cells, BATCH)]:
            pieces.append(pa.array(some, pa.large_string()))
        uris = pa.concat_arrays(pieces or [pa.array([], pa.large_string())])
        order = pc.sort_indices(uris)  # stable, and by bytes of UTF-8, which gives the order of Python
        for start in range(0, len(order), BATCH):
            now = order.slice(start, BATCH)
            yield from zip(now.to_pylist(), uris.take(now).to_pylist(), table.rows(now), strict=True)

    def _uri(self, value: object) -> str:
        """Turn a path of the table into a path below the root with forward slashes."""
        if is_missing(value) or value is UNREADABLE:
            return ""
        path = str(value)
        if path != path.strip() and not os.path.exists(self.root / path):  # noqa: PTH110
            path = path.strip()
        # Path.exists raises on a name that is too long.
        if "\\" in path and not os.path.exists(self.root / path):  # noqa: PTH110
            path = path.replace("\\", "/")
        path = os.path.normpath(path)
        if path.startswith("/"):
            path = os.path.relpath(path, self.root)
        return path

    def _photo(self, uri: str, row: Row, left_out: Counter[str]) -> Photo:
        if uri == ".." or uri.startswith("../"):
            raise PhotoError(
                "outside_root", "the path leads outside the source's root; set `root` to a folder above it"
            )
        size, stamp = self._look_at(uri)
        roles = {role: row[column] for role, column in self.chosen.roles.items()}
        for role, cell in roles.items():
            if cell is UNREADABLE:
                code = f"bad_{role}" if role in ("landmarks", "attributes") else "bad_row"
                raise PhotoError(code, f"the cell of the column {self.chosen.roles[role]} cannot be read")
        try:
            landmarks, box = as_landmarks(roles.get("landmarks")), as_box(roles.get("box", _edges(roles)))
        except ValueError as error:
            raise PhotoError("bad_landmarks", str(error)) from error
        extra = {label: row[name] for name, label in self.chosen.labels.items()}
        if ending(self.file.name) != "parquet":
            extra = {name: typed(str(cell)) for name, cell in extra.items()}
        for name in [name for name, cell in extra.items() if cell is UNREADABLE]:
            left_out[name] += 1
            del extra[name]
        try:
            stated = as_object(roles.get("attributes"))
            attributes = as_attributes(stated | _fitting(extra, stated, left_out), left_out)
        except ValueError as error:
            raise PhotoError("bad_attributes", str(error)) from error
        identity = _text(roles, "identity")
        return Photo(
            source=self.name,
            uri=uri,
            identity=identity,
            split=_text(roles, "split"),
            licence=_text(roles, "licence") or self.spec.licence,
            consent=_text(roles, "consent") or self.spec.consent,
            attributes=attributes,
            landmarks=landmarks if box is None else None,
            size=size,
            stamp=stamp,
            faces=() if box is None else (GivenFace(identity, attributes, box, landmarks),),
        )

    def _look_at(self, uri: str) -> tuple[int, str]:
        """Size and stamp of the file of a photo; raises PhotoError if it cannot be one."""
        if is_unsafe(uri):
            raise PhotoError("bad_name", "the path holds a control character or undecodable bytes")
        try:
            found = Path(self.root, uri).stat()
        except (FileNotFoundError, NotADirectoryError) as error:
            raise PhotoError("missing_file", "no such file") from error
        except OSError as error:
            raise PhotoError("unreadable", f"cannot be accessed ({error.strerror})") from error
        if not stat.S_ISREG(found.st_mode):
            raise PhotoError("not_a_file", "a folder, pipe, socket or device; not opened")
        if found.st_size == 0:
            raise PhotoError("empty", "the file has zero bytes")
        return found.st_size, str(found.st_mtime_ns)


def _edges(roles: Row) -> list[object] | None:
    """The box whose edges have a column each; CSV cells are text."""
    cells = [roles[edge] for edge in EDGES if edge in roles]
    if all(map(is_missing, cells)):
        return None
    try:
        return [float(str(cell)) for cell in cells]
    except ValueError as error:
        raise ValueError("an edge of the face box is missing or is no number") from error


def _fitting(cells: Row, stated: Row, left_out: Counter[str]) -> Row:
    """The cells that a photo has room for beside the attributes that its row states; a missing cell takes no room."""
    if len(cells) + len(stated) <= MOST_ATTRIBUTES:
        return cells
    new = [name for name, cell in cells.items() if name not in stated and not is_missing(cell)]
    over = set(new[max(0, MOST_ATTRIBUTES - len(stated)) :])
    left_out.update(over)
    return {name: cell for name, cell in cells.items() if name not in over}


def _text(roles: Row, role: str) -> str | None:
    try:
        return as_role(role, roles.get(role))
    except ValueError as error:
        raise PhotoError("bad_row", str(error)) from error
