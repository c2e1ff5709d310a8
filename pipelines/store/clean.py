"""Clean: delete what no longer belongs to a finished build."""

from __future__ import annotations

from dataclasses import dataclass

from faceloom.pipelines.store.build_record import read_record
from faceloom.pipelines.store.paths import INDEX, NEIGHBOURS, SHARDS, WORK, shard_index, shard_tar
from faceloom.pipelines.store.storage import Storage


@dataclass(frozen=True, slots=True)
class Leftovers:
    """Files that the build's record does not know, as paths with their sizes in bytes.

    Attributes:
        superseded: shards, indexes and who is near whom that an older recipe or an older photo left, or that a stopped
            build made.
        work: pieces of a build that was stopped.
        partial: files that were being written when a process was killed.
    """

    superseded: dict[str, int]
    work: dict[str, int]
    partial: dict[str, int]

    @property
    def files(self) -> dict[str, int]:
        """All of them, in the order in which they are best deleted: a shard's index is its marker, so it goes first."""
        return {**self.partial, **self.work, **dict(sorted(self.superseded.items()))}


def find_leftovers(storage: Storage) -> Leftovers:
    """Look for what `clean` would delete.

    Raises:
        StorageError: there is no finished build, so that nothing can be told from a leftover.
    """
    record = read_record(storage)
    listed = {path(shard.name) for shard in record.shards for path in (shard_index, shard_tar)} | {*record.neighbours}
    held = storage.list(INDEX) + storage.list(NEIGHBOURS) + storage.list(SHARDS)
    return Leftovers(
        superseded=_sizes(storage, [path for path in held if path not in listed]),
        work=_sizes(storage, storage.list(WORK)),
        partial=_sizes(storage, storage.partials()),
    )


def clean(storage: Storage) -> Leftovers:
    """Delete the leftovers of a finished build, and return what they were.

    Raises:
        StorageError: there is no finished build, one is being made, or a file cannot be deleted.
    """
    with storage.exclusive():
        found = find_leftovers(storage)
        for path in found.files:
            storage.remove(path)
    return found


def _sizes(storage: Storage, paths: list[str]) -> dict[str, int]:
    return {path: storage.size(path) for path in paths}
