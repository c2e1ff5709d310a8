"""Report of an evaluation: metrics.json, metrics.md, the sheet and the losses of the training."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from faceloom.models.checkpoint import BEST
from faceloom.models.curve import CURVE
from faceloom.pipelines.evaluation.evaluate import Evaluation
from faceloom.pipelines.evaluation.figures import METRICS, Figure, Row
from faceloom.pipelines.evaluation.job_task import JobTask
from faceloom.pipelines.evaluation.task import Run, Task, stated_protocol
from faceloom.pipelines.evaluation.training_tables import (
    draw_training,
    table_lines,
    training_json,
    training_markdown,
)
from faceloom.pipelines.export.target_folder import refuse_among_photos
from faceloom.pipelines.store.output_folder import refuse_inside
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.counted import counted
from faceloom.schemas.errors import StorageError
from faceloom.schemas.json_text import parse_json
from faceloom.schemas.model_card import DataCard
from faceloom.schemas.plain_values import shown
from faceloom.transforms.sample.encode import encode
from faceloom.transforms.types import Image

FIGURES, TABLE, SHEET = "metrics.json", "metrics.md", "sheet.png"
"""Files of a report, besides the picture of the losses."""
FEW_PEOPLE, FEW_SAMPLES = 5, 20
"""Figures of fewer people, or of fewer samples, decide nothing."""
_MOST_BYTES = 1 << 24
"""A longer file is no report."""


def as_json(evaluation: Evaluation) -> dict[str, Any]:
    """The evaluation without its sheet as JSON values: no path, and no time but the seconds of epochs."""
    return {
        **task_json(evaluation.task),
        "tables": {title: [asdict(row) for row in rows] for title, rows in evaluation.tables.items()},
        "sheet": list(evaluation.task.shown),
    }


def task_json(task: Task | JobTask) -> dict[str, Any]:
    """What JSON states of the task of any evaluation."""
    recipe = task.record.settings
    return {
        "build": {"name": recipe.name, "digest": task.digest, "align": recipe.align.model_dump(mode="json")},
        "protocol": {**asdict(task.protocol), "text": stated_protocol(task.protocol, task.runs)},
        "device": task.device,
        "networks": [network_facts(run, task.digest) for run in task.runs],
        "training": [training_json(run) for run in task.runs],
    }


def network_facts(run: Run, digest: str) -> dict[str, Any]:
    """What JSON states of an evaluated run.

    Args:
        run: one evaluated.
        digest: of the build that it is evaluated on.
    """
    card, parent = run.card, run.card.parent
    return {
        "name": run.name,
        "preset": card.preset,
        "parameters": card.parameters,
        "weights_of_epoch": card.best_epoch,
        "epochs": card.epochs_done,
        "finished": card.finished,
        "trained_on_this_build": run.own_build,
        "trained_on": _data_facts(card.data),
        "parent": None
        if parent is None
        else {
            "name": parent.folder,
            "weights": parent.weights,
            "trained_on_this_build": parent.data.digest == digest,
            "trained_on": _data_facts(parent.data),
        },
        "weights": card.files[BEST].sha256,
        "code": card.code,
    }


def _data_facts(data: DataCard) -> dict[str, Any]:
    return {"name": data.name, "digest": data.digest, "pairs": data.train}


def facts(evaluation: Evaluation) -> dict[str, str]:
    """What was evaluated, for people."""
    return task_facts(evaluation.task, "pair")


def task_facts(task: Task | JobTask, unit: str) -> dict[str, str]:
    """What is evaluated by a task, for people.

    Args:
        task: of any evaluation.
        unit: name of a training sample.
    """
    protocol = task.protocol
    facts = {
        "build": f"{task.record.settings.name}, {task.digest[:16]}",
        "split": f"{protocol.split}: {counted(protocol.samples, 'sample')} of "
        f"{counted(protocol.people, 'person', 'people')}",
        "protocol": f"{stated_protocol(protocol, task.runs)} (split by {protocol.split_by})",
        "device": task.device,
    }
    for run in task.runs:
        card = run.card
        where = _where(card.data, run.own_build)
        used = f"weights of epoch {card.best_epoch:,} of {card.epochs_done:,}" + ("" if card.finished else " so far")
        trained = f"{card.preset}, {card.parameters:,} parameters, {used}, {counted(card.data.train, unit)} of {where}"
        if card.parent is not None:
            data = card.parent.data
            trained += f", started from {shown(card.parent.folder)} of {_where(data, data.digest == task.digest)}"
        facts[f"network {run.name}"] = trained
    if protocol.people < FEW_PEOPLE or protocol.samples < FEW_SAMPLES:
        few = f"fewer than {FEW_PEOPLE} people or {FEW_SAMPLES} samples"
        facts["few samples"] = f"the figures decide nothing, since they are of {few}; the order of rows may be chance"
    return facts


def _where(data: DataCard, own_build: bool) -> str:
    return "this build" if own_build else f"another build, {data.name}: the protocol does not cover it"


def cells(rows: Sequence[Row], *, intervals: bool) -> list[list[str]]:
    """Cells of a table: name, figures, samples.

    Args:
        intervals: whether half the 95 % interval follows each figure.
    """
    return [[row.name, *_figures(row, intervals), _count(row)] for row in rows]


def _figures(row: Row, intervals: bool) -> list[str]:
    return [figure_text(row.figures[metric.name], metric.digits, intervals) for metric in METRICS]


def figure_text(figure: Figure, digits: int, interval: bool) -> str:
    """A figure as text, with half the width of its interval if requested and known.

    >>> figure_text(Figure(0.5, 0.4, 0.7), 2, True), figure_text(Figure(None, None, None), 2, True)
    ('0.50 ± 0.15', '–')
    """
    if figure.value is None:
        return "–"
    text = f"{figure.value:.{digits}f}"
    if not interval or figure.low is None or figure.high is None:
        return text
    return f"{text} ± {(figure.high - figure.low) / 2:.{digits}f}"


def _count(row: Row) -> str:
    return f"{row.samples:,}" + (f" (not {row.missing:,})" if row.missing else "")


HEADS = ("", *(metric.head for metric in METRICS), "samples")
"""Heads of the table."""


def markdown(evaluation: Evaluation) -> str:
    """Facts, tables and training as Markdown."""
    lines = [f"- {name}: {text}" for name, text in facts(evaluation).items()]
    for title, rows in evaluation.tables.items():
        lines += ["", f"{title.capitalize()}:", "", *table_lines(HEADS, cells(rows, intervals=True))]
    return "\n".join([*lines, *training_markdown(evaluation.task.runs)]) + "\n"


def check_report(folder: str, task: Task | JobTask) -> None:
    """Check that a report can be written to a folder: it is empty, new or holds a report. Writes nothing.

    Raises:
        FaceloomError: the folder is a file, holds other files, or lies among the photos of the build.
    """
    target = Storage(folder)
    target.check_folder()
    refuse_inside(folder, Storage(task.out))
    refuse_among_photos(target, Storage(task.out), task.record)
    root = Path(folder)
    there = sorted(path.name for path in root.iterdir() if ".partial-" not in path.name) if root.is_dir() else []
    foreign = set(there) - {FIGURES, TABLE, SHEET, CURVE}
    if foreign or (there and not _is_report(target)):
        remedy = "Choose a new or an empty folder, or the folder of a report, which is replaced"
        names = ", ".join(sorted(foreign)[:3] or there[:3])
        raise StorageError("the folder holds files that are no report of faceloom", where=folder, value=names,
                           remedy=remedy)  # fmt: skip


def _is_report(target: Storage) -> bool:
    """Whether a folder holds the figures of a report, which are written first. Other tools use that file name too."""
    try:
        plain = parse_json(target.read_bytes(FIGURES, _MOST_BYTES), _MOST_BYTES)
    except (StorageError, ValueError):
        return False
    return isinstance(plain, dict) and {"build", "protocol", "networks", "tables"} <= plain.keys()


def write_report(evaluation: Evaluation, folder: str) -> None:
    """Write the files into a folder, which is created if necessary; each file is written atomically.

    Raises:
        StorageError: they cannot be written.
    """
    write_files(as_json(evaluation), markdown(evaluation), evaluation.sheet, evaluation.task.runs, folder)


def write_files(plain: dict[str, Any], table: str, sheet: Image | None, runs: Sequence[Run], folder: str) -> None:
    """Write the files of a report, and delete pictures of an older one that this one does not have.

    Raises:
        StorageError: they cannot be written.
    """
    text = json.dumps(plain, indent=1, ensure_ascii=False) + "\n"
    # The figures come first: they identify the folder of a stopped evaluation as a report.
    files = {FIGURES: text.encode(), TABLE: table.encode()}
    if sheet is not None:
        files[SHEET] = encode(sheet, "png")
    if (curve := draw_training(runs)) is not None:
        files[CURVE] = curve
    storage = Storage(folder)
    for name, data in files.items():
        with storage.write(name) as stream:
            stream.write(data)
    for name in {SHEET, CURVE} - files.keys():
        storage.remove(name)
