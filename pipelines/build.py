"""A build: scan, analyse, plan and render, then write the record."""

from __future__ import annotations

import contextlib
import gc
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import NoReturn

from faceloom.pipelines.analyse.detectors import check_detector
from faceloom.pipelines.analyse.landmark_models import check_landmarks, landmark_terms
from faceloom.pipelines.analyse.mask_gate import check_gate
from faceloom.pipelines.analyse.photo_task import analyser_id
from faceloom.pipelines.analyse.survey import Survey, survey
from faceloom.pipelines.cards.build_card import write_card
from faceloom.pipelines.cards.detector_misses import count_misses
from faceloom.pipelines.cards.gallery_mark import forget_gallery
from faceloom.pipelines.context import Context
from faceloom.pipelines.plan.choose import choose_faces
from faceloom.pipelines.plan.frames import with_frames
from faceloom.pipelines.plan.plan_morphs import with_morphs
from faceloom.pipelines.plan.reuse import Reuse, find_reuse
from faceloom.pipelines.plan.shard_layout import make_plan
from faceloom.pipelines.render.face_parser import load_parser
from faceloom.pipelines.render.features import check_features
from faceloom.pipelines.render.join_shard import join_shard
from faceloom.pipelines.render.learned_masks import check_checkpoint
from faceloom.pipelines.render.mask_painter import load_painter, mask_digests
from faceloom.pipelines.render.model_uses import model_uses
from faceloom.pipelines.render.part_task import PartTask, ShardTask, render_part
from faceloom.pipelines.render.real_sizes import count_heights
from faceloom.pipelines.render.resources import file_digests
from faceloom.pipelines.run.run_tasks import run_tasks
from faceloom.pipelines.run.runners import Dataflow, DataflowBuild, JobPrepared, Workers, here
from faceloom.pipelines.run.watcher import Watcher
from faceloom.pipelines.run.worker_pool import start_server
from faceloom.pipelines.store.build_record import BuildRecord, make_record, render_rejects, write_record
from faceloom.pipelines.store.checkout import checkout
from faceloom.pipelines.store.failures import failed_error, failed_photos, forget_failed
from faceloom.pipelines.store.kept_list import forget_lists
from faceloom.pipelines.store.last_run import LastRun, write_last_run
from faceloom.pipelines.store.other_recipe import refuse_other_photos
from faceloom.pipelines.store.output_folder import check_output, locked_output
from faceloom.pipelines.store.parquet_tables import write_rejects
from faceloom.pipelines.store.paths import (
    BUILD_RECORD,
    INDEX,
    JOBS,
    NEIGHBOURS,
    REJECTS,
    SHARDS,
    STAGES,
    WORK,
    face_table,
    part_index,
    part_tar,
    planned_faces,
    reject_table,
    shard_index,
    shard_tar,
    work_name,
)
from faceloom.pipelines.store.planned_rows import write_planned
from faceloom.pipelines.store.shard_files import find_damaged, is_finished
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import FaceloomError, RecipeError, StorageError
from faceloom.schemas.masks import AutoencoderMask
from faceloom.schemas.photos import Reject
from faceloom.schemas.plan import Plan, Shard
from faceloom.schemas.recipe import Recipe


@dataclass(frozen=True, slots=True)
class BuildResult:
    """A finished build, and what the run that finished it did.

    Attributes:
        record: what the build holds: samples by split, mask and source, rejects, shards, warnings.
        analysed, rendered: photos and samples that this run worked on; earlier runs did the others.
        reused: samples that this run copied from older shards.
        wall: seconds by stage on the clock.
        work: seconds by kind of work, summed over worker processes.
        out: the output folder.
    """

    record: BuildRecord
    analysed: int
    rendered: int
    reused: int
    wall: Mapping[str, float]
    work: Mapping[str, float]
    out: str = ""


def start_workers(recipe: Recipe, workers: Workers) -> None:
    """Start the server of worker processes, which loads while this process scans. Call it as early as possible."""
    if here(workers) > 1:
        augmentation = ["faceloom.pipelines.preload.augmentation"] if recipe.augment else []
        start_server(["faceloom.pipelines.preload.faces", *augmentation])


