"""Load a CSV or Parquet file into compact columns, and read its rows in any order."""

from __future__ import annotations

import contextlib
import csv
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from faceloom.pipelines.sources.table_cells import as_scalars, cells_of
from faceloom.pipelines.sources.table_columns import TEXTS, ChosenColumns
from faceloom.pipelines.sources.walk import ending
from faceloom.schemas.errors import SourceError, TableError
from faceloom.schemas.regular_files import open_regular_file

if TYPE_CHECKING:
    import pyarrow as pa

Row = dict[str, object]

_LONGEST_CELL = 1_000_000  # characters of a cell of a CSV; a longer one is cut, and is too long for all uses
_LONGEST_ROW = 16_000_000  # characters, of a row of a CSV
_MOST_COLUMNS = 100_000
_ROWS_PER_BYTE = 8  # of a Parquet file; more are a few pages that state many rows
BATCH = 5_000  # rows as Python objects at a time; 68 landmarks take some 10 KB per row
_PARQUET_BATCH = 50_000


@dataclass(frozen=True, slots=True)
class TableFile:
    """A table in memory.

    Attributes:
        columns: the cells by named column; all text for CSV.
        ragged: indices of rows with more or fewer cells than the header; their cells are None.
        left_out: number of cells by column that are too long for an attribute, or out of range; these are None.
    """

    columns: pa.Table
    ragged: frozenset[int]
    left_out: Counter[str]

    def column(self, name: str) -> Iterator[object]:
        """Yield all cells of one column."""
        cells = self.columns.column(name)
        for start in range(0, len(cells), BATCH):
            yield from cells_of(cells.slice(start, BATCH))

    def rows(self, order: Sequence[int] | pa.Array) -> Iterator[Row]:
        """Yield the rows with the given indices, in that order."""
        names = self.columns.column_names
        for start in range(0, len(order), BATCH):
            taken = self.columns.take(order[start : start + BATCH])
            for cells in zip(*map(cells_of, taken.columns), strict=True):
                yield dict(zip(names, cells, strict=True))


def load_schema(file: Path) -> pa.Schema:
    """Names and types of the columns of a table. Arguments and errors as `load_table`."""
    import pyarrow as pa

    with _table_errors(file), open_regular_file(file) as stream:
        if _is_parquet(file):
            import pyarrow.parquet as pq

            schema = pq.ParquetFile(stream).schema_arrow
            _check_width(len(schema))
            return schema
        with _text_of(stream) as text:
            _, names = _csv_rows(text)
        _check_width(len(names))
        return pa.schema([(name, pa.large_string()) for name in names])


def load_table(file: Path, chosen: ChosenColumns) -> TableFile:
    """Load the chosen columns of a table.

    A CSV file is UTF-8, with or without byte order mark, separated by comma, semicolon or tab.

    Args:
        file: Parquet if the name ends in `.parquet`, else CSV.
        chosen: columns of the table.

    Raises:
        SourceError: the file is not a table, is a pipe or device, or has a row of an implausible size.
    """
    with _table_errors(file), open_regular_file(file) as stream:
        if _is_parquet(file):
            return _load_parquet(stream, chosen)
        with _text_of(stream) as text:
            return _load_csv(text, chosen)


def _check_width(columns: int) -> None:
    if columns > _MOST_COLUMNS:
        raise ValueError(f"it has {columns:,} columns; at most {_MOST_COLUMNS:,} are read")


def _is_parquet(file: Path) -> bool:
    return ending(file.name) == "parquet"


@contextlib.contextmanager
def _table_errors(file: Path) -> Iterator[None]:
    import pyarrow as pa

    try:
        yield
    except (OSError, ValueError, csv.Error, pa.ArrowException) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else " ".join(str(error).split())[:200]
        kind = SourceError if isinstance(error, OSError) else TableError
        raise kind(
            f"the table cannot be read ({reason})",
            where=str(file),
            remedy="Give a CSV file in UTF-8 with a header line, or a Parquet file",
        ) from error


