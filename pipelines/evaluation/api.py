"""Evaluation as one function call, for notebooks and scripts. The command line runs the same steps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from faceloom.pipelines.evaluation.evaluate import Evaluation, open_methods, run_evaluation
from faceloom.pipelines.evaluation.report import check_report, write_report
from faceloom.pipelines.evaluation.task import prepare_evaluation
from faceloom.pipelines.run.watcher import Progress, watcher_of
from faceloom.schemas.errors import FaceloomError


def evaluate(
    runs: str | Path | Sequence[str | Path],
    *,
    data: str | Path,
    to: str | Path | None = None,
    split: str = "test",
    device: Literal["auto", "cpu", "cuda"] = "auto",
    progress: Progress | None = None,
) -> Evaluation:
    """Compare trained networks with baselines (a black polygon, another template mask) on a split of a build.

    Equal arguments give equal figures on the same machine. Needs the extra `torch`.

        evaluation = evaluate("runs/compact", data="out")
        {row.name: row.figures["ssim"].value for row in evaluation.tables["all people"]}

    Args:
        runs: folder of a training run, or several.
        data: folder of a finished build with masked faces, of the crop size of the networks.
        to: folder for the report: `metrics.json`, `metrics.md`, `sheet.png` and `loss.png`. A report in it is
            replaced; a folder with other files raises an error. None writes nothing.
        split: of the build.
        device: `auto` takes CUDA if there is a usable GPU.
        progress: called with stage, items done and total, as in `faceloom.build`.

    Returns:
        The tables of figures, the sheet, and what was evaluated.

    Raises:
        FaceloomError: an argument, a run, the build or the folder cannot be used (before any work), or a shard or the
            weights are damaged.
    """
    folders = [Path(run) for run in ([runs] if isinstance(runs, str | Path) else runs)]
    if not folders:
        remedy = "Give the folder of at least one training run"
        raise FaceloomError("there is no network to evaluate", where="runs", remedy=remedy)
    task = prepare_evaluation(folders, str(data), split, device=device)
    if to is not None:
        check_report(str(to), task)
    evaluation = run_evaluation(task, open_methods(task), watcher_of(progress))
    if to is not None:
        write_report(evaluation, str(to))
    return evaluation
