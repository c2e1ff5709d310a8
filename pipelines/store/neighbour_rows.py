"""Tables of neighbours as columns: a million faces have ten million rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import numpy.typing as npt

from faceloom.pipelines.store.parquet_tables import table_schema, write_table
from faceloom.pipelines.store.storage import Storage
from faceloom.pipelines.store.table_reader import MOST_VALUES, damaged, read_table
from faceloom.transforms.neighbours.faces import Neighbour

if TYPE_CHECKING:
    import pyarrow as pa

_BLOCK = 2**12
"""Rows that are objects at the same time."""


class NeighbourRows(Sequence[Neighbour]):
    """The neighbours of faces. A `Neighbour` is made on access.

    Args:
        table: a column for each field of `Neighbour`, without nulls.
    """

    def __init__(self, table: pa.Table) -> None:
        self.table = table

    @classmethod
    def of(cls, rows: Sequence[Neighbour]) -> NeighbourRows:
        """Put rows into columns."""
        if isinstance(rows, NeighbourRows):
            return rows
        import pyarrow as pa

        columns = {name: [getattr(row, name) for row in rows] for name in Neighbour._fields}
        return cls(pa.table(columns, schema=table_schema(Neighbour)))

    @classmethod
    def joined(cls, pieces: Sequence[NeighbourRows]) -> NeighbourRows:
        """The rows of several tables, one after another."""
        import pyarrow as pa

        return cls(pa.concat_tables([piece.table for piece in pieces])) if pieces else cls.of(())

    def __len__(self) -> int:
        return int(self.table.num_rows)

    @overload
    def __getitem__(self, at: int) -> Neighbour: ...
    @overload
    def __getitem__(self, at: slice) -> list[Neighbour]: ...
    def __getitem__(self, at: int | slice) -> Neighbour | list[Neighbour]:
        if isinstance(at, slice):
            return list(NeighbourRows(self.table.take(np.arange(len(self))[at])))
        return next(iter(NeighbourRows(self.table.take([range(len(self))[at]]))))

    def __iter__(self) -> Iterator[Neighbour]:
        for start in range(0, len(self), _BLOCK):
            columns = self.table.slice(start, _BLOCK).to_pydict()
            yield from map(Neighbour, *(columns[name] for name in Neighbour._fields))

    def __eq__(self, other: object) -> bool:
        return list(self) == list(other) if isinstance(other, Sequence) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def numbers(self, keys: pa.Array) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
        """The query and the neighbour of each row as numbers of keys, -1 for those that are not among them."""
        import pyarrow.compute as pc

        found = (pc.index_in(self.table.column(name), value_set=keys) for name in ("query", "neighbour"))
        query, neighbour = (np.asarray(one.fill_null(-1).to_numpy(), np.int32) for one in found)
        return query, neighbour

    def figures(self, name: str) -> npt.NDArray[Any]:
        """A column of numbers."""
        return np.asarray(self.table.column(name).to_numpy())

    def of_queries(self, keys: pa.Array) -> NeighbourRows:
        """The rows of some queries."""
        import pyarrow.compute as pc

        return NeighbourRows(self.table.filter(pc.is_in(self.table.column("query"), value_set=keys)))


def write_neighbours(storage: Storage, path: str, rows: Sequence[Neighbour]) -> None:
    """Write the neighbours of faces."""
    table = NeighbourRows.of(rows).table.combine_chunks()
    write_table(storage, path, Neighbour, {name: table.column(name) for name in table.column_names})


def read_neighbours(storage: Storage, path: str, most_rows: int = 0) -> NeighbourRows:
    """Read the neighbours of faces. A table of many faces is read only up to `most_rows`.

    Raises:
        StorageError: it cannot be read or is damaged.
    """
    schema = table_schema(Neighbour)
    table = read_table(storage, path, schema, schema.names, max(MOST_VALUES, most_rows * len(schema.names)))
    for name in schema.names:
        if table.column(name).null_count:
            raise damaged(path, f"column {name}: a row lacks a value")
    return NeighbourRows(table)
