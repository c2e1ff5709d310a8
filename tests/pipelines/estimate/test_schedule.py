"""Simulated clusters."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceloom.pipelines.estimate.schedule import NOTHING, Conditions, simulate

CALM = Conditions(machine_spread=0, slow_share=0, losses=0)


@given(st.integers(1, 300), st.floats(0.1, 1000), st.integers(1, 50))
def test_equal_tasks_on_equal_workers_take_whole_rounds(tasks: int, seconds: float, workers: int) -> None:
    found = simulate(tasks, seconds, 0, workers, CALM)
    rounds = -(-tasks // workers)
    assert found.low == pytest.approx(rounds * seconds) and found.high == pytest.approx(found.seconds)
    assert found.wasted == 0 and found.idle == pytest.approx(1 - tasks / (rounds * workers))


def test_no_tasks_take_no_time() -> None:
    assert simulate(0, 5, 1, 4) == NOTHING


@given(st.integers(1, 200), st.floats(0.0, 1.0), st.integers(1, 20), st.integers(0, 9))
def test_no_cluster_is_faster_than_its_work_allows(tasks: int, spread: float, workers: int, seed: int) -> None:
    found = simulate(tasks, 10, spread, workers, seed=seed)
    assert found.low <= found.seconds <= found.high
    assert 0 <= found.wasted < 1 and -1e-9 <= found.idle < 1
    assert found == simulate(tasks, 10, spread, workers, seed=seed)


def test_the_mean_duration_is_the_one_that_was_asked_for() -> None:
    found = simulate(20_000, 10, 0.8, 1, CALM)
    assert found.seconds == pytest.approx(200_000, rel=0.02)


def test_stragglers_and_slow_machines_cost_time() -> None:
    calm = simulate(1000, 10, 0, 100, CALM)
    slow = simulate(1000, 10, 0, 100, Conditions(machine_spread=0, slow_share=0.05, slow_factor=6, losses=0))
    uneven = simulate(1000, 10, 0, 100, Conditions(machine_spread=0.3, slow_share=0, losses=0))
    assert slow.seconds > calm.seconds + 25 and uneven.seconds > 1.05 * calm.seconds
    assert slow.idle > calm.idle


def test_lost_workers_waste_more_with_long_tasks() -> None:
    losing = Conditions(machine_spread=0, slow_share=0, losses=1.0)
    short, long = (simulate(20_000 // size, size, 0, 20, losing) for size in (10, 400))
    assert 0 < short.wasted < 0.005 and short.wasted == pytest.approx(10 / 3600 / 2, rel=0.5)
    assert long.wasted == pytest.approx(400 / 3600 / 2, rel=0.5)
    assert long.seconds > short.seconds


def test_tasks_that_would_never_end_are_refused() -> None:
    with pytest.raises(ValueError, match="do not end"):
        simulate(10, 3600, 0, 2, Conditions(losses=10))
