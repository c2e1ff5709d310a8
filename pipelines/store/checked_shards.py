"""The one check of finished shards. Everything that reads samples reads them here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import chain, islice
from typing import Protocol

from faceloom.pipelines.store.build_record import BuildRecord, ShardRecord
from faceloom.pipelines.store.parquet_tables import (
    check_index_columns,
    parse_index,
    parse_index_table,
    parse_metadata,
)
from faceloom.pipelines.store.paths import BUILD_RECORD, shard_index, shard_tar
from faceloom.pipelines.store.sample_places import (
    Content,
    Place,
    Placed,
    Places,
    contents,
    find_damage,
    find_misplaced,
    quick_places,
)
from faceloom.pipelines.store.storage import Storage
from faceloom.pipelines.store.tar_writer import END
from faceloom.schemas.errors import StorageError
from faceloom.schemas.index import IndexRow

AGAIN = (
    "Copy the shard and its index again. In a build, run the same `faceloom build` again, which renders it anew; in a "
    "release, `faceloom release unpack` of a packed copy repairs it"
)
"""What to do about a damaged shard."""
_RUN = 1 << 18
"""Bytes that are read at a time if samples are neighbours; more would leave the cache of the processor."""


class Listed(Protocol):
    """What a build record or a release manifest lists of a shard: a `ShardRecord`, or a `ReleaseShard`."""

    @property
    def name(self) -> str:
        """Name of the shard."""

    @property
    def split(self) -> str:
        """The split of all its samples."""

    @property
    def samples(self) -> int:
        """Number of its samples."""

    @property
    def bytes(self) -> int:
        """Length of its tar file."""


def check_shards(storage: Storage, record: BuildRecord, split: str | None = None) -> tuple[ShardRecord, ...]:
    """Return the shards of a record, or of one of its splits. Each exists with the length that the record lists.

    Raises:
        StorageError: a shard is missing, no regular file, or of another length.
    """
    shards = tuple(shard for shard in record.shards if split in (None, shard.split))
    for shard in shards:
        _check_length(storage, shard.name, shard.bytes, BUILD_RECORD)
    return shards


def check_length(storage: Storage, shard: str, listed: Listed | None = None) -> int:
    """Check that a shard is a regular file of the length that index and record list; returns the length in bytes.

    Raises:
        StorageError: it is not, or the index is missing or damaged.
    """
    index = shard_index(shard)
    with reading(index):
        return _check_listed_length(storage, shard, storage.read_bytes(index), listed)


def _check_listed_length(storage: Storage, shard: str, content: bytes, listed: Listed | None) -> int:
    """As `check_length`, given the bytes of the index."""
    index = shard_index(shard)
    length: int = parse_metadata(content, index)["bytes"]
    _check_length(storage, shard, length, index)
    if listed and listed.bytes != length:
        what = f"the index lists {length:,} bytes of its shard, and {BUILD_RECORD} lists {listed.bytes:,}"
        raise StorageError(what, where=index, remedy=AGAIN)
    return length


def read_places(storage: Storage, shard: str, listed: Listed | None = None) -> Places:
    """Read where the samples of a shard lie, and check that they fill its tar file without gaps or overlap.

    Args:
        storage: the output folder.
        shard: its name.
        listed: what the record lists of it, which the index must match.

    Raises:
        StorageError: the tar file is missing, no regular file or of another length than index and record list, or a row
            of the index cannot be true.
    """
    index, names = shard_index(shard), ("key", "offset", "length", "members")
    with reading(index):
        content = storage.read_bytes(index)
    length = _check_listed_length(storage, shard, content, listed)
    table = parse_index_table(content, index, names)
    with _true_rows(index):
        if quick := quick_places(table, length - len(END)):
            _check_count(quick, listed)
            return quick
        columns = check_index_columns(table, index)
        places = [
            Place(key, offset, size, tuple(Content(**member) for member in members))
            for key, offset, size, members in zip(*(columns[name] for name in names), strict=True)
        ]
        _check_rows(places, length, listed)
    return Places.of(places)


def read_rows(storage: Storage, listed: Listed) -> list[IndexRow]:
    """Read the index of a shard, checked as by `read_places`; all rows are of the shard's split.

    Raises:
        StorageError: as `read_places`.
    """
    index = shard_index(listed.name)
    with reading(index):
        content = storage.read_bytes(index)
    length = _check_listed_length(storage, listed.name, content, listed)
    with _true_rows(index):
        rows = parse_index(content, index)
        _check_rows(rows, length, listed)
        for number, row in enumerate(rows):
            if row.split != listed.split:
                split = ascii(row.split)[:40]
                raise ValueError(f"row {number} has the split {split}, and {BUILD_RECORD} lists {listed.split}")
    return rows


@contextmanager
def _true_rows(index: str) -> Iterator[None]:
    try:
        yield
    except (TypeError, ValueError) as error:
        fault = "a row lacks a value" if isinstance(error, TypeError) else error
        raise StorageError(f"the index cannot be right: {fault}", where=index, remedy=AGAIN) from None


def _check_rows(rows: Sequence[Placed], length: int, listed: Listed | None) -> None:
    if fault := find_misplaced(rows, length - len(END)):
        raise ValueError(fault)
    _check_count(rows, listed)


def _check_count(rows: Sequence[Placed], listed: Listed | None) -> None:
    if listed and len(rows) != listed.samples:
        raise ValueError(f"it has {len(rows)} rows, and {BUILD_RECORD} lists {listed.samples} samples")


def check_every_byte(storage: Storage, shard: str) -> None:
    """Check a shard and its index as `read_places` does, and then every byte of the shard.

    Raises:
        StorageError: something is damaged, missing or cannot be read.
    """
    places = read_places(storage, shard)
    for _ in read_samples(storage, shard, places[:]):
        pass
    end = int(places.ends[-1])
    if storage.read_range(shard_tar(shard), end, len(END)) != END:
        raise StorageError("the end of the tar file is not zero", where=shard_tar(shard), remedy=AGAIN)


def is_unreadable(error: StorageError) -> bool:
    """Whether the system refused to read a file, which therefore may be whole."""
    cause = error.__cause__
    return isinstance(cause, OSError) and cause.errno is not None


def read_samples(
    storage: Storage, shard: str, places: Iterable[Placed], *, verify: bool = True
) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Read samples of a shard by their places: key, and content of each member by name.

    Neighbours are read together, and members are cut out by the index.

    Args:
        storage: the output folder.
        shard: its name.
        places: of the samples, checked by `read_places` or `find_misplaced`.
        verify: compare every byte with the index: headers with key and name, contents with their sha256.

    Raises:
        StorageError: a byte differs, or the shard cannot be read.
    """
    tar, runs = shard_tar(shard), _runs(places)
    first = [*islice(runs, 2)]
    with ExitStack() as opened:
        stream = None
        if len(first) > 1:  # a single range takes one request less without a stream
            with reading(tar):
                stream = opened.enter_context(storage.open(tar))
        for run in chain(first, runs):
            begin, length = run[0].offset, run[-1].offset + run[-1].length - run[0].offset
            with reading(tar):
                if stream is None:
                    data = storage.read_range(tar, begin, length)
                else:
                    data = storage.range_of(stream, tar, begin, length)
            for place in run:
                if verify and (fault := find_damage(place, data, begin)):
                    raise StorageError(f"sample {place.key} is damaged: {fault}", where=tar, remedy=AGAIN)
                yield place.key, contents(place, data, begin)


