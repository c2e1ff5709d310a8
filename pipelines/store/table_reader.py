"""Read a Parquet table of a stranger: known columns of known types alone, within bounds, each value checked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from faceloom.pipelines.store.storage import REPAIR, Storage
from faceloom.schemas.column_types import adapter, first_fault, place_text
from faceloom.schemas.errors import StorageError

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

MOST_VALUES = 2**24
"""Values of a table, those of lists included: about 1 GB as Python objects. 5,000 samples have 0.3 million."""
MOST_CONTENT = 2**29
"""Bytes of a table in memory. The index of 5,000 samples has 6 MB."""
MOST_CHUNKS = 2**16
"""Columns times row groups of a table."""


def damaged(path: str, why: object) -> StorageError:
    """The error of a table that cannot be used."""
    return StorageError(f"damaged Parquet file: {' '.join(str(why).split())[:300]}", where=path, remedy=REPAIR)


@contextmanager
def intact(path: str) -> Iterator[None]:
    """Turn each error that pyarrow raises for a damaged file into a StorageError."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError, ValueError) as error:
        raise damaged(path, error) from error


def read_table(
    storage: Storage, path: str, schema: pa.Schema, names: Sequence[str], most_values: int = MOST_VALUES
) -> pa.Table:
    """Read columns of a table. Other columns of the file are ignored, so that a later version may add some.

    Args:
        schema: of all known columns.
        names: of the columns to read.
        most_values: a table with more values is refused.

    Raises:
        StorageError: the file cannot be read, is damaged or too large, or lacks a column of this name and type.
    """
    return parse_table(storage.read_bytes(path), path, schema, names, most_values)


def parse_table(
    content: bytes, path: str, schema: pa.Schema, names: Sequence[str], most_values: int = MOST_VALUES
) -> pa.Table:
    """Read columns of a table from the bytes of its file, as `read_table`. `path` is for messages."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    data = pa.BufferReader(content)
    most_bytes = MOST_CONTENT * max(1, most_values // MOST_VALUES)
    with intact(path):
        footer = pq.ParquetFile(data)
        for name in names:
            _check_column(footer.schema_arrow, schema.field(name))
        texts = _check_size(footer, set(names), most_values, most_bytes)
        # Texts are read as dictionaries: a small file may repeat one long text in every row.
        # read_table of pyarrow sets up a dataset and takes twice as long.
        file = pq.ParquetFile(data, page_checksum_verification=True, read_dictionary=texts)
        table = file.read(list(names), use_threads=False).select(list(names))
        table.validate(full=True)  # of damaged texts, lists and dictionaries; conversion takes them on trust
        if (size := sum(_bytes(chunk) for column in table.columns for chunk in column.chunks)) > most_bytes:
            raise ValueError(f"it has {size:,} bytes in memory; at most {most_bytes:,} are read")
        return table.cast(pa.schema([schema.field(name) for name in names]))


def read_stored_metadata(storage: Storage, path: str) -> dict[bytes, bytes]:
    """Read the texts that are stored with a table, by name."""
    return parse_stored_metadata(storage.read_bytes(path), path)


def parse_stored_metadata(content: bytes, path: str) -> dict[bytes, bytes]:
    """Read the texts that are stored with a table, by name, from the bytes of its file. `path` is for messages."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with intact(path):
        return dict(pq.read_schema(pa.BufferReader(content)).metadata or {})


def checked(kind: Any, values: object, path: str, column: str = "") -> Any:
    """Values as a list of objects of a type, each checked.

    Args:
        kind: type of one value, such as a row.
        values: as pyarrow returns them.
        path: of the table, for messages.
        column: that they come from; empty for whole rows.

    Raises:
        StorageError: a value is not what it should be; names the row, the column and the value.
    """
    try:
        return adapter(list[kind]).validate_python(values)
    except ValidationError as error:
        (row, *inner), text = first_fault(error)
        place = place_text((*((column,) if column else ()), *inner))
        raise damaged(path, f"row {row}, column {place}: {text}") from None


def _check_column(found: pa.Schema, wanted: pa.Field) -> None:
    at = found.get_all_field_indices(wanted.name)
    if len(at) != 1:
        raise ValueError(f"column {wanted.name} is {'there twice' if at else 'missing'}")
    if found.field(at[0]).type != wanted.type:
        raise ValueError(f"column {wanted.name} is of type {found.field(at[0]).type}, not {wanted.type}")


def _check_size(file: pq.ParquetFile, names: set[str], most_values: int, most_bytes: int) -> list[str]:
    """Check what columns would take in memory, before they are read. Returns the paths of those with texts."""
    footer = file.metadata
    if footer.num_columns * footer.num_row_groups > MOST_CHUNKS:
        raise ValueError(f"it has {footer.num_row_groups:,} groups of {footer.num_columns:,} columns")
    groups = [footer.row_group(number) for number in range(footer.num_row_groups)]
    _check_count(sum(max(0, group.total_byte_size) for group in groups), most_bytes, "bytes")
    _check_count(footer.num_rows * len(names), most_values, "values")
    leaves = [(number, footer.schema.column(number)) for number in range(footer.num_columns)]
    wanted = [(number, leaf) for number, leaf in leaves if leaf.path.split(".")[0] in names]
    if lists := [(number, leaf) for number, leaf in wanted if leaf.max_repetition_level]:
        # A few bytes may stand for any number of equal list items. To read the number out of a damaged footer would
        # abort the process; the scan keeps no values, and fails in order for a column whose facts are damaged.
        file.scan_contents(sorted({leaf.path.split(".")[0] for _, leaf in lists}))
        items = sum(group.column(number).num_values for group in groups for number, _ in lists)
        _check_count(items, most_values, "list items")
    return [leaf.path for _, leaf in wanted if leaf.physical_type == "BYTE_ARRAY"]


def _check_count(count: int, most: int, unit: str) -> None:
    if not 0 <= count <= most:
        raise ValueError(f"it has {count:,} {unit}; at most {most:,} are read")


def _bytes(array: pa.Array) -> int:
    """Bytes of an array without dictionaries."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_dictionary(array.type):
        lengths = pc.cast(pc.binary_length(array.dictionary), pa.int64())
        return pc.sum(pc.take(lengths, array.indices)).as_py() or 0
    if pa.types.is_list(array.type):
        return array.nbytes if not len(array) else _bytes(array.flatten())
    if pa.types.is_struct(array.type):
        return sum(map(_bytes, array.flatten()))
    return int(array.nbytes)