def prepare(recipe: Recipe, out: str) -> Context:
    """Check everything that can be checked before any work.

    Raises:
        RecipeError: there are no sources, two have the same name, a mask file cannot be read, or the output folder lies
            in a source.
        StorageError: the output folder holds files that are not from faceloom.
        SourceError: a source does not exist.
        ModelFileError: the landmark model is missing or damaged.
    """
    if not recipe.sources:
        remedy = "Name a source in the recipe, or use --source FOLDER"
        raise RecipeError("no source of photos", where="$.sources", remedy=remedy)
    names = [spec.source_name for spec in recipe.sources]
    for number, name in enumerate(names):
        if name in names[:number]:
            remedy = "Give one a `name` in the recipe, or use --source NAME=PATH"
            raise RecipeError(
                "two sources have the same name", where=f"$.sources[{number}].name", value=name, remedy=remedy
            )
    check_output(recipe, out)
    load_painter(recipe.masks)
    if recipe.output.features:
        check_features(recipe)
    for number, mask in enumerate(recipe.masks):
        if isinstance(mask, AutoencoderMask):
            check_checkpoint(number, mask)
    check_landmarks(recipe.faces)
    check_detector(recipe.faces)
    check_gate(recipe.faces)
    load_parser(recipe)
    analyser_id(recipe.faces)
    # Keys that the user left out stay unset: a table must have the columns that the recipe names, and no others.
    recipe_json = recipe.model_dump_json(exclude_unset=True, by_alias=True)
    heights = count_heights(recipe)
    context = Context(recipe_json, out, mask_digests(recipe), file_digests(recipe, heights), heights)
    for name in names:
        context.source(name)
    return context


def plan_build(context: Context, *, workers: Workers, watcher: Watcher) -> tuple[Survey, Plan]:
    """Scan, analyse and plan. Writes only the face table and, for morphs, the table of neighbours.

    Raises:
        SourceError, StorageError: the run could not finish; what it finished is kept.
    """
    with locked_output(context.storage):
        return _survey_and_plan(context, workers, watcher)


def _survey_and_plan(context: Context, workers: Workers, watcher: Watcher) -> tuple[Survey, Plan]:
    frozen = gc.get_freeze_count()  # by the caller, if above 0
    if not frozen:
        gc.freeze()  # the collector would look at all modules again after some 100,000 photos, a twentieth of the time
    try:
        return _surveyed_and_planned(context, workers, watcher)
    finally:
        if not frozen:
            gc.unfreeze()


def _surveyed_and_planned(context: Context, workers: Workers, watcher: Watcher) -> tuple[Survey, Plan]:
    forget_failed(context.storage)
    found = survey(context, workers=workers, watcher=watcher)
    watcher.stage("plan", None, "faces")
    choice = choose_faces(context.recipe, found.analysed)
    for warning in choice.warnings:
        watcher.note(f"Warning: {warning}")
    found = replace(found, warnings=(*found.warnings, *choice.warnings))
    if context.recipe.align.mode == "frame":
        choice = with_frames(context.recipe, choice)
    if context.recipe.morph is not None:
        begin = time.perf_counter()
        choice, seconds = with_morphs(context, choice, workers=workers, watcher=watcher)
        wall = {**found.wall, "neighbours": time.perf_counter() - begin}
        found = replace(found, wall=wall, seconds=_added(found.seconds, seconds))
    return found, make_plan(context.recipe, choice, context.mask_digests, context.file_digests)


