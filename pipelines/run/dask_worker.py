"""What happens on a Dask worker: it checks itself, does tasks, reports progress, and stops if no driver waits."""

from __future__ import annotations

import contextlib
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from faceloom.pipelines.run import progress
from faceloom.pipelines.run.lasting import is_lasting
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import FaceloomError, StorageError, WorkerError, error_to_json
from faceloom.schemas.versions import ANALYSER, RENDERER

TOPIC = "faceloom-progress"
"""Events of running tasks: the run, the number of the task, and how many of its items are done."""

_PACKAGES = (
    *("faceloom", "dask", "distributed", "numpy", "opencv-python-headless", "dlib-bin", "pillow", "pyarrow"),
    *("albumentations", "face_recognition_models", "faiss-cpu", "torch"),
)
"""Packages that bytes may depend on, and those of Dask."""
_VARIABLES = ("FACELOOM_LANDMARK_MODEL",)
_OF_SCHEDULER = ("Python", "faceloom", "dask", "distributed")
_TICK_SECONDS = 0.5
_SAME = "Install the same versions of Python and of all packages on the scheduler and the workers as here"
_ONE_THREAD = "Start workers with one thread each: `dask worker SCHEDULER --nworkers auto --nthreads 1`"
_SHARE = "Mount the same folder at the same path on every machine, writable for the user of the worker"
_SAME_STORE = "Start each worker with the variables that name the store and its credentials; see docs/clusters.md"


def versions() -> dict[str, str]:
    """Versions of Python, our operations and installed packages, and environment variables that change results."""
    found = {"Python": ".".join(platform.python_version_tuple()[:2]), "analyser": ANALYSER, "renderer": RENDERER}
    found |= {name: os.environ.get(name, "unset") for name in _VARIABLES}
    for name in _PACKAGES:
        with contextlib.suppress(PackageNotFoundError):  # what a task needs and misses, it reports itself
            found[name] = version(name)
    return found


def other_versions(wanted: Mapping[str, str]) -> str:
    """The versions of this process that differ from those of another; empty if none does."""
    own = versions()
    pairs = ((name, own.get(name, wanted[name]), wanted[name]) for name in wanted)
    return ", ".join(f"{name} {found} instead of {needed}" for name, found, needed in pairs if found != needed)


def other_versions_of_scheduler(wanted: Mapping[str, str]) -> str:
    """As `other_versions`, in the process of a scheduler, which does no tasks."""
    return other_versions({name: wanted[name] for name in _OF_SCHEDULER})


@dataclass(frozen=True, slots=True)
class Needs:
    """What a worker must have before it does tasks.

    Attributes:
        versions: of the process that plans; see `versions`.
        folder: the output folder; empty to leave it unchecked.
        probe: a file there.
        token: content of that file.
        build: the build or plan that the run belongs to.
    """

    versions: tuple[tuple[str, str], ...]
    folder: str = ""
    probe: str = ""
    token: str = ""
    build: str = ""


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a function on a worker.

    Attributes:
        run: the run that it belongs to; several may share a cluster.
        number: of the call in the run.
        attempt: from 1.
        function: defined at the top of a module.
        argument: of the function.
        needs: what the worker must have.
    """

    run: str
    number: int
    attempt: int
    function: Callable[[Any], Any]
    argument: Any
    needs: Needs

    @property
    def key(self) -> str:
        """Name of the call on the cluster."""
        return f"faceloom-{self.run}-{self.number}-{self.attempt}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call came to.

    Attributes:
        result: of the function; None after an error.
        error: as JSON; empty if there is none.
        again: the machine may be to blame, so that another attempt may succeed.
        count: items done; see `progress.tick`.
        worker: address of the worker.
    """

    result: Any
    error: str
    again: bool
    count: int
    worker: str


def answer(call: Call) -> Answer:
    """Do a call on the Dask worker of this thread. An error becomes part of the answer."""
    from distributed import get_worker

    worker = get_worker()
    counter = _Counter(worker, call)
    result, error, again = None, "", False
    _running.add(call.run)
    progress.count_with(counter.add)
    try:
        forget_other_builds(call.needs.build)
        error = fault_of_worker(call.needs, worker)
        again = bool(error)
        if not error:
            result = call.function(call.argument)
    except _Unwanted:
        error, again = error_to_json(WorkerError("the task was cancelled")), True
    except Exception as caught:
        error = error_to_json(caught)
        again = not isinstance(caught, FaceloomError) or isinstance(caught, WorkerError | StorageError)
    finally:
        progress.count_with(None)
        _running.discard(call.run)
    return Answer(result, error, again, counter.count, worker.address)


_build = ""


def forget_other_builds(build: str) -> None:
    """Empty all caches if they were filled by another build: models, tables and photos may have changed since.

    Those that are `lasting` stay. Processes of a build on one machine end with it; a Dask worker lives on.
    """
    global _build
    if build != _build:
        for name, module in list(sys.modules.items()):
            if name.startswith("faceloom.pipelines."):
                for thing in vars(module).values():
                    if callable(empty := getattr(thing, "cache_clear", None)) and not is_lasting(thing):
                        empty()
        _build = build


_running: set[str] = set()


def is_running(run: str) -> bool:
    """Whether a task of a run is still running in this process."""
    return run in _running


def fault_of_worker(needs: Needs, dask_worker: Any) -> str:
    """The error, as JSON, of a worker that cannot do tasks; empty if it can. It checks itself once for each run.

    A worker must run tasks in one thread, because dlib's detectors are not made for several.

    Args:
        needs: of the run.
        dask_worker: of this process. Dask gives it, by this name, to functions that it runs on all workers.
    """
    return _fault(needs, f"Dask worker {dask_worker.address}", dask_worker.state.nthreads)


@lru_cache(maxsize=8)
def _fault(needs: Needs, where: str, threads: int) -> str:
    import cv2

    cv2.setNumThreads(1)  # there is a worker for each processor
    if others := other_versions(dict(needs.versions)):
        return error_to_json(WorkerError("other versions than here", where=where, value=others, remedy=_SAME))
    if threads != 1:
        what = "tasks cannot share a process"
        return error_to_json(WorkerError(what, where=where, value=f"{threads} threads", remedy=_ONE_THREAD))
    if not needs.folder:
        return ""
    remedy = _SAME_STORE if "://" in needs.folder else _SHARE
    try:
        storage = Storage(needs.folder)
        if not storage.exists(needs.probe) or storage.read_bytes(needs.probe, 100) != needs.token.encode():
            what = "this worker does not see the output folder"
            return error_to_json(WorkerError(what, where=where, value=needs.folder, remedy=remedy))
        storage.check_writable()
    except StorageError as error:
        what = "this worker cannot use the output folder"
        return error_to_json(WorkerError(what, where=where, value=error, remedy=remedy))
    return ""


class _Unwanted(BaseException):
    """The task was cancelled, so its result is of no use. No `except Exception` catches it."""


class _Counter:
    """Counts the ticks of a call, reports them now and then, and ends a call that was cancelled."""

    def __init__(self, worker: Any, call: Call) -> None:
        self._worker, self._call = worker, call
        self.count = 0
        self._reported = time.monotonic()

    def add(self, count: int) -> None:
        task = self._worker.state.tasks.get(self._call.key)
        if task is None or task.state == "cancelled":
            raise _Unwanted
        self.count += count
        if time.monotonic() - self._reported >= _TICK_SECONDS:
            self._reported = time.monotonic()
            self._worker.log_event(TOPIC, [self._call.run, self._call.number, self._call.attempt, self.count])
