from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from faceloom.schemas.errors import FaceloomError, PhotoError, RecipeError, StorageError, WorkerError
from faceloom.schemas.photos import Reject
from tests.fuzz.base import Kind, check_nothing_escaped, run_case
from tests.fuzz.rules import ROOT, Fault, Outcomes, _Clock, known_codes, limits
from tests.patience import on_busy_machine


def outcomes_of(call: Any) -> Outcomes:
    outcomes = Outcomes()
    outcomes.attempt("step", call)
    return outcomes


def raising(error: BaseException) -> Any:
    def call() -> None:
        raise error

    return call


def test_a_result_is_noted() -> None:
    outcomes = Outcomes()
    assert outcomes.attempt("step", lambda: 7) == 7
    assert outcomes.seen == ["step: ok"] and not outcomes.faults


@pytest.mark.parametrize(
    "error",
    [
        StorageError("is damaged", where="index/a.parquet", remedy="Remove it"),
        RecipeError("a number at least 1", where="$.per_face", value=0),
        StorageError("is no file", where="line\nbreak", remedy="Remove it"),
        PhotoError("truncated", "the end is missing"),
    ],
)
def test_errors_that_help_are_no_faults(error: FaceloomError) -> None:
    outcomes = outcomes_of(raising(error))
    assert not outcomes.faults
    assert outcomes.seen[0].startswith(f"step: {type(error).__name__}")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (KeyError("members"), "KeyError at test_rules.py"),
        (MemoryError(), "MemoryError"),
        (WorkerError("KeyError: 'x'", where="a", remedy="b"), "not foreseen"),
        (StorageError("", where="a", remedy="b"), "what failed"),
        (StorageError("is damaged", remedy="Remove it"), "where"),
        (StorageError("is damaged", where="a"), "what to do"),
        (StorageError("is damaged", where="a", value="1 error\n  for X", remedy="b"), "several lines"),
        (StorageError("is\u2028damaged\nhere", where="a", remedy="b"), "several lines"),
        (RecipeError("is wrong " * 300, where="$.name"), "more than 2000 letters"),
        (RecipeError("unexpected TypeError", where="$.name"), "not foreseen"),
    ],
)
def test_other_errors_are_faults(error: Exception, words: str) -> None:
    (fault,) = outcomes_of(raising(error)).faults
    assert words in str(fault).splitlines()[0]


def test_a_fault_does_not_hide_the_next_one() -> None:
    outcomes = Outcomes()
    for error in (KeyError(), ValueError()):
        outcomes.attempt("step", raising(error))
    assert len(outcomes.faults) == 2


@pytest.mark.parametrize(
    ("code", "uri", "message", "fault"),
    [
        ("no_face", "a.jpg", "no face", False),
        ("damaged_shard", "a.jpg", "a code of another stage", True),
        ("no_face", "", "no face", True),
        ("no_face", "a.jpg", "", True),
    ],
)
def test_rejects_have_a_documented_code_a_place_and_a_message(code: str, uri: str, message: str, fault: bool) -> None:
    outcomes = Outcomes()
    outcomes.rejects([Reject("analyse", "s", uri, code, message)])
    assert bool(outcomes.faults) is fault


def test_the_documents_list_codes_of_each_stage() -> None:
    codes = known_codes()
    assert "damaged_shard" in codes["scan"] and "no_face" in codes["analyse"] and "mask_fit" in codes["render"]
    assert "duplicate_photo" in codes["plan"] and "duplicate_photo" not in codes["scan"]


def test_a_step_that_waits_or_works_for_too_long_is_a_fault() -> None:
    def work() -> None:
        while True:
            sum(range(1_000))

    def wait() -> None:
        time.sleep(30)

    for call in (wait, work):
        begin = time.monotonic()
        with pytest.raises(Fault, match=r"took more than 0\.2 s"), limits("step", Outcomes(), seconds=0.2):
            call()
        assert time.monotonic() - begin < on_busy_machine(20)


def test_a_step_that_waits_ends_before_a_step_on_a_busy_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    def seconds_until_over(works: Callable[[float], float]) -> int:
        now = 0.0
        monkeypatch.setattr(time, "monotonic", lambda: now)
        monkeypatch.setattr(time, "process_time", lambda: works(now))
        clock = _Clock(10)
        while not clock.is_over():
            now += 0.5
        return round(now)

    assert seconds_until_over(lambda now: now) == 9
    assert seconds_until_over(lambda now: 0) == 20
    assert seconds_until_over(lambda now: min(now, 3)) == 23
    assert seconds_until_over(lambda now: now / 20) == 60


def test_a_step_that_takes_too_much_memory_is_a_fault() -> None:
    # In a process of its own: memory that other tests left free would be used first.
    code = """
import pytest
from tests.fuzz.rules import Fault, Outcomes, limits
with pytest.raises(Fault, match="took more than 20 MiB"), limits("step", Outcomes(), most_bytes=20 << 20):
    assert len(b"x" * (25 << 20))
with pytest.raises(MemoryError), limits("step", Outcomes(), most_bytes=200 << 20):
    bytes(4 << 30)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


def test_limits_are_lifted_afterwards() -> None:
    outcomes = Outcomes()
    with limits("step", outcomes, seconds=0.2, most_bytes=20 << 20):
        pass
    time.sleep(0.5)
    assert len(bytes(300 << 20)) and outcomes.seconds < 0.2


def test_a_file_outside_the_folders_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "here" / "work" / "out").mkdir(parents=True)
    check_nothing_escaped(tmp_path)
    (tmp_path / "here" / "PWNED").touch()
    with pytest.raises(Fault, match="outside its folders"):
        check_nothing_escaped(tmp_path)


def test_an_input_runs_in_a_folder_of_its_own() -> None:
    def run(folder: Path, outcomes: Outcomes) -> None:
        outcomes.attempt("read", (folder / "input" / "a" / "b.txt").read_bytes)
        (folder.parent / "x").touch()

    outcomes = run_case(Kind("files", dict, lambda rng: {}, run), {"a/b.txt": b"text"})
    assert outcomes.seen == ["read: ok"]
    assert [str(fault).splitlines()[0] for fault in outcomes.faults] == ["wrote outside its folders"]