def run_build(
    context: Context, *, workers: Workers, resume: bool, watcher: Watcher, verify: bool = True, replace: bool = True
) -> BuildResult:
    """Build what the recipe asks for and earlier runs have not finished.

    Args:
        context: from `prepare`.
        workers: number of worker processes, or a cluster.
        resume: reuse what earlier runs finished; otherwise build everything again.
        watcher: receives the progress.
        verify: read every byte of shards that earlier runs finished, and render damaged ones again.
        replace: whether a finished build of other photos may be replaced.

    Raises:
        SourceError, StorageError: the run could not finish; what it finished is kept.
        JobPrepared: the runner makes the job of the next stage only.
    """
    storage = context.storage
    if isinstance(workers, Dataflow) and not workers.waits:
        if not resume:
            remedy = "Leave it out: such a run does one stage, and the next one resumes"
            raise FaceloomError("--no-resume with a dry run or a template", remedy=remedy)
        if workers.dry_run:
            _prepare_next_job(context, workers, watcher)
    with locked_output(storage):
        # Tables of neighbours belong to the finished build, so they stay until it is clear that it may be replaced.
        kept = not replace and storage.exists(BUILD_RECORD)
        if not resume:
            faces = face_table(analyser_id(context.recipe.faces))
            forget_lists(storage)
            _forget_folders(storage, (faces,) if kept else (faces, WORK, NEIGHBOURS))
        found, plan = _survey_and_plan(context, workers, watcher)
        if not replace:
            refuse_other_photos(storage, plan.digest, (face.photo_sha256 for face in plan.faces))
        if not resume and kept:
            _forget_folders(storage, (WORK, NEIGHBOURS))
            if context.recipe.morph is not None:
                plan = _survey_and_plan(context, workers, watcher)[1]
        if not resume:
            finished_before = [path(s.name) for s in plan.shards for path in (shard_index, shard_tar)]
            _forget(storage, [BUILD_RECORD, *finished_before])  # the record first: it must never list what is not there
        begin = time.perf_counter()
        if verify:
            _forget_damaged(plan, storage, watcher)
        rendered, reused, seconds = _render(plan, context, workers=workers, resume=resume, watcher=watcher)
        finished = time.perf_counter()
        rejects = [*found.rejects, *plan.rejects, *render_rejects(storage, plan)]
        entries = len(found.photos) + len(found.rejects)
        misses = count_misses(found.photos, rejects)
        models = model_uses(context.recipe)
        record = make_record(
            storage, context.recipe, plan, entries, rejects, found.warnings, misses, models, found.repeated
        )
        _write_rejects(storage, rejects)
        forget_gallery(storage)
        storage.sync_folders(SHARDS, INDEX, REJECTS)
        with _only_informing(watcher):
            write_card(storage, record, landmark_terms(context.recipe.faces))
        write_record(storage, record)
        storage.sync_folders("")
        _forget(storage, storage.list(WORK))
        wall = {**found.wall, "render": finished - begin, "record": time.perf_counter() - finished}
        report = BuildResult(
            record, found.analysed_now, rendered, reused, wall, _added(found.seconds, seconds), storage.root
        )
        if report.analysed or report.rendered:
            with _only_informing(watcher):
                _write_last_run(storage, report, workers)
        return report


def _prepare_next_job(context: Context, workers: Dataflow, watcher: Watcher) -> NoReturn:
    """End with the job of the next stage that has something to do. Writes nothing that a build would not replace."""
    with locked_output(context.storage):
        _, plan = _survey_and_plan(context, workers, watcher)
        missing = [shard for shard in plan.shards if not is_finished(context.storage, shard.name)]
        whole = [(ShardTask(shard.name, tuple(part.digest for part in shard.parts)), shard.parts) for shard in missing]
        _run_render(
            [PartTask(shard, part.digest) for shard, parts in whole for part in parts], context, workers, watcher
        )
    assert isinstance(workers, DataflowBuild), "`shared_folder` comes first"
    raise JobPrepared(None, workers)


def _forget_damaged(plan: Plan, storage: Storage, watcher: Watcher) -> None:
    """Delete the indexes of damaged shards, so that this run renders these shards again."""
    written = [shard.name for shard in plan.shards if storage.exists(shard_index(shard.name))]
    if not written:
        return
    watcher.stage("verify", len(written), "shards")
    for name, fault in find_damaged(storage, written, watcher.done).items():
        watcher.note(f"Warning: the shard {name} is damaged and is rendered again: {fault}")
        storage.remove(shard_index(name))


def _forget_folders(storage: Storage, folders: Iterable[str]) -> None:
    _forget(storage, [path for folder in folders for path in storage.list(folder)])


def _forget(storage: Storage, paths: list[str]) -> None:
    for path in paths:
        storage.remove(path)


def _added(one: Mapping[str, float], other: Mapping[str, float]) -> dict[str, float]:
    return {name: one.get(name, 0) + other.get(name, 0) for name in {**one, **other}}


@dataclass(frozen=True, slots=True)
class RenderTasks:
    """What is to be rendered for a plan.

    Attributes:
        missing: shards that are not finished.
        tasks: the costliest first; their planned faces are written below `work/`.
        samples: that they render.
        reused: samples that they copy from older shards.
    """

    missing: list[Shard]
    tasks: list[PartTask]
    samples: int
    reused: int


