"""The result of evaluating runs of a training job, as tables, JSON and a sheet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from faceloom.pipelines.evaluation.figures import Row
from faceloom.pipelines.evaluation.job_task import JobTask
from faceloom.pipelines.evaluation.report import figure_text, task_facts, task_json, write_files
from faceloom.pipelines.evaluation.training_tables import table_lines, training_markdown
from faceloom.transforms.types import Image


@dataclass(frozen=True)
class Column:
    """A column of the tables: name in JSON, head in tables (an arrow shows the better direction), digits."""

    name: str
    head: str
    digits: int


@dataclass(frozen=True, eq=False)
class JobEvaluation:
    """The result of an evaluation.

    Attributes:
        columns: of all tables.
        tables: one row per method, by title.
        sheet: pictures of some samples, uint8 (H, W, 3), RGB; None if the job makes no pictures.
        notes: further facts, by name.
    """

    task: JobTask
    columns: tuple[Column, ...]
    tables: Mapping[str, tuple[Row, ...]]
    sheet: Image | None = None
    notes: Mapping[str, str] = field(default_factory=dict)


def job_json(evaluation: JobEvaluation) -> dict[str, Any]:
    """The evaluation without its sheet as JSON values: no path, and no time but the seconds of epochs."""
    task = evaluation.task
    return {
        "job": task.job,
        **task_json(task),
        "notes": dict(evaluation.notes),
        "tables": {title: [asdict(row) for row in rows] for title, rows in evaluation.tables.items()},
        "sheet": list(task.shown) if evaluation.sheet is not None else [],
    }


def job_facts(evaluation: JobEvaluation) -> dict[str, str]:
    """What was evaluated, for people."""
    return task_facts(evaluation.task, "sample") | dict(evaluation.notes)


def heads(evaluation: JobEvaluation) -> list[str]:
    """Heads of the tables."""
    return ["", *(column.head for column in evaluation.columns), "samples"]


def job_cells(evaluation: JobEvaluation, rows: tuple[Row, ...], *, intervals: bool) -> list[list[str]]:
    """Cells of a table: name, figures (with half of the 95 % interval if requested), samples."""
    return [
        [
            row.name,
            *(figure_text(row.figures[one.name], one.digits, intervals) if one.name in row.figures else "–"
              for one in evaluation.columns),
            f"{row.samples:,}",
        ]
        for row in rows
    ]  # fmt: skip


def job_markdown(evaluation: JobEvaluation) -> str:
    """Facts, tables and training as Markdown."""
    lines = [f"- {name}: {text}" for name, text in job_facts(evaluation).items()]
    for title, rows in evaluation.tables.items():
        cells = job_cells(evaluation, rows, intervals=True)
        lines += ["", f"{title.capitalize()}:", "", *table_lines(heads(evaluation), cells)]
    return "\n".join([*lines, *training_markdown(evaluation.task.runs)]) + "\n"


def write_job_report(evaluation: JobEvaluation, folder: str) -> None:
    """Write metrics.json, metrics.md and, if there are any, sheet.png and loss.png into a folder of a report.

    Args:
        evaluation: its result.
        folder: one that `check_report` has accepted.

    Raises:
        StorageError: they cannot be written.
    """
    write_files(job_json(evaluation), job_markdown(evaluation), evaluation.sheet, evaluation.task.runs, folder)
