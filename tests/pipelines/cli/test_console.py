"""Progress as it is seen: lines in a log, bars on a terminal."""

from __future__ import annotations

import io
import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.progress import Progress, Task, TaskID

from faceloom.pipelines.cli import console as module
from faceloom.pipelines.cli.console import (
    Announcer,
    LiveWatcher,
    PlainWatcher,
    TimeColumn,
    rate_text,
    size_text,
    time_text,
    watcher_for,
)


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


def plain() -> tuple[PlainWatcher, Callable[[], list[str]]]:
    stream = io.StringIO()
    return PlainWatcher(Console(file=stream, width=40)), lambda: stream.getvalue().splitlines()


def test_sizes() -> None:
    assert [size_text(count) for count in (0, 1023, 1024, 1536, 3 * 2**20, 2**40, 5000 * 2**40)] == [
        "0 bytes", "1023 bytes", "1.0 KiB", "1.5 KiB", "3.0 MiB", "1.0 TiB", "5000.0 TiB",
    ]  # fmt: skip


def test_times() -> None:
    assert [time_text(seconds) for seconds in (0, 9.99, 9.996, 59.4, 60, 3599, 3600, 100000)] == [
        "0.00 s", "9.99 s", "10 s", "59 s", "1 min 00 s", "59 min 59 s", "1 h 00 min", "27 h 46 min",
    ]  # fmt: skip


@given(st.floats(0, 1e7))
def test_no_time_reads_sixty(seconds: float) -> None:
    assert not re.search(r"(?<![.\d])60 (s|min)", time_text(seconds))


def test_rates() -> None:
    assert rate_text(0, 5) == rate_text(5, 0) == ""
    assert rate_text(100, 4) == "25" and rate_text(1, 4) == "0.25" and rate_text(5000, 1) == "5,000"


def test_a_stage_gets_one_line(clock: Clock) -> None:
    watcher, lines = plain()
    with watcher:
        watcher.stage("scan", None, "files")
        watcher.done(100)
        watcher.stage("analyse", 12345, "photos")
        for count in range(50):
            watcher.done(count)
    assert lines() == ["scan", "analyse: 12,345 photos"]


def test_a_long_stage_gets_a_line_every_ten_seconds(clock: Clock) -> None:
    watcher, lines = plain()
    watcher.stage("render", 1000, "samples")
    for second in range(1, 26):
        clock.now += 1
        watcher.done(second * 20)
    assert lines()[1:] == [
        "render: 200 of 1,000 samples, 20/s, 40 s left",
        "render: 400 of 1,000 samples, 20/s, 30 s left",
    ]


def test_a_long_stage_without_total_has_no_time_left(clock: Clock) -> None:
    watcher, lines = plain()
    watcher.stage("scan", None, "files")
    clock.now += 20
    watcher.done(3000)
    assert lines()[1:] == ["scan: 3,000 files, 150/s"]


def test_a_scan_shows_after_two_seconds_that_it_lives(clock: Clock) -> None:
    watcher, lines = plain()
    watcher.stage("scan", None, "files")
    for second in range(1, 14):
        clock.now += 1
        watcher.done(second * 100)
    assert lines()[1:] == ["scan: 200 files, 100/s", "scan: 1,200 files, 100/s"]


def test_a_stage_without_progress_has_neither_rate_nor_time_left(clock: Clock) -> None:
    watcher, lines = plain()
    watcher.stage("analyse", 131, "photos")
    clock.now += 10
    watcher.done(0)
    assert lines()[1:] == ["analyse: 0 of 131 photos"]


def drawn(seconds: float, done: int, total: int | None = 131, before: int = 0) -> list[str]:
    """What the columns of a bar show after some seconds."""
    task = Task(TaskID(0), "analyse", total, done, _get_time=lambda: seconds)
    task.fields = {"unit": "photos", "counted": total is not None, "before": before}
    task.start_time = 0.0
    if total == done:
        task.finished_time = seconds
    return [str(column.render(task)) for column in (module._Count(), module._Rate(), TimeColumn())]


def test_a_bar_says_what_its_time_means_and_counts_the_start_into_its_rate() -> None:
    assert drawn(4, 0) == ["131 photos", "", "4 s so far"]
    assert drawn(8, 16) == ["16/131 photos", "2 photos/s", "58 s left"]
    assert drawn(65.5, 131) == ["131/131 photos", "2 photos/s", "took 1 min 06 s"]
    assert drawn(12, 500, None) == ["500 photos", "", "12 s so far"]


