"""Faults that worker processes cause to themselves: they die, run out of memory, have odd clocks or a bad network."""

from __future__ import annotations

import contextlib
import os
import re
import resource
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Protocol
from unittest import mock

from faceloom.pipelines.run.run_tasks import run_tasks
from faceloom.pipelines.store import object_client
from faceloom.pipelines.store.object_storage import ObjectStorage
from faceloom.pipelines.store.storage import Storage

CALLERS = ("analyse.survey", "plan.neighbour_search", "plan.index_search", "build")
"""Modules of `pipelines` that run tasks."""
Notice = Callable[[str, str], None]
"""Called with a moment, which is `begun`, `half`, `written` or `removed`, and the path of a file."""


class Cause(Protocol):
    """A fault, pickled with each task."""

    def at_work(self) -> AbstractContextManager[None]:
        """Cause the fault while the block runs, in this process."""


@contextmanager
def disturbed(cause: Cause) -> Iterator[None]:
    """Cause a fault in the worker processes of all builds of this process, and not in this process."""

    def run(tasks: Any, do: Any, *, then: Any = None, **options: Any) -> dict[str, float]:
        then = then and partial(_under, then, cause)
        return run_tasks(tasks, partial(_under, do, cause), then=then, **options)

    with instead_of_run_tasks(run):
        yield


@contextmanager
def instead_of_run_tasks(run: Callable[..., dict[str, float]]) -> Iterator[None]:
    """Let builds of this process call another function in place of `run_tasks`."""
    with contextlib.ExitStack() as stack:
        for module in CALLERS:
            stack.enter_context(mock.patch(f"faceloom.pipelines.{module}.run_tasks", run))
        yield


def _under(do: Callable[[Any], Any], cause: Cause, task: Any) -> Any:
    with cause.at_work():
        return do(task)


@contextmanager
def noticing(notice: Notice) -> Iterator[None]:
    """Notice each file that this process writes or removes."""
    with contextlib.ExitStack() as stack:
        for kind in (Storage, ObjectStorage):
            for name, wrap in (("write", _noticed_write), ("remove", _noticed_remove)):
                stack.enter_context(mock.patch.object(kind, name, wrap(getattr(kind, name), notice)))
        yield


def _noticed_write(real: Any, notice: Notice) -> Any:
    @contextmanager
    def write(self: Storage, path: str, **options: Any) -> Iterator[Any]:
        notice("begun", path)
        with real(self, path, **options) as stream:
            yield _Stream(stream, partial(notice, "half", path))
        notice("written", path)

    return write


def _noticed_remove(real: Any, notice: Notice) -> Any:
    def remove(self: Storage, path: str) -> None:
        real(self, path)
        notice("removed", path)

    return remove


class _Stream:
    """A file that is noticed when half of its first bytes are written."""

    def __init__(self, stream: Any, notice: Callable[[], None]) -> None:
        self._stream, self._notice = stream, notice

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        half = len(view) // 2
        self._stream.write(view[:half])
        self._notice()
        self._notice = lambda: None
        self._stream.write(view[half:])
        return len(view)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@dataclass(frozen=True)
class Killed:
    """At each of these moments, the first process that comes to it is killed.

    Attributes:
        moments: moment, as `noticing` has it, and regular expression of the whole path.
        folder: a folder of this machine, where a file is left for each kill.
    """

    moments: tuple[tuple[str, str], ...]
    folder: Path

    def at_work(self) -> AbstractContextManager[None]:
        return noticing(self._notice)

    def _notice(self, moment: str, path: str) -> None:
        for number, (wanted, pattern) in enumerate(self.moments):
            if moment == wanted and re.fullmatch(pattern, path) and is_first(self.folder / f"killed-{number}"):
                os.kill(os.getpid(), signal.SIGKILL)

    def count(self) -> int:
        """Number of kills so far."""
        return len([*self.folder.glob("killed-*")])


def is_first(file: Path) -> bool:
    """Whether this process is the first of all to ask."""
    try:
        file.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


@dataclass(frozen=True)
class OtherClock:
    """The clock is hours ahead in one process and behind in the next, and files get its time."""

    folder: Path
    seconds: float = 6 * 3600.0

    @contextmanager
    def at_work(self) -> Iterator[None]:
        real, first = time.time, self.folder / "first"
        if is_first(first):
            first.write_text(str(os.getpid()))
        ahead = self.seconds if first.read_text() == str(os.getpid()) else -self.seconds
        (self.folder / f"clock {ahead:+.0f}").touch()

        def now() -> float:
            return real() + ahead

        with mock.patch.object(time, "time", now), _dated(now):
            yield


@contextmanager
def _dated(now: Callable[[], float]) -> Iterator[None]:
    """Files on a disk get the time of a clock, as on network drives whose clients set it."""
    real = Path.replace

    def replace(self: Path, target: Path) -> Path:
        os.utime(self, (now(), now()))
        return real(self, target)

    with mock.patch.object(Path, "replace", replace):
        yield


@dataclass(frozen=True)
class LittleMemory:
    """The first process that comes has hardly more memory than it uses already, for this task and all that follow.

    Attributes:
        folder: a folder of this machine, where it leaves a line for each task that it tries.
        spare: bytes of address space that it may still take.
    """

    folder: Path
    spare: int = 0

    @contextmanager
    def at_work(self) -> Iterator[None]:
        poor = self.folder / "poor"
        if is_first(poor):
            poor.write_text(str(os.getpid()))
        if poor.read_text() != str(os.getpid()):
            yield
            return
        with (self.folder / "tried").open("a") as stream:
            stream.write("x")
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        before = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (used + self.spare, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_AS, before)


@dataclass(frozen=True)
class Impatient:
    """Requests to stores count as not answered after a short time, and are repeated soon, for a while.

    Attributes:
        seconds: without an answer.
        patience: seconds for which a request is repeated.
    """

    seconds: float = 0.5
    patience: float = 30.0

    @contextmanager
    def at_work(self) -> Iterator[None]:
        patience = object_client.Patience(self.patience, first=0.02, longest=0.3)
        timeouts = {"timeout": timedelta(seconds=self.seconds)}
        with mock.patch.multiple(object_client, PATIENCE=patience, TIMEOUTS=timeouts):
            object_client._opened.cache_clear()
            yield
        object_client._opened.cache_clear()
