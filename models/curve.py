"""The losses of a run as a table and as a curve, as in figure 6 of Lee 2022."""

from __future__ import annotations

import csv
import io
import math
import re
import warnings
from collections.abc import Sequence
from itertools import islice, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from faceloom.models.checkpoint import write_file
from faceloom.models.weights_file import AGAIN
from faceloom.schemas.errors import CheckpointError
from faceloom.schemas.regular_files import read_regular_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from faceloom.models.training import EpochLoss

TABLE, CURVE = "loss.csv", "loss.png"
"""Further files of a run."""
MOST_TABLE = 4 * 2**20
"""Bytes of a table; ten thousand epochs of a job with many figures."""
_HEADS = ["epoch", "train", "held_out", "seconds"]
_MOST_FIGURES = 100
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?(e[+-]?[0-9]+)?")
_LARGEST = 1e100
"""A larger number than this is no loss, and could not be drawn."""
_MOST_LINES, _MOST_LETTERS = 20, 24
"""Of a column of the legend, and of a name in it."""


def write_table(folder: Path, losses: Sequence[EpochLoss]) -> None:
    """Write the mean training and held-out loss, the seconds and the job's further figures of each epoch as CSV.

    Raises:
        CheckpointError: the file cannot be written.
    """

    def write(file: Path) -> None:
        with file.open("w", newline="", encoding="utf-8") as stream:
            lines = csv.writer(stream, lineterminator="\n")
            more = sorted({name for loss in losses for name in loss.more})
            lines.writerow([*_HEADS, *more])
            for loss in losses:
                figures = [loss.epoch, loss.train, loss.held_out, round(loss.seconds, 2)]
                lines.writerow([*figures, *(loss.more.get(name, "") for name in more)])

    write_file(folder / TABLE, write)


def read_table(folder: Path, most_rows: int | None = None) -> tuple[EpochLoss, ...]:
    """Read what `write_table` wrote, and check it.

    Args:
        folder: of the run.
        most_rows: epochs to read and check; None for all.

    Raises:
        CheckpointError: the file is missing, too long, or no such table.
    """
    try:
        return parse_table(read_regular_file(folder / TABLE, MOST_TABLE), most_rows)
    except OSError as error:
        what, value = f"the {TABLE} cannot be read", error.strerror or error
        raise CheckpointError(what, where=str(folder), value=value, remedy=AGAIN) from None
    except ValueError as error:
        raise CheckpointError(f"the {TABLE} is damaged: {error}", where=str(folder), remedy=AGAIN) from None


def parse_table(data: bytes, most_rows: int | None = None) -> tuple[EpochLoss, ...]:
    """The epochs of a table, 1, 2, …; losses are finite numbers, seconds are not negative.

    Args:
        data: of the file.
        most_rows: rows to read and check after the first line, which has the heads; None for all.

    Raises:
        ValueError: it is no table of losses. The message is one line, and holds nothing of the table.
    """
    from faceloom.models.training import EpochLoss

    try:
        reader = csv.reader(io.StringIO(data.decode("utf-8"), newline=""), strict=True)
        # A table may have many more rows than the run has epochs, and a row takes long to check.
        lines = list(islice(reader, None if most_rows is None else most_rows + 1))
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8") from None
    except csv.Error:
        raise ValueError("it is not CSV") from None
    heads, rows = (lines or [[]])[0], lines[1:]
    names = heads[len(_HEADS) :]
    fit = heads[: len(_HEADS)] == _HEADS and len(set(heads)) == len(heads) and len(names) <= _MOST_FIGURES
    if not fit or not all(map(_NAME.fullmatch, names)):
        raise ValueError("its first line does not name the columns of losses")
    losses = []
    for epoch, row in enumerate(rows, 1):
        if len(row) != len(heads) or row[0] != str(epoch):
            raise ValueError(f"row {epoch} is not that of epoch {epoch}")
        train, held_out, seconds, *more = (None if text == "" else _number(text, epoch) for text in row[1:])
        if train is None or held_out is None or seconds is None or seconds < 0:
            raise ValueError(f"row {epoch} lacks a loss or its seconds")
        figures = {name: value for name, value in zip(names, more, strict=True) if value is not None}
        losses.append(EpochLoss(epoch, train, held_out, seconds, figures))
    return tuple(losses)


def _number(text: str, epoch: int) -> float:
    value = float(text) if _NUMBER.fullmatch(text) else math.inf
    if abs(value) > _LARGEST:
        raise ValueError(f"row {epoch} holds a figure that is no number")
    return value


def draw_curve(
    folder: Path, losses: Sequence[EpochLoss], best_epoch: int, title: str, starts: Sequence[int] = ()
) -> None:
    """Plot both losses of a run over the epochs as PNG into its folder; the best epoch and new phases are marked.

    Raises:
        CheckpointError: the file cannot be written.
    """
    picture = draw_curves([Curve("", losses, best_epoch, starts)], title)
    write_file(folder / CURVE, lambda file: _write(file, picture))


