"""Run tasks: one function for every way to spread work."""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from faceloom.pipelines.run.runners import Dask, Dataflow, DataflowBuild, Do, OnCount, OnNote, Then, Workers
from faceloom.schemas.recipe import Recipe


def run_tasks(
    tasks: Sequence[Any],
    do: Do,
    *,
    workers: Workers,
    stage: str = "tasks",
    then: Then | None = None,
    on_count: OnCount = lambda count: None,
    on_note: OnNote = lambda text: None,
) -> dict[str, float]:
    """Run every task once with `do`, then `then` once for each key. Every runner does the same.

    Args:
        tasks: small values that can be pickled, in order of falling cost if their cost differs.
        do: does one task; returns a key and a value for `then`, and seconds by stage. It must be harmless if repeated,
            and be defined at the top of a module.
        workers: number of processes on this machine, or a cluster. One runs the tasks in this process.
        stage: of the build; lower-case letters.
        then: called with one value of each key, after all tasks with that key. The same holds for it as for `do`.
        on_count: called with the number of items done so far; see `progress.tick`.
        on_note: called with a message for the user.

    Returns:
        Seconds by stage, summed over all tasks.

    Raises:
        FaceloomError: a task raised it, a worker process died, or the cluster is not fit.
        JobPrepared: the job is made, and does not run from here.
    """
    if not tasks:
        return {}
    if isinstance(workers, int):
        from faceloom.pipelines.run.local_run import run_here

        return run_here(tasks, do, workers=workers, then=then, on_count=on_count)
    if isinstance(workers, Dataflow):
        assert isinstance(workers, DataflowBuild), "`shared_folder` comes first"
        from faceloom.pipelines.run.dataflow_run import run_on_dataflow

        return run_on_dataflow(tasks, do, dataflow=workers, stage=stage, then=then, on_count=on_count, on_note=on_note)
    from faceloom.pipelines.run.dask_run import run_on_dask

    return run_on_dask(tasks, do, cluster=workers, then=then, on_count=on_count, on_note=on_note)


def shared_folder(folder: str, workers: Workers) -> tuple[str, Workers]:
    """The output folder as the workers name it, and the workers with it: on other machines they need the whole path.

    Call it once for each build: workers live longer, and forget what they read for another one.
    """
    if isinstance(workers, int):
        return folder, workers
    whole = folder if "://" in folder else os.path.abspath(folder)  # noqa: PTH100
    name = secrets.token_hex(8)
    if isinstance(workers, Dask):
        return whole, replace(workers, folder=whole, build=name)
    given = (workers.project, workers.region, workers.image, workers.options, workers.dry_run)
    return whole, DataflowBuild(*given, folder=whole, build=name)


def check_options(workers: Workers) -> None:
    """Check the options of a runner, before anything is read.

    Raises:
        WorkerError: an option is wrong or missing.
    """
    if isinstance(workers, Dataflow):
        from faceloom.pipelines.run import dataflow_options

        dataflow_options.check_options(workers)


def check_workers(workers: Workers, recipe: Recipe) -> Workers:
    """Check that workers on other machines can be used, before any work; returns them with what the recipe needs.

    Raises:
        WorkerError: a cluster cannot be reached, its versions differ from those of this process, or a job cannot be
            made with these options.
        RecipeError: the workers cannot reach a source or the output.
    """
    if isinstance(workers, Dask):
        from faceloom.pipelines.run.dask_run import check_cluster

        check_cluster(workers)
    if isinstance(workers, Dataflow):
        assert isinstance(workers, DataflowBuild), "`shared_folder` comes first"
        from faceloom.pipelines.run.dataflow_options import check_dataflow

        return check_dataflow(workers, recipe)
    return workers
