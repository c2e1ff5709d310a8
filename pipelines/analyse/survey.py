"""Scan and analyse: from sources to photos, their faces, and what was rejected."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial

from faceloom.pipelines.analyse import face_table
from faceloom.pipelines.analyse import photo_task as analysis
from faceloom.pipelines.analyse.aligned_check import unaligned_sources
from faceloom.pipelines.analyse.unseen_photos import refuse_unseen
from faceloom.pipelines.context import Context
from faceloom.pipelines.run.run_tasks import run_tasks
from faceloom.pipelines.run.runners import Workers, here
from faceloom.pipelines.run.watcher import Watcher
from faceloom.pipelines.sources.registry import kind_of
from faceloom.pipelines.sources.source import notices_of_scan
from faceloom.schemas.errors import SourceError
from faceloom.schemas.faces import AnalysedPhoto
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

    photos: tuple[Photo, ...]
    rejects: tuple[Reject, ...]
    analysed: Mapping[str, AnalysedPhoto]
    analysed_now: int
    seconds: Mapping[str, float]
    wall: Mapping[str, float]
    warnings: tuple[str, ...] = ()


def survey(context: Context, *, workers: Workers, watcher: Watcher) -> Survey:
    """List all sources, and analyse the photos that are not in the face table.

    Raises:
        SourceError: a source cannot be listed, or the recipe divides by its splits and it has none.
        ModelFileError: the landmark model is missing.
        StorageError: the face table cannot be read or written.
    """
    begin = time.perf_counter()
    watcher.stage("scan", None, "files")
    photos: list[Photo] = []
    rejects: list[Reject] = []
    notices: list[str] = []
    labelled = context.recipe.guide is not None
    for spec in context.recipe.sources:
        source, before = context.source(spec.source_name), len(photos)
        for row in source.scan():
            if isinstance(row, Photo) and row.labels and not labelled:
                row = replace(row, labels="")  # the recipe does not need them, so they are not read
            (photos if isinstance(row, Photo) else rejects).append(row)  # type: ignore[arg-type]
            if not (len(photos) + len(rejects)) % 100:
                watcher.done(len(photos) + len(rejects))
        watcher.note(source_summary(spec.source_name, kind_of(source), photos[before:]))
        notices += notices_of_scan(source)
    if not photos and not rejects:
        where, remedy = ", ".join(spec.path for spec in context.recipe.sources), "Check the path, or the table's rows"
        raise SourceError("the source holds no files", where=where, remedy=remedy)
    _refuse_without_splits(context, photos)
    scanned = time.perf_counter()
    analyser = analysis.analyser_id(context.recipe.faces)
    files = face_table.face_files(context.storage, analyser)
    analysed = face_table.load_analysed(context.storage, files, photos)
    table = digest(files) if files else ""
    tasks = analysis.tasks_for(photos, analysed, analyser, context.recipe.faces.max_pixels, table)
    new = sum(len(task.photos) for task in tasks)
    seconds: dict[str, float] = {}
    if tasks:
        watcher.stage("analyse", new, "photos")
        seconds = run_tasks(tasks, partial(_analyse, context=context), workers=workers, on_count=watcher.done)
        if not here(workers):
            refuse_unseen(context, [task.path for task in tasks])
        analysed |= face_table.load_analysed(context.storage, (task.path for task in tasks), photos)
    warnings = (*notices, *namesakes(photos), *unaligned_sources(context, photos, analysed))
    for warning in warnings:
        watcher.note(f"Warning: {warning}")
    wall = {"scan": scanned - begin, "analyse": time.perf_counter() - scanned}
    return Survey(tuple(photos), tuple(rejects), analysed, new, seconds, wall, warnings)


def source_summary(name: str, kind: str, photos: list[Photo]) -> str:
    """One line about a source, so that users see a wrong kind, such as folders of datasets taken for people."""
    people = {photo.identity for photo in photos} - {None}
    named = f"{len(people):,} {'person' if len(people) == 1 else 'people'}" if people else "no identities"
    return f"source {name}, kind `{kind}`: {len(photos):,} photos, {named}"


def namesakes(photos: Iterable[Photo]) -> tuple[str, ...]:
    """Warn if several sources have the same identity: it counts as one person."""
    sources: dict[str, set[str]] = {}
    for photo in photos:
        if photo.identity is not None:
            sources.setdefault(photo.identity, set()).add(photo.source)
    shared = sorted(identity for identity, places in sources.items() if len(places) > 1)
    if not shared:
        return ()
    shown = ", ".join(f"{identity} in {' and '.join(sorted(sources[identity]))}" for identity in shared[:3])
    many = "1 identity is" if len(shared) == 1 else f"{len(shared)} identities are"
    what = f"{many} in several sources ({shown}), and each counts as one person"
    return (f"{what}. If they are different people, give them different names, for example in a table",)


def _refuse_without_splits(context: Context, photos: list[Photo]) -> None:
    """Fail early if the recipe splits by source and no photo has a split: the plan would reject all photos."""
    if context.recipe.split.by == "source" and photos and all(photo.split is None for photo in photos):
        where = ", ".join(spec.path for spec in context.recipe.sources)
        remedy = "Write `split: {by: identity}`, or give each photo a split, for example in a table's column `split`"
        raise SourceError(
            "the recipe has `split: {by: source}`, and no photo of the source has a split", where=where, remedy=remedy
        )


def _analyse(task: analysis.AnalyseTask, context: Context) -> tuple[str, None, dict[str, float]]:
    return "", None, analysis.analyse_task(task, context)
