"""What happens on a Dataflow worker: it checks itself, reads a task, does it, and counts."""

from __future__ import annotations

import contextlib
import io
import struct
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from faceloom.pipelines.run import progress
from faceloom.pipelines.run.dask_worker import other_versions
from faceloom.pipelines.run.runners import Do, Then
from faceloom.pipelines.store.paths import JOBS
from faceloom.pipelines.store.storage import REPAIR, Storage
from faceloom.schemas.errors import StorageError, WorkerError, error_to_json

COUNTERS, ITEMS, SECONDS = "faceloom", "items", "faceloom_seconds"
"""Namespace and name of the counter of items, and namespace of those of microseconds by kind of work."""
_OFFSET = struct.Struct("<Q")
_MOST_BYTES = 2**26
_JSON = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64", ser_json_inf_nan="constants")
_SAME = "Build the image with the same versions of Python and of all packages as here; see constraints.txt"
_ONE = threading.Lock()


@dataclass(frozen=True, slots=True)
class Work:
    """One run of tasks. Small: each worker gets it with the pipeline.

    Attributes:
        folder: the output.
        name: of the run.
        kind: type of the tasks.
        number: of tasks.
        versions: that a worker must have; see `dask_worker.versions`.
    """

    folder: str
    name: str
    kind: type
    number: int
    versions: tuple[tuple[str, str], ...]

    @property
    def tasks(self) -> str:
        """The file of the tasks."""
        return f"{JOBS}-{self.name}.tasks"

    @property
    def fault(self) -> str:
        """The file of the last error of a task."""
        return f"{JOBS}-{self.name}.error.json"


def write_tasks(work: Work, tasks: Sequence[Any]) -> None:
    """Write the tasks where workers read them: as JSON, one after another, then where each begins.

    The pipeline holds numbers only: a job has 10 MB at most, and a hundred thousand tasks take gigabytes.
    """
    adapter, begins = _adapter(work.kind), [0]
    with Storage(work.folder).write(work.tasks, durable=False) as stream:
        for task in tasks:
            begins.append(begins[-1] + stream.write(adapter.dump_json((task,))))
        stream.write(b"".join(map(_OFFSET.pack, begins)))


def read_task(work: Work, number: int) -> Any:
    """Read one task.

    Raises:
        StorageError: the file is missing or damaged.
    """
    storage = Storage(work.folder)
    with storage.open(work.tasks) as stream:
        try:
            stream.seek(max(0, stream.seek(0, io.SEEK_END) - _OFFSET.size * (work.number + 1 - number)))
            begin, end = struct.unpack("<QQ", stream.read(2 * _OFFSET.size))
            if not 0 < end - begin < _MOST_BYTES:
                raise ValueError(f"a task of {end - begin} bytes")
            stream.seek(begin)
            return _adapter(work.kind).validate_json(stream.read(end - begin))[0]
        except (struct.error, ValueError, ValidationError) as error:
            where = storage.place(work.tasks)
            raise StorageError("the file of tasks is damaged", where=where, value=error, remedy=REPAIR) from None


@cache
def _adapter(kind: type) -> TypeAdapter[Any]:
    return TypeAdapter(tuple[kind], config=_JSON)  # type: ignore[valid-type]


def do_task(number: int, work: Work, do: Do) -> tuple[str, Any]:
    """Do a task on this worker; returns its key and value."""
    from apache_beam.metrics import Metrics

    with _noting_errors(work):
        progress.count_with(Metrics.counter(COUNTERS, ITEMS).inc)
        try:
            key, value, seconds = do(read_task(work, number))
        finally:
            progress.count_with(None)
    for stage, spent in seconds.items():
        Metrics.counter(SECONDS, stage).inc(round(spent * 1e6))
    return key, value


def do_then(group: tuple[str, Iterable[Any]], work: Work, then: Then) -> None:
    """Call `then` with one value of a key."""
    with _noting_errors(work):
        then(next(iter(group[1])))


@contextlib.contextmanager
def _noting_errors(work: Work) -> Iterator[None]:
    """Check this worker first, and let one thread work at a time. Leave an error where the driver finds all of it.

    The service only passes on the text of a traceback. It tries the task four times in any case.
    """
    try:
        with _ONE:
            _check(work.versions)
            yield
    except Exception as error:
        with contextlib.suppress(Exception), Storage(work.folder).write(work.fault, durable=False) as stream:
            stream.write(error_to_json(error).encode())
        raise


@cache
def _check(versions: tuple[tuple[str, str], ...]) -> None:
    import cv2

    cv2.setNumThreads(1)  # there is a process for each core
    if others := other_versions(dict(versions)):
        raise WorkerError("other versions than here", where="the image of the workers", value=others, remedy=_SAME)
