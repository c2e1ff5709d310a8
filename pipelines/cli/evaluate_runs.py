"""What all commands `faceloom evaluate NAME` do: check, evaluate, write a report, show the tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from faceloom.pipelines.cli.output import FAILED, REFUSED, ending, error_console, say, show_blocks, write_json


@dataclass(frozen=True)
class Steps:
    """The functions of one evaluation.

    Attributes:
        prepare: returns the checked task of folders of runs.
        run: evaluates a task.
        write: writes the report into a folder.
        plain: the evaluation as JSON values.
        summary: what a terminal shows.
    """

    prepare: Callable[[Sequence[Path]], Any]
    run: Callable[[Any, Any], Any]
    write: Callable[[Any, str], None]
    plain: Callable[[Any], dict[str, Any]]
    summary: Callable[[Any], list[Any]]


def check_runs(
    job: str, runs: Sequence[Path], data: str, split: str, folder: str, device: str, files: Mapping[str, Path]
) -> tuple[Steps, Any]:
    """Check an evaluation before any work; returns its steps and its task.

    Raises:
        FaceloomError: the runs, the build or the folder cannot be used.
    """
    from faceloom.pipelines.evaluation.report import check_report

    steps = _autoencoder(data, split, device) if job == "autoencoder" else _job(job, data, split, device, files)
    task = steps.prepare(runs)
    check_report(folder, task)
    return steps, task


def evaluate_runs(
    job: str,
    runs: Sequence[Path],
    data: str,
    split: str,
    folder: str,
    device: str,
    as_json: bool,
    debug: bool,
    files: Mapping[str, Path] | None = None,
) -> None:
    """Evaluate runs of a job, write the report into a folder and print the tables.

    Args:
        job: that the runs trained.
        runs: their folders.
        data: folder of the build.
        split: of the build.
        folder: of the report.
        device: `auto`, `cpu` or `cuda`.
        as_json: print JSON instead of tables.
        debug: print tracebacks.
        files: further runs and folders that the evaluation needs, by the name of their option.
    """
    with ending(REFUSED, as_json, debug):
        steps, task = check_runs(job, runs, data, split, folder, device, files or {})
    with ending(FAILED, as_json, debug):
        from faceloom.pipelines.cli.console import watcher_for

        with watcher_for(error_console()) as watcher:
            evaluation = steps.run(task, watcher)
        steps.write(evaluation, folder)
        if as_json:
            write_json({"to": folder, **steps.plain(evaluation)})
        else:
            show_blocks(steps.summary(evaluation))
            say(f"Report: {folder}")


def _autoencoder(data: str, split: str, device: str) -> Steps:
    from faceloom.pipelines.cli.summary import evaluation_summary
    from faceloom.pipelines.evaluation.evaluate import open_methods, run_evaluation
    from faceloom.pipelines.evaluation.report import as_json, write_report
    from faceloom.pipelines.evaluation.task import prepare_evaluation

    return Steps(
        lambda runs: prepare_evaluation(runs, data, split, device=device),
        lambda task, watcher: run_evaluation(task, open_methods(task), watcher),
        write_report,
        as_json,
        evaluation_summary,
    )


def _job(job: str, data: str, split: str, device: str, files: Mapping[str, Path]) -> Steps:
    from faceloom.pipelines.cli.summary import job_summary
    from faceloom.pipelines.evaluation.job_evaluations import check_job_evaluation, run_job_evaluation
    from faceloom.pipelines.evaluation.job_report import job_json, write_job_report
    from faceloom.pipelines.evaluation.job_task import JobTask, prepare_job

    def prepare(runs: Sequence[Path]) -> JobTask:
        task = prepare_job(job, runs, data, split, device=device, files=files)
        check_job_evaluation(task)
        return task

    return Steps(prepare, run_job_evaluation, write_job_report, job_json, job_summary)
