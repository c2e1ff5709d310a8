"""Seconds by stage."""

from __future__ import annotations

import pytest

from faceloom.pipelines.run.stopwatch import Stopwatch


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr("faceloom.pipelines.run.stopwatch.time.perf_counter", lambda: now[0])
    return now


def test_seconds_add_up_by_stage(clock: list[float]) -> None:
    watch = Stopwatch()
    for stage, seconds in (("decode", 2.0), ("paint", 0.5), ("decode", 1.0)):
        with watch.time(stage):
            clock[0] += seconds
        clock[0] += 10
    assert dict(watch.seconds) == {"decode": 3.0, "paint": 0.5}


def test_time_is_counted_when_the_block_fails(clock: list[float]) -> None:
    watch = Stopwatch()
    with pytest.raises(KeyError), watch.time("read"):
        clock[0] += 4
        raise KeyError
    assert watch.seconds["read"] == 4


def test_a_stage_inside_another_counts_for_both(clock: list[float]) -> None:
    watch = Stopwatch()
    with watch.time("outer"):
        clock[0] += 1
        with watch.time("inner"):
            clock[0] += 2
    assert dict(watch.seconds) == {"inner": 2, "outer": 3}


def test_each_watch_has_its_own_time() -> None:
    one, other = Stopwatch(), Stopwatch()
    with one.time("a"):
        pass
    assert one.seconds["a"] >= 0
    assert not other.seconds
