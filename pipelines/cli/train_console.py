"""Progress of a training run: a bar with the losses on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

from faceloom.pipelines.cli.console import PLAIN_SECONDS, TimeColumn, seconds_left, time_text
from faceloom.schemas.counted import counted

if TYPE_CHECKING:
    from faceloom.models.training import EpochLoss


class TrainingProgress:
    """Shows epochs, losses and the time left. A context manager.

    First a line states that the data is read. On a terminal a bar follows; elsewhere a line at the start, one every ten
    seconds, and one for the last epoch.
    """

    def __init__(self, console: Console, epochs: int) -> None:
        self._console, self._epochs = console, epochs
        self._begin = self._told = time.monotonic()
        self._done = 0
        live = console.is_terminal and not console.is_dumb_terminal
        self._bar = _bar(console) if live else None

    def start(self, done: int) -> None:
        """Start after `done` epochs."""
        self._done = done
        self._begin = self._told = time.monotonic()
        if self._bar is not None:
            self._bar.add_task("train", total=self._epochs, completed=done, before=done, losses="")
        else:
            self._line(f"train: {counted(self._epochs, 'epoch')}" + (f", going on after {done}" if done else ""))

    def epoch(self, loss: EpochLoss) -> None:
        """Show the losses of an epoch."""
        losses = f"loss {loss.train:.5f}, held out {loss.held_out:.5f}"
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[-1], completed=loss.epoch, losses=losses)
            return
        now = time.monotonic()
        if now - self._told < PLAIN_SECONDS and loss.epoch < self._epochs:
            return
        self._told = now
        left = seconds_left(now - self._begin, loss.epoch - self._done, self._epochs - loss.epoch)
        text = f"train: epoch {loss.epoch} of {self._epochs}, {losses}"
        self._line(text + (f", {time_text(left)} left" if left else ""))

    def _line(self, text: str) -> None:
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def __enter__(self) -> TrainingProgress:
        self._line("train: reading the data")
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()


def _bar(console: Console) -> Progress:
    return Progress(
        SpinnerColumn(finished_text="[green]✓"),
        TextColumn("{task.description:8}"),
        BarColumn(bar_width=28),
        TextColumn("epoch {task.completed:.0f}/{task.total:.0f}"),
        TextColumn("{task.fields[losses]}", style="cyan"),
        TimeColumn(),
        console=console,
    )
