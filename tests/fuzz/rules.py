"""What may come out of any input: a result, a reject with a known code, or an error of ours that helps."""

from __future__ import annotations

import contextlib
import os
import re
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from types import FrameType
from typing import TypeVar

from faceloom.schemas.errors import FaceloomError, PhotoError, RecipeError, WorkerError
from faceloom.schemas.photos import Reject

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 10.0
"""Longest time for one input."""
STAGES = ("scan", "analyse", "plan", "render")
MOST_BYTES = 2 << 30
"""Most memory for one input, above what the process had before."""
_LONGEST_MESSAGE = 2_000
_WITHOUT_REMEDY = (RecipeError, PhotoError)
"""Errors whose `what` states what is right, or which a person reads in a table of rejects."""

_ASLEEP = 0.02
"""Share of the processor below which a process waits."""

T = TypeVar("T")


class Fault(AssertionError):
    """An input did what no input may do. The first line is the same for each input that shows the same fault."""


class TooSlowError(BaseException):
    """An input took too long. It is no Exception, so that no code of ours takes it for a fault of a library."""


@dataclass
class Outcomes:
    """What came of one input.

    Attributes:
        seen: steps with their results, and codes of rejects.
        faults: what no input may do.
        seconds, bytes: most time and memory of a step.
    """

    seen: list[str] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    seconds: float = 0.0
    bytes: int = 0

    def attempt(self, step: str, call: Callable[[], T]) -> T | None:
        """Call a step within limits, and note its result or its fault; None if it has no result."""
        with self.noting_faults():
            try:
                with limits(step, self):
                    result = call()
            except FaceloomError as error:
                self.seen.append(
                    f"{step}: {type(error).__name__}{f' {error.code}' if isinstance(error, PhotoError) else ''}"
                )
                check_error(step, error)
            except Fault:
                raise
            except Exception as error:
                text = " ".join(str(error).split())[:300]
                raise Fault(f"{step}: {type(error).__name__} {raised_at(error)}\n{text}") from error
            else:
                self.seen.append(f"{step}: ok")
                return result
        return None

    def rejects(self, rejects: list[Reject]) -> None:
        """Note rejects, and as faults those that the documents do not have or that were not foreseen."""
        for reject in rejects:
            self.seen.append(f"reject {reject.stage}: {reject.code}")
            with self.noting_faults():
                check_reject(reject)

    @contextlib.contextmanager
    def noting_faults(self) -> Iterator[None]:
        """Go on after a fault, so that one does not hide the next."""
        try:
            yield
        except Fault as fault:
            self.faults.append(fault)


def check_error(step: str, error: FaceloomError) -> None:
    """Check that an error of ours states what failed and where, and what to do, in lines that a terminal can show."""
    place = f"{step}: {type(error).__name__} {raised_at(error)}"
    if isinstance(error, WorkerError):
        raise Fault(f"{place} is for errors that were not foreseen\n{error}")
    if not error.what or not (error.where or isinstance(error, PhotoError)):
        raise Fault(f"{place} does not state {'where' if error.what else 'what failed'}\n{error}")
    if not error.remedy and not isinstance(error, _WITHOUT_REMEDY):
        raise Fault(f"{place} does not state what to do\n{error}")
    # The name of a file may hold a line break, which the message escapes; the wording of a library may not.
    if any("\n" in text for text in (error.what, error.value)) or len(str(error).splitlines()) > 1:
        raise Fault(f"{place} has a message of several lines\n{error}")
    if len(str(error)) > _LONGEST_MESSAGE:
        raise Fault(f"{place} has a message of more than {_LONGEST_MESSAGE} letters\n{str(error)[:300]}")
    if re.search(r"unexpected \w*(error|exception)", str(error), re.IGNORECASE):
        raise Fault(f"{place} was not foreseen\n{error}")


def check_reject(reject: Reject) -> None:
    """Check that a reject has a place, a message, and a code of the documents for its stage."""
    if reject.code == "failed":
        raise Fault(f"reject {reject.stage}: failed, {reject.message.split(':')[0]}\n{reject}")
    if reject.code not in known_codes().get(reject.stage, set()):
        raise Fault(f"reject {reject.stage}: the documents have no code {reject.code!r}\n{reject}")
    if not reject.uri or not reject.message:
        raise Fault(f"reject {reject.stage}: {reject.code} without a place or a message\n{reject}")


