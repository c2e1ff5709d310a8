"""Export the samples of a build in another layout. Each sample is checked against the index."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Protocol

from faceloom.pipelines.export.folder_names import folder_name
from faceloom.pipelines.export.recordio_layout import RecordIoFormat, is_picture, is_picture_named
from faceloom.pipelines.run.watcher import Watcher
from faceloom.pipelines.store.build_record import BuildRecord
from faceloom.pipelines.store.checked_shards import check_shards, read_rows, read_samples
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import FaceloomError
from faceloom.schemas.index import IndexRow


class Format(Protocol):
    """A layout of samples. Writes files atomically; the same samples give the same files.

    Attributes:
        threads: number of samples written at a time; 1 keeps the order of the shards.
        morphs: whether samples of morphs are exported by default.
    """

    threads: int
    morphs: bool

    def takes(self, names: Collection[str]) -> Collection[str]:
        """Return the names of the members that the layout holds; none to leave the sample out."""

    def holds(self, row: IndexRow) -> bool:
        """True if the target holds the sample, complete and unchanged."""

    def add(self, row: IndexRow, members: Mapping[str, bytes]) -> None:
        """Write a sample, given the content of its members by name."""

    def finish(self) -> None:
        """Write the files that need all samples."""

    def abandon(self) -> None:
        """Delete unfinished files after an error."""


@dataclass(frozen=True, slots=True)
class Exported:
    """The counts of an export.

    Attributes:
        written, skipped: number of samples written, and of samples that the target already held.
        morphs, no_picture: number of samples left out as morphs, or without the requested picture.
        members: sorted names of members that the layout does not hold.
    """

    written: int
    skipped: int
    morphs: int = 0
    no_picture: int = 0
    members: tuple[str, ...] = ()


class FolderFormat:
    """Plain files: `{split}/{identity}/{key}.jpg` is the masked picture, or the face if the sample has no mask.

    The other members are `{key}.mask.png`, `{key}.face.jpg`, `{key}.landmarks.npy`, `{key}.json` and so on.
    """

    threads = 8  # most of the time is spent on syncing each file
    morphs = True

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def takes(self, names: Collection[str]) -> Collection[str]:
        """Return all names."""
        return names

    def holds(self, row: IndexRow) -> bool:
        """True if every file exists with the content that the index states."""
        paths = file_paths(row)
        return all(self._is(paths[member.name], member.size, member.sha256) for member in row.members)

    def add(self, row: IndexRow, members: Mapping[str, bytes]) -> None:
        """Write the files of a sample, each atomically."""
        for name, path in file_paths(row).items():
            with self._storage.write(path) as stream:
                stream.write(members[name])

    def finish(self) -> None:
        """Do nothing."""

    def abandon(self) -> None:
        """Do nothing: every file is complete."""

    def _is(self, path: str, size: int, sha256: str) -> bool:
        # The size is not enough: all landmarks have the same, and keys survive a change of the recipe.
        storage = self._storage
        return storage.exists(path) and storage.size(path) == size and _sha256(storage.read_bytes(path)) == sha256


FORMATS = ("folder", "recordio")
"""Layouts by name."""


def open_format(name: str, to: Storage, picture: str | None = None) -> Format:
    """Return the layout with this name for a target folder.

    Args:
        picture: the picture to export, for a layout with one picture per sample.

    Raises:
        FaceloomError: the layout does not exist, or holds all pictures.
    """
    if name not in FORMATS:
        raise FaceloomError("unknown format", value=name, remedy=f"Choose from: {', '.join(FORMATS)}")
    if name == "recordio":
        return RecordIoFormat(to, picture)
    if picture is not None:
        remedy = "Omit --picture, or give --format recordio"
        raise FaceloomError("plain files hold all pictures of a sample", value=picture, remedy=remedy)
    return FolderFormat(to)


def check_picture(storage: Storage, record: BuildRecord, picture: str | None) -> None:
    """Refuse a picture that no sample of a build has.

    Raises:
        FaceloomError: no sample has it.
        StorageError: a shard or its index is missing or damaged.
    """
    if picture is None:
        return
    pictures: set[str] = set()
    for shard in record.shards:
        for row in read_rows(storage, shard):
            pictures |= {member.name for member in row.members if is_picture(member.name)}
        if any(is_picture_named(name, picture) for name in pictures):
            return
    remedy = f"It has: {', '.join(sorted(pictures)) or 'none'}"
    raise FaceloomError("no sample of the build has such a picture", value=picture, remedy=remedy)


def check_split(record: BuildRecord, split: str | None) -> None:
    """Refuse a split that a build does not have.

    Raises:
        FaceloomError: the build has no such split.
    """
    if split is not None and split not in record.by_split:
        remedy = f"It has: {', '.join(record.by_split) or 'none'}"
        raise FaceloomError("the build has no such split", value=split, remedy=remedy)


def export_samples(
    storage: Storage,
    record: BuildRecord,
    layout: Format,
    *,
    split: str | None = None,
    limit: int | None = None,
    morphs: bool | None = None,
    watcher: Watcher,
) -> Exported:
    """Write the samples of a build in another layout; samples that the target holds are skipped.

    Args:
        split: export this split only.
        limit: largest number of samples, the first ones in the order of the shards.
        morphs: whether to export samples of morphs; None for the layout's default.

    Raises:
        StorageError: a shard is damaged, or the target cannot be written; a rerun keeps the samples written.
    """
    shards = check_shards(storage, record, split)
    total = sum(shard.samples for shard in shards)
    wanted = total if limit is None else min(total, limit)
    watcher.stage("export", wanted, "samples")
    seen: Counter[str] = Counter()
    lost: set[str] = set()

    def is_wanted(row: IndexRow) -> bool:
        names = [member.name for member in row.members]
        taken = layout.takes(names)
        if row.parents and not (layout.morphs if morphs is None else morphs):
            seen["morphs"] += 1
        elif not taken:
            seen["no_picture"] += 1
        else:
            lost.update(set(names).difference(taken))
            return True
        return False

    def one(shard: str, row: IndexRow) -> bool:
        if layout.holds(row):
            return False
        layout.add(row, read_sample(storage, shard, row))
        return True

    try:
        with ThreadPoolExecutor(layout.threads) as pool:
            for shard in shards:
                rows = filter(is_wanted, read_rows(storage, shard))
                some = list(islice(rows, wanted - seen["written"] - seen["skipped"]))
                for wrote in pool.map(partial(one, shard.name), some):
                    seen["written" if wrote else "skipped"] += 1
                    watcher.done(min(wanted, seen.total()))
        layout.finish()
    except BaseException:
        layout.abandon()
        raise
    counts = {name: seen[name] for name in ("written", "skipped", "morphs", "no_picture")}
    return Exported(**counts, members=tuple(sorted(lost)))


def read_sample(storage: Storage, shard: str, row: IndexRow) -> dict[str, bytes]:
    """Read the content of a sample's members, by name; every byte is checked against the index.

    Args:
        row: from `read_rows`.

    Raises:
        StorageError: a byte differs, or the shard cannot be read.
    """
    ((_, members),) = read_samples(storage, shard, [row])
    return members


def file_paths(row: IndexRow) -> dict[str, str]:
    """Return the path of each member of a sample in the target, by member name."""
    names = [member.name for member in row.members]
    main = next((name for kind in ("masked", "face") for name in names if is_picture_named(name, kind)), "")
    stem = f"{folder_name(row.split)}/{folder_name(row.identity)}/{row.key}"
    return {name: f"{stem}.{name.rpartition('.')[2] if name == main else name}" for name in names}


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
