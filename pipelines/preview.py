"""Counts and sizes of an output folder, and of what a plan would add to it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from faceloom.pipelines.analyse.survey import Survey
from faceloom.pipelines.context import Context
from faceloom.pipelines.plan.reuse import find_reuse
from faceloom.pipelines.store.build_record import BuildRecord, count_rejects, read_record
from faceloom.pipelines.store.file_faults import Fault, find_shard_faults
from faceloom.pipelines.store.last_run import LastRun, read_last_run
from faceloom.pipelines.store.parquet_tables import read_rejects
from faceloom.pipelines.store.paths import (
    FACES,
    INDEX,
    NEIGHBOURS,
    REJECTS,
    SHARDS,
    STAGES,
    WORK,
    reject_table,
    shard_tar,
)
from faceloom.pipelines.store.shard_files import is_finished, is_rendered
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import StorageError
from faceloom.schemas.faces import Spread
from faceloom.schemas.photos import Reject
from faceloom.schemas.plan import Plan

BUILD_AGAIN = "Run the same `faceloom build` again, which makes it anew, or get an undamaged copy"
"""What to do about a damaged file of a build."""


@dataclass(frozen=True, slots=True)
class Disk:
    """Bytes on disk.

    Attributes:
        shards: tar files that make up the build.
        superseded: tar files of older recipes or photos; `faceloom clean` removes them.
        index, faces, rejects, neighbours: tables.
        work: parts of an unfinished build.
    """

    shards: int
    superseded: int
    index: int
    faces: int
    rejects: int
    neighbours: int
    work: int

    @property
    def total(self) -> int:
        """The sum."""
        tables = self.index + self.faces + self.rejects + self.neighbours
        return self.shards + self.superseded + tables + self.work


@dataclass(frozen=True, slots=True)
class Shown:
    """A finished build.

    Attributes:
        record: what it holds.
        disk: its size.
        last_run: the timings of the last run that did any work; None if there are none.
        notices: what is wrong with information that the build itself does not need.
        faults: shards and indexes that are missing or of another length than listed.
    """

    record: BuildRecord
    disk: Disk
    last_run: LastRun | None
    notices: tuple[str, ...] = ()
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True, slots=True)
class Preview:
    """What a build would do.

    Attributes:
        photos: photos and other files that the sources list.
        analysed: photos that this run analysed; the others were cached.
        faces, samples: planned.
        morphs: how many of the faces are morphs of two.
        recall: by split, the measured share of true neighbours that an index found; empty for exact search.
        bytes: estimated size of all shards.
        shards, parts: in the plan.
        shards_ready: shards that exist already.
        parts_ready: parts that need no rendering.
        samples_ready: samples in them.
        by_split, by_mask, by_source: samples planned.
        rejects: number by stage and code; rendering may add more.
        figures: how quality figures, size and score are spread over the faces, without morphs.
        warnings: about sources and splits.
    """

    photos: int
    analysed: int
    faces: int
    morphs: int
    recall: dict[str, float]
    samples: int
    bytes: int
    shards: int
    shards_ready: int
    parts: int
    parts_ready: int
    samples_ready: int
    by_split: dict[str, int]
    by_mask: dict[str, int]
    by_source: dict[str, int]
    rejects: dict[str, dict[str, int]]
    figures: dict[str, Spread]
    warnings: tuple[str, ...] = ()


def look(storage: Storage) -> Shown:
    """Read the counts and sizes of a finished build. A file of another length than listed becomes a fault.

    Raises:
        StorageError: there is no finished build.
    """
    record = read_record(storage)
    last_run, notices = None, []
    try:
        last_run = read_last_run(storage)
    except StorageError as error:
        notices.append(str(error))
    faults = find_shard_faults(storage, record.shards, BUILD_AGAIN, digests=False)
    return Shown(record, _disk(storage, record), last_run, tuple(notices), tuple(faults))


def all_rejects(storage: Storage) -> list[Reject]:
    """The rejects of all stages, in the order of the stages."""
    paths = [reject_table(stage) for stage in STAGES]
    return [reject for path in paths if storage.exists(path) for reject in read_rejects(storage, path)]


def preview(context: Context, survey: Survey, plan: Plan) -> Preview:
    """Count what a plan would make, and what exists already."""
    storage, recipe = context.storage, context.recipe
    by_split: Counter[str] = Counter()
    by_mask: Counter[str] = Counter()
    by_source: Counter[str] = Counter()
    for shard in plan.shards:
        by_split[shard.split] += shard.samples
        for faces in (part.faces for part in shard.parts):
            by_source.update(dict(faces.sources()))
            worn = [(recipe.masks[number].label, count) for number, count in faces.masks()]
            by_mask["none"] += faces.samples - sum(count for _, count in worn)
            for label, count in worn:
                by_mask[label] += count
    missing = [shard for shard in plan.shards if not is_finished(storage, shard.name)]
    reuse = find_reuse(context, missing)
    to_render = [part for shard in missing for part in shard.parts if not is_rendered(storage, part.digest)]
    left = {part.digest: part.samples - reuse[part.digest].samples for part in to_render if part.digest in reuse}
    parts = list(plan.parts)
    return Preview(
        photos=len(survey.photos) + len(survey.rejects) - survey.repeated,
        analysed=survey.analysed_now,
        faces=sum(len(part.faces) for part in parts),
        morphs=sum(part.faces.morphs for part in parts),
        recall=dict(plan.recall),
        samples=plan.samples,
        bytes=plan.samples * plan.sample_bytes,
        shards=len(plan.shards),
        shards_ready=len(plan.shards) - len(missing),
        parts=len(parts),
        parts_ready=len(parts) - sum(left.get(part.digest, 1) > 0 for part in to_render),
        samples_ready=plan.samples - sum(left.get(part.digest, part.samples) for part in to_render),
        by_split=dict(sorted(by_split.items())),
        by_mask={label: count for label, count in sorted(by_mask.items()) if count},
        by_source=dict(sorted(by_source.items())),
        rejects=count_rejects((*survey.rejects, *plan.rejects)),
        figures=dict(plan.figures),
        warnings=survey.warnings,
    )


def _disk(storage: Storage, record: BuildRecord) -> Disk:
    used = {shard_tar(shard.name) for shard in record.shards}

    def size(folder: str, *, without: frozenset[str] | set[str] = frozenset()) -> int:
        return sum(size for path, size in storage.sizes(folder).items() if path not in without)

    superseded = size(SHARDS, without=used)
    return Disk(
        shards=size(SHARDS) - superseded,
        superseded=superseded,
        index=size(INDEX),
        faces=size(FACES),
        rejects=size(REJECTS),
        neighbours=size(NEIGHBOURS),
        work=size(WORK),
    )
