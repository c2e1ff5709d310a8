"""Load a CSV or Parquet file into compact columns, and read its rows in any order."""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from faceloom.pipelines.sources.walk import ending
from faceloom.schemas.errors import SourceError

if TYPE_CHECKING:
    import pyarrow as pa

Row = dict[str, object]

_LONGEST_CELL = 100_000_000  # characters
_BATCH = 5_000  # rows as Python objects at a time; 68 landmarks take some 10 KB per row


@dataclass(frozen=True, slots=True)
class TableFile:
    """A table in memory.

    Attributes:
        columns: the cells by named column; all text for CSV.
        ragged: indices of rows with more or fewer cells than the header; their cells are None.
    """

    columns: pa.Table
    ragged: frozenset[int]

    def column(self, name: str) -> list[object]:
        """Return all cells of one column."""
        cells: list[object] = self.columns.column(name).to_pylist()
        return cells

    def rows(self, order: Sequence[int]) -> Iterator[Row]:
        """Yield the rows with the given indices, in that order."""
        for start in range(0, len(order), _BATCH):
            yield from self.columns.take(order[start : start + _BATCH]).to_pylist()


def load_table(file: Path, needed: Collection[str]) -> TableFile:
    """Load a table.

    A CSV file is UTF-8, with or without byte order mark, separated by comma, semicolon or tab.

    Args:
        file: Parquet if the name ends in `.parquet`, else CSV.
        needed: required columns.

    Raises:
        SourceError: the file is not a table, or a column is missing.
    """
    try:
        loaded = _load_parquet(file) if ending(file.name) == "parquet" else _load_csv(file)
    except (OSError, ValueError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise SourceError(
            f"the table cannot be read ({reason})",
            where=str(file),
            remedy="Give a CSV file in UTF-8 with a header line, or a Parquet file",
        ) from error
    found = loaded.columns.column_names
    missing = sorted(set(needed) - set(found))
    if missing:
        raise SourceError(
            f"the table has no column {', '.join(missing)}",
            where=str(file),
            value=", ".join(found) or "no columns",
            remedy="Name the table's own columns under the source's `columns`",
        )
    return loaded


def _load_parquet(file: Path) -> TableFile:
    import pyarrow.parquet as pq

    return TableFile(pq.ParquetFile(file).read(), frozenset())


def _load_csv(file: Path) -> TableFile:
    import pyarrow as pa

    csv.field_size_limit(_LONGEST_CELL)
    with file.open(encoding="utf-8-sig", newline="") as stream:
        header = stream.readline()
        stream.seek(0)
        # Strict: otherwise an unclosed quote swallows the rest of the file.
        lines = csv.reader(stream, delimiter=max(",;\t", key=header.count), strict=True)
        names = next(lines, [])
        if len(set(names)) < len(names):
            raise ValueError("two columns have the same name")
        schema = pa.schema([(name, pa.large_string()) for name in names])
        ragged: set[int] = set()
        batches = []
        rows = (line for line in lines if line)
        count = 0
        while chunk := list(islice(rows, _BATCH)):
            bad = {index for index, row in enumerate(chunk) if len(row) != len(names)}
            ragged |= {count + index for index in bad}
            full = [[None] * len(names) if index in bad else row for index, row in enumerate(chunk)]
            batches.append(pa.record_batch([pa.array(cells, pa.large_string()) for cells in zip(*full)], schema=schema))
            count += len(chunk)
    return TableFile(pa.Table.from_batches(batches, schema=schema), frozenset(ragged))