def _load_parquet(stream: IO[bytes], chosen: ChosenColumns) -> TableFile:
    import pyarrow as pa
    import pyarrow.parquet as pq
    import pyarrow.types as pat

    names = chosen.names
    file = pq.ParquetFile(stream)
    length = stream.seek(0, io.SEEK_END)
    if file.metadata.num_rows > 1_000 + _ROWS_PER_BYTE * length:
        raise ValueError(f"it states {file.metadata.num_rows:,} rows in {length:,} bytes")
    texts = {chosen.roles[role] for role in TEXTS if role in chosen.roles}
    attributes = set(chosen.others) - set(chosen.roles.values())
    left_out: Counter[str] = Counter()
    batches = []
    for batch in file.iter_batches(_PARQUET_BATCH, columns=names):
        columns = []
        for name in names:
            column = batch.column(name)
            if name in texts:
                column = as_scalars(column, longest=None)
            elif pat.is_string_view(column.type):
                column = column.cast(pa.large_string())  # it cannot pick rows from a view
            elif name in attributes:
                missing, column = column.null_count, as_scalars(column)
                left_out[name] += column.null_count - missing
            columns.append(column)
        batches.append(pa.record_batch(columns, names))
    table = pa.Table.from_batches(batches) if batches else file.schema_arrow.empty_table().select(names)
    return TableFile(table.combine_chunks(), frozenset(), +left_out)


def _text_of(stream: IO[bytes]) -> IO[str]:
    return io.TextIOWrapper(stream, encoding="utf-8-sig", newline="")


def _load_csv(text: IO[str], chosen: ChosenColumns) -> TableFile:
    import pyarrow as pa

    rows, names = _csv_rows(text)
    places = {name: place for place, name in enumerate(names)}
    wanted = [places[name] for name in chosen.names]
    schema = pa.schema([(name, pa.large_string()) for name in chosen.names])
    empty: list[str | None] = [None] * len(wanted)
    ragged: set[int] = set()
    batches = []
    chunk: list[list[str | None]] = []
    count = 0

    def pack() -> None:
        arrays = [pa.array(cells, pa.large_string()) for cells in zip(*chunk, strict=True)]
        batches.append(pa.record_batch(arrays, schema=schema))
        chunk.clear()

    for row in rows:
        if not row:
            continue
        if len(row) == len(names):
            chunk.append([row[place][: _LONGEST_CELL + 1] for place in wanted])
        else:
            ragged.add(count)
            chunk.append(empty)
        count += 1
        if len(chunk) == BATCH:
            pack()
    if chunk:
        pack()
    return TableFile(pa.Table.from_batches(batches, schema=schema), frozenset(ragged), Counter())


def _csv_rows(text: IO[str]) -> tuple[Iterator[list[str]], list[str]]:
    """The rows below the header, and the header."""
    csv.field_size_limit(_LONGEST_ROW)
    lines = _Lines(text)
    first = lines.line()
    text.seek(0)
    lines.letters = 0
    # Strict: otherwise an unclosed quote swallows the rest of the file.
    reader = csv.reader(lines, delimiter=max(",;\t", key=first.count), strict=True)
    names = next(reader, [])

    def rows() -> Iterator[list[str]]:
        number = 1
        try:
            for row in reader:
                lines.letters = 0
                number += bool(row)
                yield row
        except csv.Error as error:
            quote = ": a quote in it is not closed" if "unexpected end" in str(error) else ""
            raise csv.Error(f"row {number}: {error}{quote}") from None

    lines.letters = 0
    return rows(), names


class _Lines:
    """Lines of a text, and how long the row is that they belong to."""

    def __init__(self, text: IO[str]) -> None:
        self._text, self.letters = text, 0

    def __iter__(self) -> Iterator[str]:
        return self

    def line(self) -> str:
        line = self._text.readline(_LONGEST_ROW + 1)
        self.letters += len(line)
        if self.letters > _LONGEST_ROW:
            raise ValueError(f"a row has more than {_LONGEST_ROW:,} characters")
        return line

    def __next__(self) -> str:
        if line := self.line():
            return line
        raise StopIteration