@cache
def known_codes() -> dict[str, set[str]]:
    """The codes of rejects by stage, as the tables of docs/output.md list them."""
    text = (ROOT / "docs" / "output.md").read_text(encoding="utf-8").split("\n## Reject codes")[1]
    codes: dict[str, set[str]] = {stage: set() for stage in STAGES}
    heading = ""
    for line in text.splitlines():
        if line.startswith("### "):
            heading = line.split()[1].rstrip(":")
        elif line.startswith("| `"):
            names, stages = line.split(" | ")[:2]
            for stage in STAGES:
                if stage == heading or stage in stages.split(", "):
                    codes[stage].update(re.findall(r"`(\w+)`", names))
    return codes


def raised_at(error: BaseException) -> str:
    """Where an error was raised: the innermost line of ours, and that of a library below it."""
    frames = list(traceback.extract_tb(error.__traceback__))
    ours = [frame for frame in frames if ROOT in Path(frame.filename).parents and ".venv" not in frame.filename]
    ours = [frame for frame in ours if "tests" not in Path(frame.filename).relative_to(ROOT).parts] or frames[-1:]
    if not ours:
        return "at an unknown place"
    frames = [frame for frame in frames if frame.name != _too_slow.__name__]
    own, last = ours[-1], frames[-1]
    at = f"at {Path(own.filename).name}:{own.lineno} {own.name}"
    return at if last is own else f"{at} (in {Path(last.filename).name} {last.name})"


@contextlib.contextmanager
def limits(step: str, outcomes: Outcomes, *, seconds: float = SECONDS, most_bytes: int = MOST_BYTES) -> Iterator[None]:
    """Hold what runs inside to time and memory, and note how much it took.

    Raises:
        Fault: it took more.
    """
    before, old = _reset_peak(), resource.getrlimit(resource.RLIMIT_AS)
    handler = signal.signal(signal.SIGALRM, partial(_too_slow, _Clock(seconds)))
    # Threads and memory maps take addresses without memory, so half as much again is let through and then measured.
    _limit_addresses(most_bytes * 3 // 2, old[1])
    begin, taken = time.monotonic(), 0
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    except TooSlowError as error:
        raise Fault(f"{step}: took more than {seconds:g} s {raised_at(error)}") from error
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        resource.setrlimit(resource.RLIMIT_AS, old)
        taken = max(0, _peak() - before)
        outcomes.seconds = max(outcomes.seconds, time.monotonic() - begin)
        outcomes.bytes = max(outcomes.bytes, taken)
    if taken > most_bytes:
        raise Fault(f"{step}: took more than {most_bytes >> 20} MiB\n{taken >> 20} MiB")


class _Clock:
    """Time since it was made: on the wall, and of the processors, which stands still while others use them."""

    def __init__(self, seconds: float) -> None:
        self._seconds, self._wall, self._own = seconds, time.monotonic(), time.process_time()
        self._moved = self._wall, self._own

    def is_over(self) -> bool:
        """Whether the time is up: most of it in the processor, six times of it on the wall, or twice of it in sleep.

        A busy machine gives little of the processor, but some, and that is slower.
        """
        wall, own = time.monotonic(), time.process_time()
        if own - self._moved[1] > _ASLEEP * (wall - self._moved[0]):
            self._moved = wall, own
        asleep = wall - self._moved[0]
        return (
            own - self._own >= self._seconds * 0.9
            or wall - self._wall >= self._seconds * 6
            or asleep >= self._seconds * 2
        )


def _too_slow(clock: _Clock, number: int, frame: FrameType | None) -> None:
    """Raise once if the time is up, and look again later if it is not."""
    if clock.is_over():
        raise TooSlowError
    signal.setitimer(signal.ITIMER_REAL, 0.5)


def _limit_addresses(room: int, hard: int) -> None:
    status = _status()
    if "VmSize" in status:
        wanted = status["VmSize"] + room
        resource.setrlimit(resource.RLIMIT_AS, (wanted if hard < 0 else min(wanted, hard), hard))


def _status() -> dict[str, int]:
    """Sizes of this process in bytes, where the system has /proc."""
    try:
        text = Path("/proc/self/status").read_text()
    except OSError:
        return {}
    return {name: int(size) << 10 for name, size in re.findall(r"^(Vm\w+):\s+(\d+) kB", text, re.MULTILINE)}


def _peak() -> int:
    unit = 1 if sys.platform == "darwin" else 1024
    return _status().get("VmHWM") or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _reset_peak() -> int:
    """Let the peak begin anew, where the system can, and return the memory in use."""
    with contextlib.suppress(OSError):
        handle = os.open("/proc/self/clear_refs", os.O_WRONLY)
        try:
            os.write(handle, b"5")
        finally:
            os.close(handle)
    return _peak()
