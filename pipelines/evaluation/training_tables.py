"""How the evaluated networks were trained: tables and a picture of their losses."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import TYPE_CHECKING, Any

from faceloom.models.curve import Curve, draw_curves
from faceloom.models.presets import preset_from_values
from faceloom.pipelines.evaluation.task import Run
from faceloom.schemas.plain_values import shown

if TYPE_CHECKING:
    from faceloom.models.job import Job
    from faceloom.models.training import EpochLoss

MOST_EPOCHS = 8
"""Rows of the table of a run."""
RUN_HEADS = ("", "epochs", "used", "s/epoch", "train, first", "train, used", "held-out, first", "held-out, used")
"""Heads of the table of all runs."""
_EXPLAINED = (
    "*Used* is the epoch of the weights, *first* the first epoch of its phase, *s/epoch* the median of seconds; the "
    "rest are losses, drawn in loss.png."
)


def table_lines(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A table as lines of Markdown."""
    return ["| " + " | ".join(row) + " |" for row in (heads, ["---"] * len(heads), *rows)]


def shown_epochs(losses: Sequence[EpochLoss], used: int) -> list[EpochLoss]:
    """At most eight epochs in order: the first, the last, that of the weights used, and others at equal distances."""
    last = len(losses)
    if last <= MOST_EPOCHS:
        return list(losses)
    chosen = [1 + round(number * (last - 1) / (MOST_EPOCHS - 1)) for number in range(MOST_EPOCHS)]
    if 1 <= used <= last and used not in chosen:
        nearest = min(range(1, MOST_EPOCHS - 1), key=lambda number: abs(chosen[number] - used))
        chosen[nearest] = used
    return [losses[epoch - 1] for epoch in chosen]


def training_json(run: Run) -> dict[str, Any]:
    """What JSON states of the training of a run; without losses, the reason."""
    card, losses = run.card, run.losses
    parent = card.parent.folder if card.parent else None
    facts = {"name": run.name, "started_from": parent, "epochs": card.epochs_done, "epoch_used": card.best_epoch}
    if not losses:
        return {**facts, "seconds_per_epoch": None, "losses": [], "missing": run.lacks}
    job = _job(run)
    rows = [
        {
            "epoch": one.epoch,
            "phase": _phase(job, one.epoch) if job.starts(len(losses)) else None,
            "train": one.train,
            "held_out": one.held_out,
            "seconds": one.seconds,
            "more": {**one.more},
        }
        for one in shown_epochs(losses, card.best_epoch)
    ]
    return {**facts, "seconds_per_epoch": _seconds(losses), "losses": rows}


def training_markdown(runs: Sequence[Run]) -> list[str]:
    """The section on training, as lines: a table of all runs, then one of each run. Empty without runs."""
    if not runs:
        return []
    lines = ["", "## Training", "", *table_lines(RUN_HEADS, [run_cells(run) for run in runs]), "", _EXPLAINED]
    for run in runs:
        if not run.losses:
            lines += ["", f"{_title(run)}: no losses, {run.lacks}."]
            continue
        names = sorted({name for loss in run.losses for name in loss.more})
        heads, job = ["epoch", "train loss", "held-out loss", *names], _job(run)
        chosen = shown_epochs(run.losses, run.card.best_epoch)
        rows = [_epoch_cells(loss, run, names) for loss in chosen]
        if job.starts(len(run.losses)):
            heads.insert(1, "phase")
            for loss, row in zip(chosen, rows, strict=True):
                row.insert(1, _phase(job, loss.epoch))
        lines += ["", f"{_title(run)}:", "", *table_lines(heads, rows)]
    return lines


def run_cells(run: Run) -> list[str]:
    """Cells of a run in the table of all runs, as `RUN_HEADS`."""
    card, losses = run.card, run.losses
    seconds = f"{_seconds(losses):.1f}" if losses else "–"
    # Losses of two phases are often of different networks, and cannot be compared.
    starts = _job(run).starts(len(losses))
    first = max((start for start in starts if start <= card.best_epoch), default=1)
    pair = [next((one for one in losses if one.epoch == epoch), None) for epoch in (first, card.best_epoch)]
    train = [_text(one.train if one else None) for one in pair]
    held_out = [_text(one.held_out if one else None) for one in pair]
    return [_title(run), f"{card.epochs_done:,}", f"{card.best_epoch:,}", seconds, *train, *held_out]


def draw_training(runs: Sequence[Run]) -> bytes | None:
    """The losses of all runs that have some, as PNG; None if there are none."""
    curves = [
        Curve(run.name, run.losses, run.card.best_epoch, _job(run).starts(len(run.losses)))
        for run in runs
        if run.losses
    ]
    title = "solid: training samples, dashed: held-out samples, dot: epoch used"
    if any(curve.starts for curve in curves):
        title += "\ngap and dotted line: next phase"
    return draw_curves(curves, title) if curves else None


def _job(run: Run) -> Job[Any]:
    from faceloom.models.job import make_job

    return make_job(run.card.job, preset_from_values(run.card.hyper_parameters, job=run.card.job))


def _title(run: Run) -> str:
    """The name of a run, and of the run whose weights it started from."""
    if run.card.parent is None:
        return run.name
    folder = shown(run.card.parent.folder).replace("|", r"\|")  # it would end a cell
    return f"{run.name}, started from {folder}"


def _phase(job: Job[Any], epoch: int) -> str:
    return job.phases[job.phase(epoch)]


def _epoch_cells(loss: EpochLoss, run: Run, names: Sequence[str]) -> list[str]:
    epoch = f"{loss.epoch:,}" + (" (used)" if loss.epoch == run.card.best_epoch else "")
    return [epoch, _text(loss.train), _text(loss.held_out), *(_text(loss.more.get(name)) for name in names)]


def _seconds(losses: Sequence[EpochLoss]) -> float:
    return round(median(loss.seconds for loss in losses), 2)


def _text(value: float | None) -> str:
    """Four digits of a figure, if there is one."""
    return "–" if value is None else f"{value:#.4g}".rstrip(".")
