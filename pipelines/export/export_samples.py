"""Export the samples of a build in another layout. Each sample is checked against the index."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Protocol

from faceloom.pipelines.export.detector_layouts import CocoFormat, YoloFormat
from faceloom.pipelines.export.export_options import ExportOptions
from faceloom.pipelines.export.folder_layouts import FolderFormat, ImageFolderFormat
from faceloom.pipelines.export.folder_names import alike_names
from faceloom.pipelines.export.picture_mix import choose_second
from faceloom.pipelines.export.record_labels import choose_labels
from faceloom.pipelines.export.recordio_layout import RecordIoFormat
from faceloom.pipelines.export.sample_facts import (
    SampleFacts,
    is_picture,
    is_picture_named,
    original_names,
    read_facts,
    read_identities,
)
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

    @property
    def pictures(self) -> Mapping[str, int]:
        """Number of pictures written, by name, if a sample may give one of several; else empty."""

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
        pictures: number of records by picture, for `recordio`.
    """

    written: int
    skipped: int
    morphs: int = 0
    no_picture: int = 0
    members: tuple[str, ...] = ()
    pictures: Mapping[str, int] = field(default_factory=dict)


def open_format(storage: Storage, record: BuildRecord, to: Storage, options: ExportOptions) -> Format:
    """Return the layout of an export, ready to take samples.

    Args:
        storage: the build's output folder.
        record: the record of the build.
        to: the target folder.
        options: what to export.

    Raises:
        FaceloomError: the labels cannot be kept, their table cannot be read, or the layout needs frames.
        StorageError: an index is missing or damaged.
    """
    if options.layout in ("folder", "imagefolder"):
        # Of the whole build: a later export of another split must find the same folders.
        alike = alike_names(sorted(read_identities(storage, record.shards)))
        if options.layout == "folder":
            return FolderFormat(to, alike)
        names = original_names(read_facts(storage, record.shards)) if options.names == "source" else None
        return ImageFolderFormat(to, options.pictures, names, alike)
    if options.layout in ("coco", "yolo"):
        if record.settings.align.mode != "frame":
            remedy = "Build with `align: {mode: frame}`"
            raise FaceloomError(
                f"--layout {options.layout} needs frames", value=record.settings.align.mode, remedy=remedy
            )
        if options.layout == "coco":
            return CocoFormat(to, options.pictures)
        return YoloFormat(to, options.pictures, record.by_split)
    shards = [shard for shard in record.shards if options.split in (None, shard.split)]

    def facts() -> Iterator[SampleFacts]:  # read again rather than held: a million take a gigabyte
        return (fact for fact in read_facts(storage, shards) if options.morphs or not fact.is_morph)

    second = None
    if options.mix is not None:
        second = choose_second(facts(), options.pictures, options.mix, record.settings.seed)
    return RecordIoFormat(to, options.pictures, labels=choose_labels(facts(), options.labels), second=second)


def check_pictures(storage: Storage, record: BuildRecord, wanted: Sequence[str]) -> None:
    """Refuse a picture that no sample of a build has.

    Raises:
        FaceloomError: no sample has it.
        StorageError: a shard or its index is missing or damaged.
    """
    left, pictures = set(wanted), set[str]()
    for fact in read_facts(storage, record.shards) if left else ():
        pictures.update(filter(is_picture, fact.members))
        left = {picture for picture in left if not any(is_picture_named(name, picture) for name in fact.members)}
        if not left:
            return
    if left:
        remedy = f"It has: {', '.join(sorted(pictures)) or 'none'}"
        raise FaceloomError("no sample of the build has such a picture", value=min(left), remedy=remedy)


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
    return Exported(**counts, members=tuple(sorted(lost)), pictures=dict(sorted(layout.pictures.items())))


def read_sample(storage: Storage, shard: str, row: IndexRow) -> dict[str, bytes]:
    """Read the content of a sample's members, by name; every byte is checked against the index.

    Args:
        row: from `read_rows`.

    Raises:
        StorageError: a byte differs, or the shard cannot be read.
    """
    ((_, members),) = read_samples(storage, shard, [row])
    return members
