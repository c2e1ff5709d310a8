"""A task goes to the evaluation of its job."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from faceloom.pipelines.evaluation import classifier, editor
from faceloom.pipelines.evaluation.job_evaluations import check_job_evaluation, run_job_evaluation


def test_the_function_of_the_job_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(editor, "evaluate_editors", lambda task, watcher: (task.job, watcher))
    task: Any = SimpleNamespace(job="editor")
    watcher: Any = object()
    made: Any = run_job_evaluation(task, watcher)
    assert made == ("editor", watcher)


def test_the_check_of_the_job_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    monkeypatch.setattr(classifier, "check_attributes", lambda task: seen.append(task.job))
    for job in ("classifier", "editor"):
        task: Any = SimpleNamespace(job=job)
        check_job_evaluation(task)
    assert seen == ["classifier"]
