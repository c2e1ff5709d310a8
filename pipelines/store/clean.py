"""Delete files that do not belong to a finished build, or that an interrupted first build left."""

from __future__ import annotations

from dataclasses import dataclass

from faceloom.pipelines.store.build_record import read_record
from faceloom.pipelines.store.output_folder import require_marker
from faceloom.pipelines.store.paths import BUILD_RECORD, INDEX, NEIGHBOURS, SHARDS, WORK, shard_index, shard_tar
from faceloom.pipelines.store.storage import Storage


@dataclass(frozen=True, slots=True)
class Leftovers:
    """Files that the build's record does not list, as paths with their sizes in bytes.

    Attributes:
        superseded: shards, indexes and neighbours of an older recipe, an older photo or a stopped build.
        work: pieces of a stopped build.
        partial: partial files of killed processes.
        finished: whether there is a finished build, which stays.
    """

    superseded: dict[str, int]
    work: dict[str, int]
    partial: dict[str, int]
    finished: bool = True

    @property
    def files(self) -> dict[str, int]:
        """All leftovers in the order of deletion: a shard's index marks the shard as complete, so it comes first."""
        return {**self.partial, **self.work, **dict(sorted(self.superseded.items()))}


def find_leftovers(storage: Storage) -> Leftovers:
    """Find what `clean` would delete. Without a finished build that is all but the face table, which is dear to make.

    Raises:
        StorageError: the folder is not of faceloom, or its build record is damaged.
    """
    require_marker(storage)
    listed: set[str] = set()
    if finished := storage.is_taken(BUILD_RECORD):
        record = read_record(storage)
        listed |= {path(shard.name) for shard in record.shards for path in (shard_index, shard_tar)}
        listed |= {*record.neighbours}
    held = storage.sizes(INDEX) | storage.sizes(NEIGHBOURS) | storage.sizes(SHARDS)
    return Leftovers(
        superseded={path: size for path, size in held.items() if path not in listed},
        work=storage.sizes(WORK),
        partial={path: storage.size(path) for path in storage.partials()},
        finished=finished,
    )


def clean(storage: Storage) -> Leftovers:
    """Delete the leftovers and return them.

    Raises:
        StorageError: as `find_leftovers`; or another process is writing to the folder, or a file cannot be deleted.
    """
    require_marker(storage)  # before the lock file is written
    with storage.exclusive():
        found = find_leftovers(storage)
        for path in found.files:
            storage.remove(path)
    return found
