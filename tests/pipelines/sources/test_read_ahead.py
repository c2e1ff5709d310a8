from __future__ import annotations

import pickle
import threading
import time

import pytest

from faceloom.pipelines.sources.read_ahead import AHEAD, ReadAhead

NAMES = [f"{number}.jpg" for number in range(40)]


def encode(name: str) -> bytes:
    return name.encode()


class Slow:
    """A store whose every answer takes a while."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.names = seconds, list[str]()
        self.now = self.most = 0
        self.lock = threading.Lock()

    def __call__(self, name: str) -> bytes:
        with self.lock:
            self.names.append(name)
            self.now += 1
            self.most = max(self.most, self.now)
        time.sleep(self.seconds)
        with self.lock:
            self.now -= 1
        return encode(name)


def test_what_is_read_does_not_depend_on_what_was_announced() -> None:
    slow = Slow(0.001)
    ahead = ReadAhead(slow)
    assert ahead.read("5.jpg") == b"5.jpg", "nothing was announced"
    ahead.expect(NAMES)
    order = [*NAMES[:10], "other", NAMES[3], *NAMES[20:], *NAMES[10:20]]
    assert [ahead.read(name) for name in order] == [encode(name) for name in order]


def test_each_item_is_read_as_often_as_announced_and_a_few_at_a_time() -> None:
    slow = Slow(0.01)
    ahead = ReadAhead(slow)
    order = ["a", *NAMES, "a", "a"]
    ahead.expect(order)
    time.sleep(0.1)
    assert slow.names == order[:AHEAD], "no more than that is held"
    assert [ahead.read(name) for name in order] == [encode(name) for name in order]
    assert sorted(slow.names) == sorted(order) and 1 < slow.most <= AHEAD


def test_waiting_for_a_network_costs_little_while_photos_are_worked_on() -> None:
    """50 ms of latency and 20 ms of work for each photo: without reading ahead it would take 3.5 times as long."""
    ahead = ReadAhead(Slow(0.05))
    ahead.expect(NAMES)
    waited = 0.0
    for name in NAMES:
        begin = time.perf_counter()
        ahead.read(name)
        waited += time.perf_counter() - begin
        time.sleep(0.02)
    assert waited < 0.05 * len(NAMES) / 3, "one by one it is 2 seconds"


def test_errors_come_with_the_item_that_they_are_of() -> None:
    def read(name: str) -> bytes:
        if name == "2.jpg":
            raise OSError("away")
        return encode(name)

    ahead = ReadAhead(read)
    ahead.expect(NAMES)
    assert ahead.read("1.jpg") == b"1.jpg"
    with pytest.raises(OSError, match="away"):
        ahead.read("2.jpg")
    assert ahead.read("3.jpg") == b"3.jpg"


def test_a_new_announcement_replaces_the_old_one() -> None:
    slow = Slow(0.0)
    ahead = ReadAhead(slow)
    ahead.expect(NAMES)
    ahead.expect(["a", "b"])
    assert (ahead.read("a"), ahead.read("b"), ahead.read(NAMES[0])) == (b"a", b"b", b"0.jpg")


def test_it_pickles_without_threads() -> None:
    ahead = ReadAhead(encode)
    ahead.expect(NAMES)
    assert pickle.loads(pickle.dumps(ahead)).read("a") == b"a"
