"""Run tasks on this machine as a Beam pipeline: a linear chain of small tasks on a named runner."""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, wait
from contextlib import contextmanager
from functools import partial
from typing import Any

from faceloom.pipelines.run import progress
from faceloom.pipelines.run.beam_chain import add_chain
from faceloom.pipelines.run.runners import Do, OnCount, Then
from faceloom.pipelines.run.worker_pool import WorkerPool

_SECONDS = "faceloom_seconds"
_POLL_SECONDS = 0.1


def run_here(
    tasks: Sequence[Any], do: Do, *, workers: int, then: Then | None = None, on_count: OnCount = lambda count: None
) -> dict[str, float]:
    """Run tasks on this machine; see `run_tasks`. With one worker they run in this process, otherwise in a pool.

    Raises:
        FaceloomError: a task raised it, or a worker process died.
    """
    run = _Run(do, then)
    _RUNS[run.number] = run
    try:
        with _silent_beam():  # its import takes seconds, during which the server of worker processes loads its modules
            if workers == 1:
                with progress.counting(on_count):
                    return run.pipeline(tasks, threads=1)
            with WorkerPool(workers) as pool:
                run.pool = pool
                # All at once and in order, so that no worker process waits for Beam to hand out the next task.
                run.calls = [pool.submit(do, task) for task in tasks]

                def on_poll() -> None:
                    on_count(pool.done)
                    pool.check()

                return _run_beside(lambda: run.pipeline(tasks, threads=workers), on_poll)
    except Exception as error:
        raise run.errors[0] if run.errors else error from None  # Beam replaces them, Ctrl-C too, by errors of its own
    finally:
        del _RUNS[run.number]


_numbers = itertools.count()


class _Run:
    """One call of `run_here`. Beam copies the functions that it runs, so these find their run by its number.

    Attributes:
        pool: runs the tasks; None to run them in this process.
        calls: submitted to the pool, for each task.
        errors: raised by tasks, the first one first.
    """

    def __init__(self, do: Do, then: Then | None) -> None:
        self.number = next(_numbers)
        self._do, self._then = do, then
        self.pool: WorkerPool | None = None
        self.calls: list[Future[Any]] = []
        self.errors: list[BaseException] = []

    def pipeline(self, tasks: Sequence[Any], threads: int) -> dict[str, float]:
        import apache_beam as beam
        from apache_beam.options.pipeline_options import PipelineOptions
        from apache_beam.runners.portability.fn_api_runner import FnApiRunner
        from apache_beam.transforms.environments import EmbeddedPythonEnvironment

        # Our functions take and return anything: checks of types only cost time.
        options = PipelineOptions([f"--direct_num_workers={threads}", "--no_pipeline_type_check"])
        pipeline = beam.Pipeline(runner=FnApiRunner(EmbeddedPythonEnvironment.default()), options=options)
        then = None if self._then is None else partial(_then, self.number)
        add_chain(pipeline, list(enumerate(tasks)), partial(_do, self.number), then, spread=threads > 1)
        result = pipeline.run()
        result.wait_until_finish()
        counters = result.metrics().query(beam.metrics.MetricsFilter().with_namespace(_SECONDS))["counters"]
        return {counter.key.metric.name: counter.committed / 1e6 for counter in counters}

    def do(self, numbered: tuple[int, Any]) -> tuple[str, Any]:
        from apache_beam.metrics import Metrics

        number, task = numbered
        with self._noting_errors():
            key, value, seconds = self.pool.result(self.calls[number]) if self.pool else self._do(task)
        for stage, spent in seconds.items():
            Metrics.counter(_SECONDS, stage).inc(round(spent * 1e6))
        return key, value

    def then(self, group: tuple[str, Iterable[Any]]) -> None:
        assert self._then is not None
        value = next(iter(group[1]))
        with self._noting_errors():
            if self.pool:
                self.pool.result(self.pool.submit(self._then, value))
            else:
                self._then(value)

    @contextmanager
    def _noting_errors(self) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            self.errors.append(error)  # before the others are cancelled, which are errors too
            if self.pool:
                self.pool.cancel()
            raise


_RUNS: dict[int, _Run] = {}


def _do(run: int, numbered: tuple[int, Any]) -> tuple[str, Any]:
    return _RUNS[run].do(numbered)


def _then(run: int, group: tuple[str, Iterable[Any]]) -> None:
    _RUNS[run].then(group)


def _run_beside(pipeline: Callable[[], dict[str, float]], on_poll: Callable[[], None]) -> dict[str, float]:
    """Run a pipeline in a thread beside this one, which stays free for Ctrl-C and for showing progress."""
    outcome: Future[dict[str, float]] = Future()

    def target() -> None:
        try:
            outcome.set_result(pipeline())
        except BaseException as error:
            outcome.set_exception(error)

    thread = threading.Thread(target=target, daemon=True)
    thread.start()
    while not wait([outcome], _POLL_SECONDS).done:
        on_poll()
        if not thread.is_alive() and not outcome.done():
            raise MemoryError("the thread that runs the tasks ended")
    on_poll()
    return outcome.result()


@contextmanager
def _silent_beam() -> Iterator[None]:
    """Import Beam, and silence its log for a while: errors reach the caller as exceptions.

    It stays silent after Ctrl-C: the pipeline goes on in its thread, and would log the end of the worker processes.
    """
    root, ours = logging.getLogger(), logging.getLogger("apache_beam")
    level, handler = ours.level, logging.NullHandler()
    root.addHandler(handler)  # without any, Beam's import installs one that prints
    ours.setLevel(logging.CRITICAL)
    stopped = False
    try:
        from apache_beam.runners.portability import fn_api_runner  # noqa: F401

        yield
    except BaseException as error:
        stopped = not isinstance(error, Exception)
        raise
    finally:
        if not stopped:
            ours.setLevel(level)
            root.removeHandler(handler)
