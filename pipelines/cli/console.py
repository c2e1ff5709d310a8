"""Progress of the command line: bars on a terminal, lines elsewhere."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
)
from rich.text import Text

from faceloom.pipelines.run.watcher import Watcher
from faceloom.schemas.errors import printable

PLAIN_SECONDS = 10.0
"""Seconds between lines of a stage without a terminal; it also prints one when it begins."""
LEAST_SECONDS, FEW_ITEMS, FEW_ITEMS_SECONDS = 5.0, 10, 20.0
"""A stage shows no time left before its fifth second, nor, with fewer than ten items done, before its twentieth."""
SCAN_SECONDS = 2.0
"""The same before the first line of a stage whose total is unknown, which might seem to hang."""


def size_text(count: float) -> str:
    """Format a number of bytes for people.

    >>> size_text(2048), size_text(5 * 2**30)
    ('2.0 KiB', '5.0 GiB')
    """
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} bytes" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def time_text(seconds: float) -> str:
    """Format a number of seconds for people.

    >>> time_text(0.25), time_text(12.3), time_text(125), time_text(7300)
    ('0.25 s', '12 s', '2 min 05 s', '2 h 01 min')
    """
    if seconds < 60:
        return f"{seconds:.2f} s" if seconds < 9.995 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def rate_text(count: float, seconds: float) -> str:
    """Items per second, or an empty text while the rate is unknown."""
    if count <= 0 or seconds <= 0:
        return ""
    rate = count / seconds
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.2g}"


def seconds_left(spent: float, done: float, left: float) -> float | None:
    """Estimate how long the items that are left take; None while too little is done to know, or if none is left.

    >>> seconds_left(20, 40, 10), seconds_left(2, 40, 10), seconds_left(8, 1, 10), seconds_left(20, 40, 0)
    (5.0, None, None, None)
    """
    # Processes start and first items wait: a rate of few items, or of few seconds, is far too low.
    if done <= 0 or left <= 0 or spent < LEAST_SECONDS or (done < FEW_ITEMS and spent < FEW_ITEMS_SECONDS):
        return None
    return spent * left / done


class _Count(ProgressColumn):
    def render(self, task: Task) -> Text:
        if not task.fields["counted"]:
            # A stage without a total reports rounded counts; after its end they would mislead.
            return Text("" if task.finished or not task.completed else f"{task.completed:,.0f} {task.fields['unit']}")
        done = f"{task.completed:,.0f}/" if task.completed else ""
        return Text(f"{done}{task.total:,.0f} {task.fields['unit']}")


class _Rate(ProgressColumn):
    """Items per second since the stage began: the time in which worker processes start counts too."""

    def render(self, task: Task) -> Text:
        rate = rate_text(task.completed, task.elapsed or 0) if task.fields["counted"] else ""
        return Text(f"{rate} {task.fields['unit']}/s" if rate else "", style="cyan")


class TimeColumn(ProgressColumn):
    """How long a stage took, the time left, or, while that is unknown, how long it has been running.

    Of a task's `completed` items, those of its field `before` were done in an earlier run. The time left is estimated
    when an item is done and then counts down: with few items it would grow until the next one is done.
    """

    def __init__(self) -> None:
        super().__init__()
        self._last: dict[int, tuple[float, float]] = {}

    def render(self, task: Task) -> Text:
        spent, done = task.elapsed or 0, task.completed - task.fields.get("before", 0)
        if self._last.get(task.id, (0, 0))[0] != done:
            self._last[task.id] = done, spent
        at = self._last.get(task.id, (0, 0))[1]
        if task.finished:
            return Text(f"took {time_text(spent)}", style="cyan")
        left = None if task.total is None else seconds_left(at, done, task.total - task.completed)
        left = None if left is None else left - (spent - at)
        return Text(f"{_whole(spent)} so far" if left is None or left < 0 else f"{_whole(left)} left", style="cyan")


def _whole(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 9.5 else time_text(seconds)


class LiveWatcher(Watcher):
    """A bar per stage on a terminal, with photos or samples per second and the time left. A context manager."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            SpinnerColumn(finished_text="[green]✓"),
            TextColumn("{task.description:8}"),
            BarColumn(bar_width=28),
            _Count(),
            _Rate(),
            TimeColumn(),
            console=console,
        )
        self._count = 0

    def stage(self, name: str, total: int | None, unit: str) -> None:
        self._finish()
        self._progress.add_task(name, total=total, unit=unit, counted=total is not None)
        self._count = 0

    def done(self, count: int) -> None:
        self._count = count
        if self._progress.task_ids:
            self._progress.update(self._progress.task_ids[-1], completed=count)

    def note(self, text: str) -> None:
        self._progress.console.print(printable(text), highlight=False, markup=False)

    def _finish(self) -> None:
        """Complete the current stage: counts may be lost, and a stage without a total ends with its own count."""
        if self._progress.task_ids:
            number = self._progress.task_ids[-1]
            total = next(task.total for task in self._progress.tasks if task.id == number)
            whole = max(1, self._count) if total is None else total  # 0 of 0 would look like a stage that has not begun
            self._progress.update(number, total=whole, completed=whole)

    def __enter__(self) -> LiveWatcher:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._finish()
        self._progress.stop()


class PlainWatcher(Watcher):
    """Lines instead of bars, for logs: one when a stage begins, and one every ten seconds. A context manager."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._name, self._unit = "", ""
        self._total: int | None = None
        self._begin = self._next_note = time.monotonic()

    def stage(self, name: str, total: int | None, unit: str) -> None:
        self._name, self._total, self._unit = name, total, unit
        self._begin = time.monotonic()
        self._next_note = self._begin + (SCAN_SECONDS if total is None else PLAIN_SECONDS)
        self.note(name if total is None else f"{name}: {total:,} {unit}")

    def done(self, count: int) -> None:
        now = time.monotonic()
        if now < self._next_note:
            return
        self._next_note = now + PLAIN_SECONDS
        spent = now - self._begin
        of = "" if self._total is None else f" of {self._total:,}"
        text = f"{self._name}: {count:,}{of} {self._unit}"
        if rate := rate_text(count, spent):
            text += f", {rate}/s"
        if self._total and (left := seconds_left(spent, count, self._total - count)) is not None:
            text += f", {time_text(left)} left"
        self.note(text)

    def note(self, text: str) -> None:
        self._console.print(printable(text), highlight=False, markup=False, soft_wrap=True)

    def __enter__(self) -> PlainWatcher:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing to close."""


class Announcer(Watcher):
    """Forwards to another watcher, and adds a note before one stage."""

    def __init__(self, to: Watcher, stage: str, text: str) -> None:
        self._to, self._stage, self._text = to, stage, text

    def stage(self, name: str, total: int | None, unit: str) -> None:
        if name == self._stage:
            self._to.note(self._text)
        self._to.stage(name, total, unit)

    def done(self, count: int) -> None:
        self._to.done(count)

    def note(self, text: str) -> None:
        self._to.note(text)


def watcher_for(console: Console) -> LiveWatcher | PlainWatcher:
    """Bars on a terminal, lines elsewhere."""
    return LiveWatcher(console) if console.is_terminal and not console.is_dumb_terminal else PlainWatcher(console)
