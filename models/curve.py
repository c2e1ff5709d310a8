"""The losses of a run as a table and as a curve, as in figure 6 of Lee 2022."""

from __future__ import annotations

import csv
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from faceloom.models.checkpoint import write_file

if TYPE_CHECKING:
    from faceloom.models.training import EpochLoss

TABLE, CURVE = "loss.csv", "loss.png"
"""Further files of a run."""


def write_table(folder: Path, losses: Sequence[EpochLoss]) -> None:
    """Write the mean training and held-out loss, the seconds and the job's further figures of each epoch as CSV.

    Raises:
        CheckpointError: the file cannot be written.
    """

    def write(file: Path) -> None:
        with file.open("w", newline="", encoding="utf-8") as stream:
            lines = csv.writer(stream, lineterminator="\n")
            more = sorted({name for loss in losses for name in loss.more})
            lines.writerow(["epoch", "train", "held_out", "seconds", *more])
            for loss in losses:
                figures = [loss.epoch, loss.train, loss.held_out, round(loss.seconds, 2)]
                lines.writerow([*figures, *(loss.more.get(name, "") for name in more)])

    write_file(folder / TABLE, write)


def draw_curve(folder: Path, losses: Sequence[EpochLoss], best_epoch: int, title: str) -> None:
    """Plot both losses over the epochs as PNG, on a logarithmic scale; the best epoch is marked.

    Raises:
        CheckpointError: the file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    # Without pyplot: no global state and no search for a display.
    figure = Figure(figsize=(7, 4), dpi=120, layout="constrained")
    axes = FigureCanvasAgg(figure).figure.add_subplot()
    epochs = [loss.epoch for loss in losses]
    marker = "o" if len(epochs) == 1 else None
    axes.plot(epochs, [loss.train for loss in losses], label="training samples", marker=marker)
    axes.plot(epochs, [loss.held_out for loss in losses], label="held-out samples", marker=marker)
    if best_epoch:
        axes.axvline(best_epoch, color="grey", linewidth=1, linestyle=":", label=f"best: epoch {best_epoch}")
    if all(loss.train > 0 and loss.held_out > 0 for loss in losses):
        axes.set_yscale("log")
    axes.set(xlabel="epoch", ylabel="loss", title=title)
    axes.grid(visible=True, which="both", alpha=0.25)
    axes.legend()

    def write(file: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # the font lacks letters of the title
            figure.savefig(file, format="png", metadata={"Software": None})

    write_file(folder / CURVE, write)