def test_no_time_left_is_estimated_from_the_first_items() -> None:
    assert drawn(4.9, 100)[2] == "5 s so far" and drawn(5, 100)[2] == "2 s left"
    assert drawn(19.9, 9)[2] == "20 s so far" and drawn(20, 9)[2] == "4 min 31 s left"


def test_a_line_has_no_time_left_while_few_items_are_done(clock: Clock) -> None:
    watcher, lines = plain()
    watcher.stage("analyse", 101, "photos")
    for count in (1, 2):
        clock.now += 10
        watcher.done(count)
    assert lines()[1:] == ["analyse: 1 of 101 photos, 0.1/s", "analyse: 2 of 101 photos, 0.1/s, 16 min 30 s left"]


def test_what_an_earlier_run_did_is_not_in_the_time_left() -> None:
    assert drawn(10, 110, 120, before=100)[2] == "10 s left"
    assert drawn(10, 109, 120, before=100)[2] == "10 s so far"
    assert drawn(10, 100, 120, before=100)[2] == "10 s so far"


def test_notes_are_printed_as_they_are() -> None:
    watcher, lines = plain()
    watcher.note("[bold] is not markup, and a long line is not broken: " + "x" * 50)
    watcher.note("and \x1b[31mcontrol characters\nare escaped")
    assert lines() == [
        "[bold] is not markup, and a long line is not broken: " + "x" * 50,
        r"and \x1b[31mcontrol characters\x0aare escaped",
    ]


def test_bars_on_a_terminal_only() -> None:
    assert isinstance(watcher_for(Console(file=io.StringIO(), force_terminal=True)), LiveWatcher)
    assert isinstance(watcher_for(Console(file=io.StringIO(), force_terminal=False)), PlainWatcher)


def live() -> str:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=120, color_system=None)
    watcher = LiveWatcher(console)
    with watcher:
        watcher.stage("scan", None, "files")
        watcher.done(400)
        watcher.stage("analyse", 462, "photos")
        watcher.note("a note [with brackets]")
        watcher.done(450)  # a tick or two may be lost
    return stream.getvalue()


def test_bars_end_full_even_if_ticks_were_lost() -> None:
    shown = [line for line in live().splitlines() if "✓" in line][-2:]
    assert "scan" in shown[0] and "400" not in shown[0]
    assert "462/462 photos" in shown[1]


def test_notes_stand_above_the_bars() -> None:
    assert "a note [with brackets]" in live()


def test_a_failed_stage_stays_unfinished() -> None:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=120, color_system=None)
    with pytest.raises(KeyboardInterrupt), LiveWatcher(console) as watcher:
        watcher.stage("render", 10, "samples")
        watcher.done(3)
        raise KeyboardInterrupt
    assert "3/10 samples" in stream.getvalue() and "10/10" not in stream.getvalue()
    assert stream.getvalue().endswith("\x1b[?25h")  # the cursor is back


def test_an_announcer_passes_everything_on_and_speaks_before_its_stage(clock: Clock) -> None:
    watcher, lines = plain()
    announcer = Announcer(watcher, "analyse", "these are the terms")
    announcer.stage("scan", None, "files")
    announcer.stage("analyse", 5, "photos")
    clock.now += 10
    announcer.done(2)
    announcer.stage("render", 9, "samples")
    announcer.note("a note")
    assert lines() == [
        "scan", "these are the terms", "analyse: 5 photos", "analyse: 2 of 5 photos, 0.2/s",
        "render: 9 samples", "a note",
    ]  # fmt: skip


def test_the_time_left_counts_down_while_an_item_is_awaited() -> None:
    column, now = TimeColumn(), [20.0]
    progress = Progress(column, get_time=lambda: now[0])
    number = progress.add_task("train", total=4, counted=True, unit="epochs")
    progress.tasks[0].start_time = 0.0

    def shown(at: float, completed: int) -> str:
        now[0] = at
        progress.update(number, completed=completed)
        return str(column.render(progress.tasks[0]))

    times = [shown(30, 1), shown(60, 1), shown(121, 1)]
    assert times == ["1 min 30 s left", "1 min 00 s left", "2 min 01 s so far"]