def _write(file: Path, data: bytes) -> None:
    file.write_bytes(data)


class Curve(NamedTuple):
    """The losses of a run to draw; without a name if it is the only one.

    Attributes:
        starts: epochs that start a new phase, whose losses cannot be compared with those before.
    """

    name: str
    losses: Sequence[EpochLoss]
    best_epoch: int
    starts: Sequence[int] = ()


def draw_curves(curves: Sequence[Curve], title: str) -> bytes:
    """Plot the losses of runs over the epochs as PNG, on a logarithmic scale if all are positive.

    Args:
        curves: at least one. A run without a name has a colour for each loss and a line at its best epoch. Of runs
            with names each has one colour, a solid line for training samples, a dashed one for held-out samples and
            a dot on it at the best epoch. Curves have a gap before a new phase, and a vertical line in it.
        title: of the picture.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

    # Without pyplot: no global state and no search for a display.
    figure = Figure(figsize=(7, 4), dpi=120, layout="constrained")
    axes = FigureCanvasAgg(figure).figure.add_subplot()
    losses = [value for curve in curves for loss in curve.losses for value in (loss.train, loss.held_out)]
    if min(losses) > 0:
        axes.set_yscale("log")
        labels = (1.0, 2.0, 3.0, 5.0, 7.0) if max(losses) < 100 * min(losses) else (1.0,)
        axes.yaxis.set_major_locator(LogLocator(subs=labels))
        axes.yaxis.set_major_formatter(lambda loss, _: f"{loss:g}")
        axes.yaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel="epoch", ylabel="loss")
    axes.set_title(title, parse_math=False)
    axes.grid(visible=True, which="both", alpha=0.25)
    if [curve.name for curve in curves] == [""]:
        _draw_one(axes, curves[0])
    else:
        _draw_all(axes, curves)
    picture = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the font lacks letters of a name, or the legend is large
        figure.savefig(picture, format="png", metadata={"Software": None})
    return picture.getvalue()


def _draw_one(axes: Axes, curve: Curve) -> None:
    epochs, train, held_out = _columns(curve)
    marker = "o" if _has_single(curve) else None
    axes.plot(epochs, train, label="training samples", marker=marker)
    axes.plot(epochs, held_out, label="held-out samples", marker=marker)
    if curve.best_epoch:
        label = f"best: epoch {curve.best_epoch}"
        axes.axvline(curve.best_epoch, color="grey", linewidth=1, linestyle=":", label=label)
    for start in curve.starts:
        label = "next phase" if start == curve.starts[0] else "_"  # matplotlib leaves out such a label
        axes.axvline(start - 0.5, color="grey", linewidth=1, label=label)
    axes.legend()


def _draw_all(axes: Axes, curves: Sequence[Curve]) -> None:
    from matplotlib import colormaps

    colours = colormaps["tab10" if len(curves) <= 10 else "tab20"]
    lines = []
    for number, curve in enumerate(curves):
        epochs, train, held_out = _columns(curve)
        colour, marker = colours(number % colours.N), "." if _has_single(curve) else None
        lines += axes.plot(epochs, train, color=colour, marker=marker)
        best = [epochs.index(curve.best_epoch)] if curve.best_epoch in epochs else []
        axes.plot(epochs, held_out, color=colour, linestyle="--", marker="o", markevery=best)
        for start in curve.starts:
            axes.axvline(start - 0.5, color=colour, linewidth=1, linestyle=":", alpha=0.5)
    columns = -(-len(lines) // _MOST_LINES)
    unnamed = ["name"] * len(lines)
    legend = axes.legend(lines, unnamed, ncols=columns, loc="upper left", bbox_to_anchor=(1, 1), fontsize="small")
    for text, curve in zip(legend.get_texts(), curves, strict=True):
        # Set afterwards: a label that starts with `_` would be left out.
        name = curve.name
        text.set_parse_math(False)
        text.set_text(name if len(name) <= _MOST_LETTERS else f"…{name[1 - _MOST_LETTERS :]}")


def _columns(curve: Curve) -> tuple[list[float], list[float], list[float]]:
    """Epochs and both losses; a point that is no number parts two phases."""
    points: list[tuple[float, float, float]] = []
    for one in curve.losses:
        if one.epoch in curve.starts:
            points.append((one.epoch - 0.5, math.nan, math.nan))
        points.append((one.epoch, one.train, one.held_out))
    epochs, train, held_out = (list(column) for column in zip(*points, strict=True))
    return epochs, train, held_out


def _has_single(curve: Curve) -> bool:
    """Whether a phase has one epoch alone, for which a line shows nothing."""
    return any(end - start == 1 for start, end in pairwise([1, *curve.starts, len(curve.losses) + 1]))
