"""Evaluates runs of any training job but the autoencoder."""

from __future__ import annotations

from importlib import import_module

from faceloom.pipelines.evaluation.job_names import EVALUATIONS
from faceloom.pipelines.evaluation.job_report import JobEvaluation
from faceloom.pipelines.evaluation.job_task import JobTask
from faceloom.pipelines.run.watcher import Watcher


def check_job_evaluation(task: JobTask) -> None:
    """Check what only the job knows, before any work.

    Raises:
        FaceloomError: the runs, or the split, do not fit together.
    """
    if check := EVALUATIONS[task.job].check:
        getattr(import_module(f"faceloom.pipelines.evaluation.{task.job}"), check)(task)


def run_job_evaluation(task: JobTask, watcher: Watcher) -> JobEvaluation:
    """Evaluate the runs of a task.

    Raises:
        FaceloomError: a shard or the weights are damaged, or the split cannot be evaluated.
    """
    function = getattr(import_module(f"faceloom.pipelines.evaluation.{task.job}"), EVALUATIONS[task.job].function)
    evaluation: JobEvaluation = function(task, watcher)
    return evaluation
