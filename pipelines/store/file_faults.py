"""Compare the files of shards with what a record or a manifest lists, and name everything that differs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

from faceloom.pipelines.store.build_record import ShardRecord
from faceloom.pipelines.store.checked_shards import check_every_byte, is_unreadable, read_rows
from faceloom.pipelines.store.paths import shard_index, shard_tar
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import StorageError, printable

_CHUNK = 2**20
_THREADS = 4  # hashing releases the interpreter's lock


class Fault(NamedTuple):
    """What is wrong with a file, and what to do."""

    file: str
    what: str
    remedy: str

    def __str__(self) -> str:
        return printable(" ".join(f"{self.file}: {self.what}. {self.remedy}".split()))


class ListedFile(NamedTuple):
    """A file as it is listed. Without a digest, only its length is compared."""

    path: str
    bytes: int
    sha256: str = ""


def fault_of(error: StorageError, remedy: str) -> Fault:
    """The fault of an error. Without permission to read a file, that is the fault, as the file may be whole."""
    value = f" (got {error.value[:200]})" if error.value else ""
    return Fault(error.where, f"{error.what}{value}", error.remedy if is_unreadable(error) else remedy)


def find_fault(storage: Storage, file: ListedFile, remedy: str) -> Fault | None:
    """Compare one file with what is listed; None if it is the same."""
    try:
        if not storage.exists(file.path):
            return Fault(
                file.path, "this is no regular file" if storage.is_taken(file.path) else "the file is missing", remedy
            )
        found = storage.size(file.path)
        if found != file.bytes:
            return Fault(file.path, f"the file has {found:,} bytes, and {file.bytes:,} are listed", remedy)
        if file.sha256:
            with storage.open(file.path) as stream:
                digest = hashlib.sha256()
                while data := stream.read(_CHUNK):
                    digest.update(data)
            if digest.hexdigest() != file.sha256:
                return Fault(file.path, "the file is damaged: its sha256 is not the one that is listed", remedy)
    except StorageError as error:
        return fault_of(error, remedy)._replace(file=file.path)
    except OSError as error:
        return Fault(file.path, f"the file cannot be read ({error.strerror})", "Check the disk")
    return None


def find_shard_faults(
    storage: Storage,
    shards: Sequence[ShardRecord],
    remedy: str,
    *,
    digests: bool = True,
    deep: bool = False,
    on_count: Callable[[int], None] = lambda _: None,
) -> list[Fault]:
    """Compare shards and their indexes with what is listed.

    Args:
        storage: the folder that holds them.
        shards: as listed.
        remedy: what to do about a file that differs.
        digests: also compare the sha256 of the indexes.
        deep: also compare that of the shards, and every sample with its row in the index.
        on_count: called with the number of shards done.

    Returns:
        All faults, at most one for each file.
    """
    faults: list[Fault] = []
    check = partial(_shard_faults, storage, remedy, digests or deep, deep)
    with ThreadPoolExecutor(_THREADS) as pool:
        for count, found in enumerate(pool.map(check, shards), 1):
            faults += found
            on_count(count)
    return faults


def _shard_faults(storage: Storage, remedy: str, digests: bool, deep: bool, shard: ShardRecord) -> list[Fault]:
    tar = ListedFile(shard_tar(shard.name), shard.bytes, shard.sha256 if deep else "")
    index = ListedFile(shard_index(shard.name), shard.index_bytes, shard.index_sha256 if digests else "")
    found = list(_present(find_fault(storage, file, remedy) for file in (tar, index)))
    if not deep or any(fault.file == index.path for fault in found):
        return found
    try:
        read_rows(storage, shard)
        check_every_byte(storage, shard.name)
    except StorageError as error:
        inner = fault_of(error, remedy)
        if not found:
            return [inner]
        if found[0].file == inner.file and inner.what.startswith("sample "):
            return [found[0]._replace(what=f"{found[0].what}; {inner.what}")]
    return found


def _present(faults: Iterable[Fault | None]) -> Iterable[Fault]:
    return (fault for fault in faults if fault is not None)
