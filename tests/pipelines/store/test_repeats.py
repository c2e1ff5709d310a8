"""Repeated requests: which errors may pass, and when a request is given up."""

from __future__ import annotations

import math
import time
from functools import partial

import pytest

from faceloom.pipelines.store import object_client, repeats
from faceloom.pipelines.store.object_client import Patience, as_os_error
from faceloom.pipelines.store.repeats import Tries, is_passing, repeated, without_patience


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Waits, which take no time but on the clock of the module."""
    waits: list[float] = []
    monkeypatch.setattr(time, "sleep", waits.append)
    monkeypatch.setattr(time, "monotonic", lambda: sum(waits))
    return waits


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        ("Server returned non-2xx status code: 503 Service Unavailable: ", True),
        ("Server returned non-2xx status code: 429 Too Many Requests: slow down", True),
        ("after 3 retries - status code: 408 Request Timeout", True),
        ("HTTP error: operation timed out", True),
        ("HTTP error: error sending request", True),
        ("HTTP error: error decoding response body", True),
        ("status code: 409 Conflict: <Error><Code>ConditionalRequestConflict</Code></Error>", True),
        ("status code: 409 Conflict: <Error><Code>BlobAlreadyExists</Code></Error>", False),
        ("status code: 501 Not Implemented", False),
        ("GET http://host/somebody.jpg - status code: 403 Forbidden", False),
        ("GET http://host/timeout.jpg - status code: 404 Not Found", False),
        ("status code: 412 Precondition Failed", False),
        ("GET http://host/somebody.jpg - odd", False),
    ],
)
def test_which_errors_of_the_library_may_pass(text: str, passes: bool) -> None:
    assert is_passing(ValueError(text)) == passes


def test_errors_of_others_do_not_pass() -> None:
    assert not is_passing(FileNotFoundError("status code: 503"))


def test_a_store_may_be_away_for_a_minute_and_a_half(clock: list[float]) -> None:
    """Whatever the random waits are; each is at most ten seconds."""

    def call() -> str:
        if sum(clock) < 90:
            raise ValueError("status code: 503 Service Unavailable")
        return "done"

    assert repeated(call) == "done"
    assert 90 <= sum(clock) <= 100 and max(clock) <= 10 and clock[0] <= 0.2 and len(clock) < 25


def test_then_it_is_given_up_and_the_error_states_the_number_of_tries(clock: list[float]) -> None:
    def call() -> None:
        raise ValueError("status code: 503 Service Unavailable")

    with pytest.raises(ValueError) as caught:
        repeated(call)
    assert 90 < sum(clock) <= 100
    assert str(as_os_error(caught.value)).endswith(f"503 Service Unavailable, {len(clock) + 1} tries")


def test_the_time_counts_from_the_first_failure(clock: list[float]) -> None:
    """A request that works for long, such as a list, is repeated too."""
    begins = list[float]()

    def call() -> str:
        begins.append(sum(clock))
        if len(begins) == 1:
            clock.append(100.0)
            raise ValueError("status code: 503 Service Unavailable")
        return "done"

    assert repeated(call) == "done"
    assert len(begins) == 2


def test_a_line_is_logged_if_it_takes_longer(
    clock: list[float], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repeats, "_last_note", [-math.inf])

    def away(seconds: float) -> None:
        if sum(clock) < seconds:
            raise ValueError("status code: 503 Service Unavailable")

    for seconds, lines in ((2.0, 0), (60.0, 2)):
        clock.clear()
        repeated(partial(away, seconds))
        assert len(caplog.messages) == lines
    assert caplog.messages[0] == (
        "Waiting: the store answers 503 Service Unavailable. Requests are repeated for 90 seconds"
    )


def test_the_time_of_the_library_counts_too(clock: list[float]) -> None:
    def call() -> None:
        clock.append(91.0)
        raise ValueError("status code: 503 Service Unavailable")

    with pytest.raises(ValueError):
        repeated(call, in_library=True)
    assert clock == [91.0]


def test_other_errors_are_raised_at_once(clock: list[float]) -> None:
    with pytest.raises(ValueError, match="403"):
        Tries().wait(ValueError("status code: 403 Forbidden"))
    assert not clock


def test_nothing_is_repeated_in_a_block_without_patience(clock: list[float]) -> None:
    asked = list[int]()

    def call() -> None:
        asked.append(1)
        raise ValueError("status code: 503 Service Unavailable")

    with pytest.raises(ValueError), without_patience():
        repeated(call)
    assert len(asked) == 1 and not clock
    with pytest.raises(ValueError):
        repeated(call)
    assert len(asked) > 10


def test_without_patience_there_is_one_try(clock: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(object_client, "PATIENCE", Patience(0.0))
    tries = Tries()
    assert not tries.pause() and not tries.failed
