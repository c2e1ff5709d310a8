"""Reports of jobs: tables with intervals, and JSON without time and path."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("webdataset")

from faceloom.pipelines.evaluation.figures import row_of
from faceloom.pipelines.evaluation.job_report import (
    Column,
    JobEvaluation,
    heads,
    job_cells,
    job_facts,
    job_json,
    job_markdown,
    write_job_report,
)
from faceloom.pipelines.evaluation.job_task import prepare_job


@pytest.fixture
def evaluation(masked_build: Path) -> JobEvaluation:
    task = prepare_job("editor", [], str(masked_build), "test", device="cpu")
    people = [frozenset({name}) for name in ("a", "a", "b")]
    row = row_of("ours", {"x": [1.0, 2.0, float("nan")]}, people)
    columns = (Column("x", "X ↑", 1), Column("y", "Y", 2))
    return JobEvaluation(task, columns, {"all people": (row,)}, notes={"seen": "nothing"})


def test_cells_are_in_the_order_of_the_columns(evaluation: JobEvaluation) -> None:
    assert heads(evaluation) == ["", "X ↑", "Y", "samples"]
    cells = job_cells(evaluation, evaluation.tables["all people"], intervals=True)
    assert cells == [["ours", "1.5", "–", "3"]]


def test_a_report_without_a_sheet(evaluation: JobEvaluation, tmp_path: Path) -> None:
    write_job_report(evaluation, str(tmp_path))
    assert {path.name for path in tmp_path.iterdir()} == {"metrics.json", "metrics.md"}
    assert json.loads((tmp_path / "metrics.json").read_text()) == job_json(evaluation)
    assert job_json(evaluation)["sheet"] == [] and str(tmp_path) not in (tmp_path / "metrics.json").read_text()
    assert "All people:" in job_markdown(evaluation)
    assert "| ours | 1.5 | – | 3 |" in job_markdown(evaluation)
    assert job_facts(evaluation)["seen"] == "nothing"


def test_figures_of_few_samples_are_marked(evaluation: JobEvaluation) -> None:
    assert evaluation.task.protocol.samples < 20 and "decide nothing" in job_facts(evaluation)["few samples"]
    many = replace(evaluation.task, protocol=replace(evaluation.task.protocol, samples=20, people=5))
    assert "few samples" not in job_facts(replace(evaluation, task=many))