def render_tasks(plan: Plan, context: Context, *, resume: bool = True) -> RenderTasks:
    """Find what of a plan is not rendered, write down what the tasks need, and delete work that no task uses.

    Args:
        resume: copy samples that older shards hold; otherwise render them.
    """
    storage = context.storage
    missing = [shard for shard in plan.shards if not is_finished(storage, shard.name)]
    if not missing:
        return RenderTasks([], [], 0, 0)
    _forget(storage, [shard_index(shard.name) for shard in missing])  # damaged or deleted by hand
    reuse = find_reuse(context, missing) if resume else {}
    wanted = {name for shard in missing for name in (shard.name, *(part.digest for part in shard.parts))}
    left = [path for path in storage.list(WORK) if not path.startswith(JOBS)]
    _forget(storage, [path for path in left if work_name(path) not in wanted])
    lying = set(left)  # listed once: to ask for each part takes a request each
    tasks: list[tuple[int, PartTask]] = []
    reused = 0
    for shard in missing:
        task = ShardTask(shard.name, tuple(part.digest for part in shard.parts))
        of_part = [part.digest for part in shard.parts for _ in range(len(part.faces))]
        write_planned(storage, planned_faces(shard.name), shard.faces, of_part)
        for part in shard.parts:
            done = {part_index(part.digest), part_tar(part.digest)} <= lying  # the task looks whether it is whole
            held = Reuse((), 0) if done else reuse.get(part.digest, Reuse((), 0))
            reused += held.samples
            tasks.append((0 if done else part.samples - held.samples, PartTask(task, part.digest, held.shards)))
    tasks.sort(key=lambda item: (-item[0], item[1].part))
    return RenderTasks(missing, [task for _, task in tasks], sum(count for count, _ in tasks), reused)


def _render(
    plan: Plan, context: Context, *, workers: Workers, resume: bool, watcher: Watcher
) -> tuple[int, int, dict[str, float]]:
    """Render what is missing; returns samples rendered and reused, and seconds by kind of work."""
    todo = render_tasks(plan, context, resume=resume)
    if not todo.missing:
        return 0, 0, {}
    watcher.stage("render", todo.samples + todo.reused, "samples")
    seconds = _run_render(todo.tasks, context, workers, watcher)
    _refuse_if_incomplete(context.storage, todo.missing)
    return todo.samples, todo.reused, seconds


def _run_render(tasks: list[PartTask], context: Context, workers: Workers, watcher: Watcher) -> dict[str, float]:
    do, then = partial(_render_part, context=context), partial(join_shard, context=context)
    return run_tasks(tasks, do, workers=workers, stage="render", then=then, on_count=watcher.done, on_note=watcher.note)


def _render_part(task: PartTask, context: Context) -> tuple[str, ShardTask, dict[str, float]]:
    return task.shard.shard, task.shard, render_part(task.part, context, task.older, task.shard.shard)


def _refuse_if_incomplete(storage: Storage, shards: list[Shard]) -> None:
    if all(is_finished(storage, shard.name) for shard in shards):
        return
    raise failed_error(failed_photos(storage), "their shards are not written")


def _write_rejects(storage: Storage, rejects: list[Reject]) -> None:
    for stage in STAGES:
        write_rejects(storage, reject_table(stage), [reject for reject in rejects if reject.stage == stage])


def _write_last_run(storage: Storage, report: BuildResult, workers: Workers) -> None:
    commit, dirty = checkout()
    run = LastRun(
        workers=here(workers),
        photos_analysed=report.analysed,
        samples_rendered=report.rendered,
        samples_reused=report.reused,
        wall_seconds={name: round(value, 3) for name, value in report.wall.items()},
        work_seconds={name: round(value, 3) for name, value in sorted(report.work.items())},
        commit=commit,
        dirty=dirty,
    )
    write_last_run(storage, run)


@contextlib.contextmanager
def _only_informing(watcher: Watcher) -> Iterator[None]:
    """For files that only inform people: a note replaces an error, since the build itself is whole."""
    try:
        yield
    except StorageError as error:
        watcher.note(f"Warning: {error}")