def _runs(places: Iterable[Placed]) -> Iterator[list[Placed]]:
    """Neighbouring places, at most `_RUN` bytes at a time."""
    run: list[Placed] = []
    for place in places:
        if run and (
            place.offset != run[-1].offset + run[-1].length or place.offset + place.length - run[0].offset > _RUN
        ):
            yield run
            run = []
        run.append(place)
    if run:
        yield run


@contextmanager
def reading(path: str) -> Iterator[None]:
    """Ask for permission where a file must not be read; such a file may be whole.

    Raises:
        StorageError: the system does not permit reading the file.
    """
    try:
        yield
    except (StorageError, PermissionError) as error:
        cause = error if isinstance(error, PermissionError) else error.__cause__
        if not isinstance(cause, PermissionError):
            raise
        remedy = "Ask the owner of the folder for permission to read it"
        raise StorageError(f"cannot be read ({cause.strerror})", where=path, remedy=remedy) from cause


def _check_length(storage: Storage, shard: str, length: int, listed: str) -> None:
    tar = shard_tar(shard)
    try:
        with reading(tar):
            found = storage.size(tar)
    except StorageError as error:
        cause = error.__cause__
        if isinstance(cause, FileNotFoundError | NotADirectoryError):
            raise StorageError(f"the shard is missing ({cause.strerror})", where=tar, remedy=AGAIN) from None
        if cause is None and storage.is_taken(tar):
            raise StorageError("the shard is no regular file", where=tar, remedy=AGAIN) from None
        raise
    if found != length:
        what = f"the shard has {found:,} bytes, and {listed} lists {length:,}"
        raise StorageError(what, where=tar, remedy=AGAIN)
