"""Ticks arrive, are few, and never hold up or break the work that they tell of."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time

import pytest

from faceloom.pipelines import progress
from faceloom.pipelines.progress import Listener, Ticker


def wait_for(counts: list[int], total: int) -> None:
    end = time.monotonic() + 5
    while (not counts or counts[-1] < total) and time.monotonic() < end:
        time.sleep(0.01)


def test_every_tick_is_counted_by_the_end() -> None:
    counts: list[int] = []
    with Listener(counts.append) as listener:
        with Ticker(listener.address) as ticker:
            for _ in range(1000):
                ticker.tick()
        wait_for(counts, 1000)
    assert counts[-1] == 1000
    assert counts == sorted(counts)


def test_words_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    sent = []
    now = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    with Ticker("127.0.0.1:9") as ticker:
        monkeypatch.setattr(
            ticker,
            "_socket",
            type("S", (), {"sendto": lambda _, d, to: sent.append(int(d)), "close": lambda _: None})(),
        )
        for _ in range(100):
            now[0] += progress.INTERVAL / 10
            ticker.tick()
    assert sum(sent) == 100
    assert len(sent) <= 12


def test_several_tickers_add_up() -> None:
    counts: list[int] = []

    def work(address: str) -> None:
        with Ticker(address) as ticker:
            for _ in range(50):
                ticker.tick()

    with Listener(counts.append) as listener:
        threads = [threading.Thread(target=work, args=(listener.address,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        wait_for(counts, 200)
    assert counts[-1] == 200


def test_ticks_come_from_other_processes() -> None:
    counts: list[int] = []
    code = (
        "import sys; from faceloom.pipelines.progress import Ticker\nwith Ticker(sys.argv[1]) as t: t.tick(); t.tick()"
    )
    with Listener(counts.append) as listener:
        subprocess.run([sys.executable, "-c", code, listener.address], check=True)
        wait_for(counts, 2)
    assert counts[-1] == 2


def test_the_last_words_are_heard_though_the_listener_stops_at_once() -> None:
    counts: list[int] = []
    with Listener(counts.append) as listener, Ticker(listener.address) as ticker:
        ticker.tick()
    assert counts == [1]


def test_ticks_are_told_though_the_task_fails() -> None:
    counts: list[int] = []
    with Listener(counts.append) as listener:
        with pytest.raises(KeyError), Ticker(listener.address) as ticker:
            ticker.tick()
            raise KeyError
        wait_for(counts, 1)
    assert counts[-1] == 1


def test_without_an_address_nothing_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "socket", lambda *_: pytest.fail("no socket is needed"))
    with Ticker("") as ticker:
        ticker.tick()


def test_nobody_listening_is_no_error() -> None:
    with Listener(lambda _: None) as listener:
        gone = listener.address
    with Ticker(gone) as ticker:
        for _ in range(3):
            ticker._told = 0
            ticker.tick()


def test_nothing_done_nothing_told() -> None:
    counts: list[int] = []
    with Listener(counts.append) as listener, Ticker(listener.address):
        pass
    assert counts == []


def test_a_listener_is_reachable_from_this_machine_only() -> None:
    listener = Listener(lambda _: None)
    assert listener.address.startswith("127.0.0.1:")
    with listener:
        pass
