"""Scan and analyse: from sources to photos, their faces, and what was rejected."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from faceloom.pipelines.analyse import face_table
from faceloom.pipelines.analyse import photo_task as analysis
from faceloom.pipelines.analyse.aligned_check import unaligned_sources
from faceloom.pipelines.analyse.analysis import Analysis
from faceloom.pipelines.analyse.detectors import NO_YUNET, detector_kind, lacks_yunet
from faceloom.pipelines.analyse.odd_people import odd_people
from faceloom.pipelines.analyse.photo_table import PhotoTable
from faceloom.pipelines.analyse.unseen_photos import refuse_unseen
from faceloom.pipelines.context import Context
from faceloom.pipelines.run.run_tasks import run_tasks
from faceloom.pipelines.run.runners import Workers, here
from faceloom.pipelines.run.watcher import Watcher
from faceloom.pipelines.sources.listing import kept_lists
from faceloom.pipelines.sources.person_names import PersonNames
from faceloom.pipelines.sources.registry import kind_of
from faceloom.pipelines.sources.source import notices_of_scan
from faceloom.schemas.counted import counted
from faceloom.schemas.errors import SourceError, StorageError
from faceloom.schemas.keys import digest
from faceloom.schemas.photos import Photo, Reject


@dataclass(frozen=True, slots=True)
class Survey:
    """The photos of a recipe's sources, and their analysis.

    Attributes:
        photos: every photo that was listed.
        rejects: of the scan.
        analysed: the analysis of every photo, by photo id.
        analysed_now: number of photos that this run analysed.
        seconds: of work by stage, added up over workers.
        wall: seconds on the clock by stage.
        warnings: about sources and splits; the same for the same photos.
    """

    photos: PhotoTable
    rejects: tuple[Reject, ...]
    analysed: Analysis
    analysed_now: int
    seconds: Mapping[str, float]
    wall: Mapping[str, float]
    warnings: tuple[str, ...] = ()

    @property
    def repeated(self) -> int:
        """Number of rejects of the scan that name a photo again which is listed or rejected: rows of a table."""
        import pyarrow as pa
        import pyarrow.compute as pc

        named = {f"{reject.source}/{reject.uri}" for reject in self.rejects}
        if not named:
            return 0
        listed = pc.sum(pc.is_in(self.photos.ids(), value_set=pa.array(sorted(named), pa.large_string()))).as_py() or 0
        return len(self.rejects) - len(named) + int(listed)


def survey(context: Context, *, workers: Workers, watcher: Watcher) -> Survey:
    """List all sources, and analyse the photos that are not in the face table.

    Raises:
        SourceError: a source cannot be listed, or the recipe divides by its splits and it has none.
        ModelFileError: the landmark model or a detector is missing.
        StorageError: the face table cannot be read or written.
    """
    begin = time.perf_counter()
    watcher.stage("scan", None, "files")
    rejects: list[Reject] = []
    notices: list[str] = []
    with kept_lists(context.storage, watcher.note):
        photos = PhotoTable.of(scan_photos(context, rejects, notices, watcher))
    if not photos and not rejects:
        where, remedy = ", ".join(spec.path for spec in context.recipe.sources), "Check the path, or the table's rows"
        raise SourceError("the source holds no files", where=where, remedy=remedy)
    _refuse_without_splits(context, photos)
    scanned = time.perf_counter()
    limit = context.recipe.faces.max_pixels
    analyser = analysis.analyser_id(context.recipe.faces)
    files = face_table.face_files(context.storage, analyser)

    def forget(path: str, error: StorageError) -> None:
        watcher.note(f"Warning: a file of the face table is removed, and its photos are analysed again: {error}")
        context.storage.remove(path)
        files.remove(path)

    analysed = face_table.load_analysed(context.storage, list(files), photos, forget)
    new = photos.take(analysed.unfinished(limit))
    seconds: dict[str, float] = {}
    if new:
        watcher.stage("analyse", len(new), "photos")
        detector = detector_kind(context.recipe.faces)
        if lacks_yunet(context.recipe.faces):
            watcher.note(NO_YUNET)
        tasks = analysis.tasks_for(new, {}, analyser, limit, digest(files) if files else "", detector)
        seconds = run_tasks(
            tasks,
            partial(_analyse, context=context),
            workers=workers,
            stage="analyse",
            on_count=watcher.done,
            on_note=watcher.note,
        )
        if not here(workers):
            refuse_unseen(context, [task.path for task in tasks])
        face_table.add_files(context.storage, analysed, (task.path for task in tasks))
    face_table.merge_files(context.storage, analyser, lambda path, _: context.storage.remove(path))
    warnings = (*notices, *odd_people(photos), *namesakes(photos), *unaligned_sources(context, analysed))
    for warning in warnings:
        watcher.note(f"Warning: {warning}")
    wall = {"scan": scanned - begin, "analyse": time.perf_counter() - scanned}
    return Survey(photos, tuple(rejects), analysed, len(new), seconds, wall, warnings)


def scan_photos(context: Context, rejects: list[Reject], notices: list[str], watcher: Watcher) -> Iterator[Photo]:
    """List the photos of all sources, one after another. Fills the lists of rejects and notices.

    Raises:
        SourceError: a source cannot be listed.
    """
    listed = 0
    for spec in context.recipe.sources:
        source, before, people = context.source(spec.source_name), listed, set[str | None]()
        names, labelled = PersonNames(), context.recipe.reads_labels(spec.source_name)
        for row in source.scan():
            if isinstance(row, Photo):
                listed += 1
                if (identity := names.of(row.identity)) != row.identity:
                    row = replace(row, identity=identity)
                people |= row.names if row.faces else {identity}
                # Labels that the recipe does not need are not read.
                yield row if labelled or not row.labels else replace(row, labels="")
            else:
                rejects.append(row)
            if not (listed + len(rejects)) % 100:
                watcher.done(listed + len(rejects))
        watcher.note(source_summary(spec.source_name, kind_of(source), listed - before, len(people - {None})))
        notices += notices_of_scan(source)
        notices += (f"source {spec.source_name}: {notice}" for notice in names.notices())


def source_summary(name: str, kind: str, photos: int, people: int) -> str:
    """One line about a source, so that users see a wrong kind, such as folders of datasets taken for people."""
    named = counted(people, "person", "people") if people else "no identities"
    return f"source {name}, kind `{kind}`: {counted(photos, 'photo')}, {named}"


def namesakes(photos: PhotoTable) -> tuple[str, ...]:
    """Warn if several sources have the same identity: it counts as one person."""
    (photo, identities, names), (sources, folders) = photos.people(), photos.codes("source")
    pairs = np.unique(identities * len(folders) + sources[photo])
    people, counts = np.unique(pairs // max(1, len(folders)), return_counts=True)
    shared = sorted((names[person], person) for person in people[counts > 1].tolist())
    if not shared:
        return ()

    def places(person: int) -> str:
        return " and ".join(sorted(folders[pair % len(folders)] for pair in pairs[pairs // len(folders) == person]))

    shown = ", ".join(f"{name} in {places(person)}" for name, person in shared[:3])
    many = "1 identity is" if len(shared) == 1 else f"{len(shared)} identities are"
    what = f"{many} in several sources ({shown}), and each counts as one person"
    return (f"{what}. If they are different people, give them different names, for example in a table",)


def _refuse_without_splits(context: Context, photos: PhotoTable) -> None:
    """Fail early if the recipe splits by source and no photo has a split: the plan would reject all photos."""
    if context.recipe.split.by == "source" and len(photos) and photos.column("split").null_count == len(photos):
        where = ", ".join(spec.path for spec in context.recipe.sources)
        remedy = "Write `split: {by: identity}`, or give each photo a split, for example in a table's column `split`"
        raise SourceError(
            "the recipe has `split: {by: source}`, and no photo of the source has a split", where=where, remedy=remedy
        )


def _analyse(task: analysis.AnalyseTask, context: Context) -> tuple[str, None, dict[str, float]]:
    return "", None, analysis.analyse_task(task, context)
