"""Run tasks on a Dask cluster: plain futures, one for each task, that are tried again if a machine fails."""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import time
import warnings
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from faceloom.pipelines.run.dask_worker import (
    TOPIC,
    Answer,
    Call,
    Needs,
    answer,
    fault_of_worker,
    is_running,
    other_versions_of_scheduler,
    versions,
)
from faceloom.pipelines.run.runners import Dask, Do, OnCount, OnNote, Then
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import FaceloomError, StorageError, WorkerError, error_from_json

MOST_ATTEMPTS = 3
"""Attempts at a task whose error may be the machine's. Dask itself also repeats the tasks of workers that die."""
CONNECT_SECONDS = 10.0
_OF_SCHEDULER = "all"
"""Topic of the scheduler's own events, such as the loss of a worker."""
_BATCH, _POLL_SECONDS, _LOOK_SECONDS, _STOP_SECONDS = 1000, 0.05, 2.0, 4.0
_AGAIN = "Run the same command again; finished tasks are kept"
_START = "Start one with `dask scheduler`, and give its address, such as tcp://host:8786"
_SAME = (
    "Install faceloom, and the same versions of Python and of all packages, on the scheduler and the workers as here"
)
_NO_WORKERS = (
    "Start workers with `dask worker SCHEDULER --nworkers auto --nthreads 1`. A paused worker lacks memory, see its"
    f" `--memory-limit`. {_AGAIN}"
)
_KILLED = f"Give each worker more memory, see `--memory-limit` of `dask worker`, and read its log. {_AGAIN}"


def check_cluster(cluster: Dask) -> None:
    """Check that the scheduler answers, and that it and the workers that are there have the versions of this process.

    Raises:
        WorkerError: the package is missing, there is no scheduler, or it or a worker has other versions.
    """
    with _connected(cluster) as client:
        _check(client, cluster, Needs(tuple(versions().items())))


def run_on_dask(
    tasks: Sequence[Any],
    do: Do,
    *,
    cluster: Dask,
    then: Then | None = None,
    on_count: OnCount = lambda count: None,
    on_note: OnNote = lambda text: None,
) -> dict[str, float]:
    """Run tasks on a Dask cluster; see `run_tasks`. A note names each worker that is lost meanwhile.

    Raises:
        FaceloomError: a task raised it. Errors of the machine are tried again, on other workers if there are any.
        WorkerError: the scheduler is lost, no worker takes tasks, workers are not fit, or die of the same task.
    """
    seconds: Counter[str] = Counter()
    groups: dict[str, Any] = {}
    with _connected(cluster) as client, _probed(cluster) as needs:
        _check(client, cluster, needs)
        run = _Run(client, cluster, needs, on_count, on_note)
        for key, value, spent in run.map(do, tasks):
            seconds.update(spent)
            groups.setdefault(key, value)
        for _ in run.map(then, list(groups.values())) if then else ():
            pass
    return dict(seconds)


