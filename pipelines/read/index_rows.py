"""Read the index of a finished build as one table, or the part of it that lies below a prefix."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from faceloom.pipelines.store.build_record import read_record
from faceloom.pipelines.store.parquet_tables import read_index_table, table_schema
from faceloom.pipelines.store.paths import shard_index
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import FaceloomError
from faceloom.schemas.index import IndexRow
from faceloom.schemas.keys import IDENTITY_BITS, PHOTO_BITS, position, prefix_bits, prefix_name

if TYPE_CHECKING:
    import pyarrow as pa


def open_index(
    out: str | Path, split: str | None = None, *, prefix: str = "", columns: Sequence[str] | None = None
) -> pa.Table:
    """Read the index of a finished build. Only files that may have rows below the prefix are opened.

    Example:
        table = open_index("out", "train", prefix=person_prefix("Ada"), columns=["key", "identity"])

    Args:
        out: folder of the build.
        split: `train`, `val`, `test`, or a split name of the source; None for all samples.
        prefix: first bits of places in the prefix tree, such as `0110`; the names of shards hold theirs.
        columns: names of the columns; None for all.

    Returns:
        The rows of whole shards, in the order of the build: of those below the prefix, or of the one above it.

    Raises:
        StorageError: there is no finished build, or an index is missing or damaged.
        FaceloomError: the prefix is no text of the digits 0 and 1, or there is no such column or split.
    """
    import pyarrow as pa

    schema = table_schema(IndexRow)
    names = list(schema.names if columns is None else columns)
    if unknown := [name for name in names if name not in schema.names]:
        remedy = f"The index has: {', '.join(schema.names)}"
        raise FaceloomError("the index has no such column", value=unknown[0], remedy=remedy)
    if prefix.strip("01"):
        remedy = "Give bits, such as 0110, or person_prefix(NAME)"
        raise FaceloomError("a prefix has only the digits 0 and 1", value=prefix, remedy=remedy)
    storage = Storage(str(out))
    record = read_record(storage)
    wanted = [shard.name for shard in record.shards if split in (None, shard.split)]
    if split is not None and not wanted:
        remedy = f"The build has: {', '.join(record.by_split) or 'no samples at all'}"
        raise FaceloomError("the build has no such split", where=storage.root, value=split, remedy=remedy)
    tables = [read_index_table(storage, shard_index(name), names) for name in wanted if _may_hold(name, prefix)]
    return pa.concat_tables([pa.schema([schema.field(name) for name in names]).empty_table(), *tables])


def person_prefix(identity: str) -> str:
    """The bits with which the places of a person's photos begin. Morphs with another person's face lie elsewhere.

    >>> person_prefix("Ada")
    '11101111010100010100001100100010'
    """
    return prefix_name(position(identity, "0") >> PHOTO_BITS, IDENTITY_BITS)


def _may_hold(shard: str, prefix: str) -> bool:
    own = prefix_bits(shard)
    return own.startswith(prefix) or prefix.startswith(own)
