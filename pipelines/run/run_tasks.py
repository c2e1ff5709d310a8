"""Run tasks as a Beam pipeline: a linear chain of small tasks on a named runner."""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from faceloom.pipelines.run import progress
from faceloom.pipelines.run.worker_pool import WorkerPool

Do = Callable[[Any], tuple[str, Any, Mapping[str, float]]]
Then = Callable[[Any], None]

_SECONDS = "faceloom_seconds"
_POLL_SECONDS = 0.1


def run_tasks(
    tasks: Sequence[Any],
    do: Do,
    *,
    workers: int,
    then: Then | None = None,
    on_count: Callable[[int], None] = lambda count: None,
) -> dict[str, float]:
    """Run every task: `Create → Reshuffle → Map(do)`, and `→ GroupByKey → Map(then)` if asked.

    The pipeline runs in this process. With one worker so do the tasks; with more, each task is handed to a pool of
    worker processes.

    Args:
        tasks: small picklable values, ordered by falling cost if they differ.
        do: does one task; returns a key and a value for `then`, and seconds by stage. Must be harmless when repeated,
            and defined at the top of a module.
        workers: number of processes.
        then: gets one value of each key, once all tasks of that key are done.
        on_count: gets the number of items done so far; see `progress.tick`.

    Returns:
        Seconds by stage, added up over all tasks.

    Raises:
        FaceloomError: what a task raised, or a worker process died.
    """
    if not tasks:
        return {}
    _import_beam()  # takes seconds, in which the server of worker processes gets ready
    run = _Run()
    _RUNS[run.number] = run
    pipeline = partial(_run_pipeline, tasks, do, then, run.number, workers)
    try:
        if workers == 1:
            with progress.counting(on_count):
                return pipeline()
        with WorkerPool(workers) as run.pool:
            # All at once and in order, so that no worker process ever waits for Beam to hand out the next task.
            run.calls = [run.pool.submit(do, task) for task in tasks]
            return _run_beside(pipeline, run.pool, on_count)
    except Exception as error:
        raise run.errors[0] if run.errors else error from None  # Beam raises others in their place
    finally:
        del _RUNS[run.number]


_numbers = itertools.count()


@dataclass
class _Run:
    """One call of `run_tasks`. Beam copies the functions that it runs, so these look their run up by number.

    Attributes:
        pool: runs the tasks; None to run them in this process.
        calls: submitted to the pool, for each task.
        errors: that tasks raised, the first one first.
    """

    number: int = field(default_factory=_numbers.__next__)
    pool: WorkerPool | None = None
    calls: list[Future[Any]] = field(default_factory=list)
    errors: list[Exception] = field(default_factory=list)

    def do(self, do: Do, number: int, task: Any) -> tuple[str, Any, Mapping[str, float]]:
        with self._noted():
            done: tuple[str, Any, Mapping[str, float]]
            done = self.pool.result(self.calls[number]) if self.pool else do(task)
            return done

    def then(self, then: Then, value: Any) -> None:
        with self._noted():
            if self.pool:
                self.pool.result(self.pool.submit(then, value))
            else:
                then(value)

    @contextmanager
    def _noted(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self.errors.append(error)
            raise


_RUNS: dict[int, _Run] = {}


def _run_pipeline(tasks: Sequence[Any], do: Do, then: Then | None, run: int, threads: int) -> dict[str, float]:
    import apache_beam as beam
    from apache_beam.options.pipeline_options import PipelineOptions
    from apache_beam.runners.portability.fn_api_runner import FnApiRunner
    from apache_beam.transforms.environments import EmbeddedPythonEnvironment

    options = PipelineOptions([f"--direct_num_workers={threads}"])
    pipeline = beam.Pipeline(runner=FnApiRunner(EmbeddedPythonEnvironment.default()), options=options)
    results = (
        pipeline
        | "Tasks" >> beam.Create(list(enumerate(tasks)), reshuffle=False)
        | "Spread" >> beam.Reshuffle()
        | "Do" >> beam.Map(partial(_do, do, run))
    )
    if then is not None:
        results | "Gather" >> beam.GroupByKey() | "Then" >> beam.Map(partial(_then, then, run))
    result = pipeline.run()
    result.wait_until_finish()
    counters = result.metrics().query(beam.metrics.MetricsFilter().with_namespace(_SECONDS))["counters"]
    return {counter.key.metric.name: counter.committed / 1e6 for counter in counters}


def _do(do: Do, run: int, numbered: tuple[int, Any]) -> tuple[str, Any]:
    from apache_beam.metrics import Metrics

    key, value, seconds = _RUNS[run].do(do, *numbered)
    for stage, spent in seconds.items():
        Metrics.counter(_SECONDS, stage).inc(round(spent * 1e6))
    return key, value


def _then(then: Then, run: int, group: tuple[str, Iterable[Any]]) -> None:
    _RUNS[run].then(then, next(iter(group[1])))


def _run_beside(
    pipeline: Callable[[], dict[str, float]], pool: WorkerPool, on_count: Callable[[int], None]
) -> dict[str, float]:
    """Run a pipeline in a thread beside this one, which stays free for Ctrl-C and for showing progress."""
    results: list[dict[str, float]] = []
    errors: list[BaseException] = []

    def target() -> None:
        try:
            results.append(pipeline())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=target, daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(_POLL_SECONDS)
        on_count(pool.done)
    if errors:
        raise errors[0]
    return results[0]


def _import_beam() -> None:
    """Import Beam, and keep it from printing then and later: what matters reaches the caller as an exception."""
    root = logging.getLogger()
    if not root.handlers:
        root.addHandler(logging.NullHandler())
    logging.getLogger("apache_beam").setLevel(logging.CRITICAL)
    from apache_beam.runners.portability import fn_api_runner  # noqa: F401
