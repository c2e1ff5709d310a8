"""`faceloom evaluate msagan --grid`: trains the sixteen models that are missing, then evaluates all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from faceloom.pipelines.cli.evaluate_runs import check_runs, evaluate_runs
from faceloom.pipelines.cli.output import FAILED, REFUSED, ending, say


def train_and_evaluate(
    grid: str,
    options: Mapping[str, Any],
    runs: Sequence[Path],
    data: str,
    split: str,
    folder: str,
    device: str,
    as_json: bool,
    debug: bool,
    files: Mapping[str, Path],
) -> None:
    """Train what is missing of a grid, then evaluate it.

    Args:
        grid: folder of the models.
        options: of `check_grid`.
        runs: further runs in the same table.
        data, split, folder, device, as_json, debug, files: as in `evaluate_runs`.
    """
    with ending(REFUSED, as_json, debug):
        from faceloom.pipelines.evaluation.msagan_grid import check_grid, train_grid

        checked = check_grid(grid, data, files["classifier"], device=device, **options)
        check_runs("msagan", runs, data, split, folder, device, files)
    with ending(FAILED, as_json, debug):
        train_grid(checked, lambda name, number: say(f"train: {name}, {number} of {len(checked.runs)}"))
    evaluate_runs("msagan", [*checked.folders, *runs], data, split, folder, device, as_json, debug, files)