class _Run:
    """One run on a cluster that other programs may share."""

    def __init__(self, client: Any, cluster: Dask, needs: Needs, on_count: OnCount, on_note: OnNote) -> None:
        self._client, self._cluster, self._needs = client, cluster, needs
        self._on_count, self._on_note = on_count, on_note
        self._name = secrets.token_hex(8)
        self._numbers = 0
        self._calls: dict[str, Call] = {}
        self._events: deque[Any] = deque()
        self._counts: dict[int, int] = {}
        self._only: dict[str, set[str]] = {}
        self._living: set[str] = set()
        self._done = self._shown = 0
        self._seen = self._looked = time.monotonic()
        self._losses: deque[Any] = deque()
        client.subscribe_topic(TOPIC, lambda event: self._events.append(event[1]))
        client.subscribe_topic(_OF_SCHEDULER, lambda event: self._losses.append(event[1]))

    def map(self, function: Callable[[Any], Any], arguments: Sequence[Any]) -> Iterator[Any]:
        """Call a function with each argument on the workers; yields the results as they come."""
        from distributed import as_completed

        calls = [
            Call(self._name, self._numbers + n, 1, function, each, self._needs) for n, each in enumerate(arguments)
        ]
        self._numbers += len(calls)
        self._calls = {call.key: call for call in calls}
        keys = list(self._calls)
        futures = as_completed(loop=self._client.loop, with_results=True, raise_errors=False)
        try:
            futures.update(self._client.map(answer, calls, key=keys, pure=False, batch_size=_BATCH))
            while self._calls:
                finished = futures.next_batch(block=False)
                for future, result in finished:
                    if (call := self._calls.pop(future.key, None)) is None:
                        continue  # its workers were gone, so it was submitted again
                    found = self._answer(future, result)
                    if not found.error:
                        self._count(call.number, found.count, final=True)
                        yield found.result
                    elif found.again and call.attempt < MOST_ATTEMPTS:
                        futures.add(self._retry(replace(call, attempt=call.attempt + 1), found.worker))
                    else:
                        raise _named(error_from_json(found.error), found.worker, call.attempt)
                self._show()
                self._look(bool(finished))
                for call in self._stranded():
                    futures.add(self._retry(replace(call, attempt=call.attempt + 1)))
                if not finished:
                    time.sleep(_POLL_SECONDS)
        except BaseException:
            self._stop(list(futures.futures))
            raise

    def _answer(self, future: Any, result: Any) -> Answer:
        """The answer of a future.

        Raises:
            WorkerError: it has none.
        """
        if future.status == "finished" and isinstance(result, Answer):
            return result
        if future.status != "error":
            raise _lost(self._cluster, getattr(result, "reason", "") or result)
        error = result[1]
        if type(error).__name__ == "KilledWorker":
            value = f"{error.allowed_failures + 1} workers died; the last one was {error.last_worker.address}"
            raise WorkerError("Dask workers died of the same task", value=value, remedy=_KILLED)
        value = f"{type(error).__name__}: {error}"
        raise WorkerError("a Dask worker cannot run a task", where=self._cluster.scheduler, value=value, remedy=_SAME)

    def _retry(self, call: Call, failed: str = "") -> Any:
        """Submit a call again, only to other workers than the one that failed if there are any.

        A worker that fails soon has time to take calls from busy ones, and would fail all attempts. The call comes
        before all that wait, so that what fails everywhere, such as a full disk, ends the run soon.
        """
        self._calls[call.key] = call
        others = [address for address in self._statuses() if address != failed]
        self._only[call.key] = {*others}
        return self._client.submit(answer, call, key=call.key, pure=False, priority=1, workers=others or None)

    def _stranded(self) -> list[Call]:
        """Take out the calls whose workers are all gone."""
        keys = [key for key, only in self._only.items() if key in self._calls and only and not only & self._living]
        return [self._calls.pop(key) for key in keys]

    def _count(self, number: int, count: int, *, final: bool = False) -> None:
        self._done += count - self._counts.get(number, 0)
        self._counts[number] = count
        if final:  # events that come later do not count
            del self._counts[number]

    def _show(self) -> None:
        """Pass on what the workers report; the count of a task that starts again never goes back."""
        while self._events:
            run, number, attempt, count = self._events.popleft()
            if run == self._name and f"faceloom-{run}-{number}-{attempt}" in self._calls:
                self._count(number, count)
                self._seen = time.monotonic()
        self._shown = max(self._shown, self._done)
        self._on_count(self._shown)
        while self._losses:
            self._note_loss(self._losses.popleft())

    def _note_loss(self, event: Any) -> None:
        """Note a worker that went away with tasks of this run."""
        if not isinstance(event, dict) or event.get("action") != "remove-worker":
            return
        keys = {*event["processing-tasks"], *event["lost-computed-tasks"]}
        if number := len(keys & self._calls.keys()):
            again = "Its task runs again on another one" if number == 1 else f"Its {number} tasks run again on others"
            self._on_note(f"Warning: the Dask worker {event['worker']} is lost. {again}")

    def _look(self, progressed: bool) -> None:
        """Check now and then that the scheduler is there and that a worker takes tasks.

        Raises:
            WorkerError: the scheduler is lost, or no worker has taken tasks for the cluster's patience.
        """
        now = time.monotonic()
        if progressed:
            self._seen = now
        if now - self._looked < _LOOK_SECONDS:
            return
        self._looked = now
        statuses = Counter(self._statuses().values())
        if statuses["running"]:
            self._seen = now
        elif now - self._seen > self._cluster.patience:
            value = ", ".join(f"{number} {status}" for status, number in statuses.items()) or "no workers"
            value = f"{value} for {self._cluster.patience:.0f} seconds"
            where = self._cluster.scheduler
            raise WorkerError("no Dask worker takes tasks", where=where, value=value, remedy=_NO_WORKERS)

    def _statuses(self) -> dict[str, str]:
        """Status of each worker, by address.

        Raises:
            WorkerError: the scheduler is lost.
        """
        if self._client.status != "running":
            raise _lost(self._cluster, self._client.status)
        try:
            asked = self._client.sync(self._client.scheduler.identity, n_workers=-1, callback_timeout=CONNECT_SECONDS)
        except (OSError, TimeoutError) as error:
            raise _lost(self._cluster, error) from None
        self._living = {*asked["workers"]}
        return {address: worker["status"] for address, worker in asked["workers"].items()}

    def _stop(self, futures: list[Any]) -> None:
        """Cancel everything, and wait until no worker writes to the output folder any more."""
        client, end = self._client, time.monotonic() + _STOP_SECONDS
        with contextlib.suppress(Exception):  # the first error is the one to report
            _within(client, partial(client.cancel, futures), _STOP_SECONDS)
            ask = partial(client.run, is_running, self._name, on_error="ignore")
            while any(_within(client, ask, max(0.1, end - time.monotonic())).values()):
                time.sleep(_POLL_SECONDS)


