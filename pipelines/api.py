"""The public functions: plan, build and export. The command line calls the same ones in the same order."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from faceloom.pipelines.build import BuildResult, plan_build, prepare, run_build, start_workers
from faceloom.pipelines.context import Context
from faceloom.pipelines.export import export_samples as samples
from faceloom.pipelines.export.export_options import ExportOptions
from faceloom.pipelines.export.export_samples import Exported
from faceloom.pipelines.export.target_folder import check_target, mark_target
from faceloom.pipelines.preview import Preview, preview
from faceloom.pipelines.recipe.load import load_recipe
from faceloom.pipelines.run.run_tasks import check_options, check_workers, shared_folder
from faceloom.pipelines.run.runners import Workers
from faceloom.pipelines.run.watcher import Progress, Watcher, watcher_of
from faceloom.pipelines.run.worker_pool import processors
from faceloom.pipelines.store.build_record import BuildRecord, read_record
from faceloom.pipelines.store.other_recipe import refuse_other_recipe
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import RecipeError
from faceloom.schemas.photos import Reject
from faceloom.schemas.recipe import Recipe
from faceloom.schemas.source_spec import SourceSpec
from faceloom.schemas.urls import url_of

Source = str | Path | SourceSpec
Sources = Source | Sequence[Source] | Mapping[str, str | Path]


@dataclass(frozen=True, slots=True)
class CheckedBuild:
    """A build whose recipe, sources and output folder are checked. No work is done yet."""

    context: Context
    workers: Workers


@dataclass(frozen=True, slots=True)
class CheckedExport:
    """An export whose build, target, layout and split are checked. Nothing is written yet."""

    storage: Storage
    record: BuildRecord
    target: Storage
    layout: samples.Format
    options: ExportOptions


def build(
    recipe: Recipe | str | Path,
    sources: Sources | None = None,
    *,
    out: str | Path,
    workers: Workers | None = None,
    resume: bool = True,
    verify: bool = True,
    replace: bool = False,
    progress: Progress | None = None,
) -> BuildResult:
    """Build a set: photos in, shards of samples out.

    A build that was interrupted resumes where it stopped; a finished build is left as it is. Samples that do not change
    are copied from the shards of earlier builds in the same folder. Photos are analysed with
    the landmark model that ships with faceloom, whose licence excludes commercial use, unless the recipe names another.

    Args:
        recipe: a recipe, the path of a YAML file, or the name of a recipe that ships with faceloom.
        sources: a folder, table, tar shard or .rec file, a list of them, or a mapping from source names to them.
            Replaces the sources of the recipe.
        out: the output folder. It is created if missing.
        workers: number of worker processes on this machine; default: number of processors. Or a `Dask` cluster,
            or `Dataflow`. Does not change the result.
        resume: reuse what earlier runs finished; otherwise build everything again.
        verify: read every byte of shards that earlier runs finished, and render damaged ones again.
        replace: replace a finished build of another recipe or of other sources; otherwise such a folder is refused.
        progress: called with stage, items done and total while the build runs.

    Returns:
        What the build holds, and what this run did.

    Raises:
        RecipeError: the recipe is wrong.
        SourceError: a source does not exist or cannot be listed.
        StorageError: the output cannot be written; what was finished is kept. Or the folder holds the build of another
            recipe.
        ModelFileError: the landmark model is missing.
        WorkerError: a worker process died, or the cluster cannot be used.
    """
    checked = check_build(recipe, sources, out=out, workers=workers, replace=replace)
    watcher = watcher_of(progress)
    return run_build(
        checked.context, workers=checked.workers, resume=resume, verify=verify, replace=replace, watcher=watcher
    )


def plan(
    recipe: Recipe | str | Path,
    sources: Sources | None = None,
    *,
    out: str | Path,
    workers: Workers | None = None,
    progress: Progress | None = None,
) -> Preview:
    """Count what `build` would make with the same arguments. Photos are analysed and the result is kept; see `build`.

    Returns:
        Photos, faces, samples, bytes and rejects, and how much of it is there already.

    Raises:
        RecipeError, SourceError, StorageError, ModelFileError, WorkerError: as in `build`.
    """
    return run_plan(check_build(recipe, sources, out=out, workers=workers), watcher_of(progress))[0]


def export(
    out: str | Path,
    to: str | Path,
    *,
    split: str | None = None,
    layout: Literal["folder", "imagefolder", "recordio"] = "folder",
    pictures: Sequence[str] = (),
    mix: float | None = None,
    names: Literal["key", "source"] = "key",
    labels: str | None = None,
    morphs: bool | None = None,
    limit: int | None = None,
    progress: Progress | None = None,
) -> Exported:
    """Write the samples of a build as plain files, as an image folder or as MXNet records, checked against the index.

    Args:
        out: folder of the build.
        to: target folder, or its URL in an object store. It is created if missing, and holds one build only.
        split: export this split only.
        layout: `folder` for plain files, `imagefolder` for one picture per sample in the folder of its person,
            `recordio` for records of one picture each.
        pictures: for `imagefolder` one and for `recordio` one or more pictures to export; default: `masked`, or `face`
            where there is no mask.
        mix: for `recordio` with two pictures, the share of each person's records that hold the second one; otherwise
            each sample gives both.
        names: for `imagefolder`, name files after the sample's key, or after the photo in its source.
        labels: for `recordio`, `source` to keep labels, `renumber` to count from 0 in each split, or the path of a CSV
            table with the columns `label` and `identity`. Default: labels that come from a .rec file are kept.
        morphs: whether to export morphs; default: in plain files only.
        limit: export this many samples at most.
        progress: called with stage, items done and total.

    Returns:
        Samples written, skipped and left out.

    Raises:
        StorageError: there is no finished build, a shard is damaged, or the target cannot be written.
        FaceloomError: the build has no such split or picture, or the target holds something else.
    """
    options = ExportOptions(layout, split, morphs, tuple(pictures), mix, names, labels)
    return run_export(check_export(*open_build(out), to, options), limit=limit, watcher=watcher_of(progress))


def check_build(
    recipe: Recipe | str | Path,
    sources: Sources | None = None,
    *,
    out: str | Path,
    workers: Workers | None = None,
    replace: bool = True,
) -> CheckedBuild:
    """Check everything that can be checked before any work, and start the server of worker processes.

    The output folder and the cluster, if there is one, get to know each other: its workers need the whole path.
    """
    Storage(str(out))
    loaded = recipe if isinstance(recipe, Recipe) else load_recipe(recipe)
    if sources is not None:
        loaded = loaded.model_copy(update={"sources": source_specs(sources)})
    if workers is None:
        workers = processors()
    if isinstance(workers, int) and workers < 1:
        raise RecipeError("the number of worker processes is at least 1", where="workers", value=workers)
    check_options(workers)
    folder, workers = shared_folder(str(out), workers)
    start_workers(loaded, workers)
    try:
        context = prepare(loaded, folder)
        if not replace:
            refuse_other_recipe(context.storage, loaded)
        return CheckedBuild(context, check_workers(workers, context.recipe))
    except RecipeError as error:
        file = "" if isinstance(recipe, Recipe) or not error.where.startswith("$") else f"{recipe}: "
        where = f"{file}{error.where}"
        raise RecipeError(error.what, where=where, value=error.value, remedy=error.remedy) from None


def run_plan(checked: CheckedBuild, watcher: Watcher) -> tuple[Preview, list[Reject]]:
    """Plan a checked build; returns what it would make, and the rejects."""
    context = checked.context
    survey, planned = plan_build(context, workers=checked.workers, watcher=watcher)
    found = preview(context, survey, planned)
    return found, [*survey.rejects, *planned.rejects]


def open_build(out: str | Path) -> tuple[Storage, BuildRecord]:
    """The folder and the record of a finished build."""
    storage = Storage(str(out))
    return storage, read_record(storage)


def check_export(storage: Storage, record: BuildRecord, to: str | Path, options: ExportOptions) -> CheckedExport:
    """Check an export before anything is written."""
    target = Storage(str(to))
    samples.check_split(record, options.split)
    samples.check_pictures(storage, record, options.pictures)
    check_target(target, storage, record, options.description)
    return CheckedExport(storage, record, target, samples.open_format(storage, record, target, options), options)


def run_export(checked: CheckedExport, *, limit: int | None, watcher: Watcher) -> Exported:
    """Run a checked export."""
    mark_target(checked.target, checked.record, checked.options.description)
    return samples.export_samples(
        checked.storage,
        checked.record,
        checked.layout,
        split=checked.options.split,
        limit=limit,
        morphs=checked.options.morphs,
        watcher=watcher,
    )


def source_specs(sources: Sources) -> tuple[SourceSpec, ...]:
    """Sources as a recipe holds them; see `build`. Relative paths start at the current folder.

    Raises:
        RecipeError: a path is empty, or a name cannot be one.
    """
    if isinstance(sources, Mapping):
        return tuple(source_spec(path, name) for name, path in sources.items())
    given: Sequence[Source] = [sources] if isinstance(sources, str | Path | SourceSpec) else sources
    return tuple(one if isinstance(one, SourceSpec) else source_spec(one) for one in given)


def source_spec(path: str | Path, name: str | None = None, *, where: str = "sources") -> SourceSpec:
    """One source by its path; `where` is for the message of an error.

    Raises:
        RecipeError: the path is empty, or the name cannot be one.
    """
    value = repr(str(path) if name is None else f"{name}={path}")
    if not str(path):
        remedy = "Give the path of a folder of photos, a table, tar shards or a .rec file"
        raise RecipeError("the source has no path", where=where, value=value, remedy=remedy)
    named = {} if name is None else {"name": name}  # an unset name stays unset
    try:
        given = SourceSpec.model_validate({"path": str(path), **named})
        full = url_of(given.path) or os.path.abspath(Path(given.path).expanduser())  # noqa: PTH100
        return SourceSpec.model_validate({"path": full, **named})
    except ValidationError as error:
        fault = error.errors()[0]
        text, remedy = fault["msg"].removeprefix("Value error, "), "Give a path, or NAME=PATH; ./a=b is a path"
        if fault["type"] == "string_unicode":
            text, remedy = "its name is not UTF-8", "Rename the file, or give a link to it with another name"
        raise RecipeError(text, where=where, value=value[:200], remedy=remedy) from None
