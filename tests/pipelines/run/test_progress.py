from __future__ import annotations

import pytest

from faceloom.pipelines.run.progress import count_with, counting, tick


def test_ticks_add_up() -> None:
    counts: list[int] = []
    with counting(counts.append):
        tick()
        tick(3)
        tick()
    assert counts == [1, 4, 5]


def test_without_a_listener_ticks_go_nowhere() -> None:
    tick()
    counts: list[int] = []
    with counting(counts.append):
        pass
    tick()
    assert counts == []


def test_the_listener_before_is_back_after_an_error() -> None:
    outer: list[int] = []
    with counting(outer.append):
        with pytest.raises(KeyError), counting(lambda _: None):
            raise KeyError
        tick(2)
    assert outer == [2]


def test_a_process_can_count_in_a_place_of_its_own() -> None:
    counted: list[int] = []
    count_with(counted.append)
    try:
        tick(7)
    finally:
        count_with(None)
    tick(9)
    assert counted == [7]