def _check(client: Any, cluster: Dask, needs: Needs) -> None:
    where = f"Dask scheduler {cluster.scheduler}"
    try:
        ask = partial(client.run_on_scheduler, other_versions_of_scheduler, dict(needs.versions))
        others = _within(client, ask, CONNECT_SECONDS)
    except Exception as error:  # of any type, such as that of a missing module
        value = f"{type(error).__name__}: {error}"
        raise WorkerError("the scheduler cannot be checked", where=where, value=value, remedy=_SAME) from None
    if others:
        raise WorkerError("other versions than here", where=where, value=others, remedy=_SAME)
    try:
        faults = _within(client, partial(client.run, fault_of_worker, needs, on_error="return"), cluster.patience)
    except (OSError, TimeoutError) as error:
        what, remedy = "the Dask workers do not answer", f"Restart those that hang. {_AGAIN}"
        raise WorkerError(what, where=cluster.scheduler, value=error or "", remedy=remedy) from None
    for address, fault in sorted(faults.items()):
        if isinstance(fault, Exception):
            value = f"{type(fault).__name__}: {fault}"
            raise WorkerError("the worker cannot be checked", where=f"Dask worker {address}", value=value, remedy=_SAME)
        if fault:
            raise error_from_json(fault)


def _within(client: Any, call: Callable[..., Any], seconds: float) -> Any:
    """Call a method of the client that would otherwise wait without limit."""
    return client.sync(partial(call, asynchronous=True), callback_timeout=seconds)


def _lost(cluster: Dask, why: object) -> WorkerError:
    return WorkerError("the Dask scheduler is lost", where=cluster.scheduler, value=why, remedy=_AGAIN)


def _named(error: FaceloomError, worker: str, attempts: int) -> FaceloomError:
    """The error with the worker on which it happened, unless it is about the worker itself."""
    if worker in error.where:
        return error
    tried = f", attempt {attempts} of {MOST_ATTEMPTS}" if attempts > 1 else ""
    error.what = f"{error.what} (on the Dask worker {worker}{tried})"
    return error


@contextlib.contextmanager
def _connected(cluster: Dask) -> Iterator[Any]:
    """A client of the scheduler, whose log is silent: errors reach the caller as exceptions."""
    try:
        from distributed import Client
    except ImportError as error:
        remedy = "Install the extra: `pip install 'faceloom[dask]'`"
        raise WorkerError("the package `distributed` is missing", value=error, remedy=remedy) from None
    with _silent_dask():
        try:
            timeout = min(CONNECT_SECONDS, cluster.patience)
            client = Client(cluster.scheduler, timeout=timeout, set_as_default=False, name="faceloom")
        except Exception as error:  # of many types, for addresses that are none too
            value = f"{type(error).__name__}: {error}"
            raise WorkerError(
                "no Dask scheduler answers", where=cluster.scheduler, value=value, remedy=_START
            ) from None
        try:
            yield client
        finally:
            with contextlib.suppress(Exception):
                client.close(timeout=2)


@contextlib.contextmanager
def _silent_dask() -> Iterator[None]:
    names = [name for name in logging.Logger.manager.loggerDict if name.split(".")[0] in ("distributed", "tornado")]
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of versions, which are compared here
            yield
    finally:
        for logger, level in zip(loggers, levels):
            logger.setLevel(level)


@contextlib.contextmanager
def _probed(cluster: Dask) -> Iterator[Needs]:
    """What workers need, with a file in the output folder that they must find there."""
    needs = Needs(tuple(versions().items()), cluster.folder, build=cluster.build)
    if not cluster.folder:
        yield needs
        return
    storage, token = Storage(cluster.folder), secrets.token_hex(16)
    probe = f".partial-{os.getpid()}-{secrets.randbits(62)}"  # a name that the next run deletes if this one is killed
    with storage.write(probe, durable=False) as stream:
        stream.write(token.encode())
    try:
        yield replace(needs, probe=probe, token=token)
    finally:
        with contextlib.suppress(StorageError):
            storage.sweep_partials()  # the probe, and what dead workers left
