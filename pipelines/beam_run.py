"""The only wiring to Beam: a linear chain of small tasks on a named runner."""

from __future__ import annotations

import base64
import pickle
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from faceloom.pipelines.beam_worker import deaths_as_errors, quiet_beam, worker_command
from faceloom.schemas.errors import FaceloomError

Do = Callable[[Any], tuple[str, Any, Mapping[str, float]]]
Then = Callable[[Any], None]
_NAMESPACE = "faceloom_seconds"
_MARK = "faceloom-error:"


def run_tasks(tasks: Sequence[Any], do: Do, *, workers: int, then: Then | None = None) -> dict[str, float]:
    """Run every task on local workers: `Create → Reshuffle → Map(do)`, and `→ GroupByKey → Map(then)` if asked.

    Args:
        tasks: small picklable values, ordered by falling cost if they differ.
        do: does one task; returns a key and a value for `then`, and seconds by stage. Must be harmless when repeated.
        workers: processes; 1 works in this one.
        then: gets one value of each key, once all tasks of that key are done.

    Returns:
        Seconds by stage, added up over all tasks.

    Raises:
        FaceloomError: what a task raised, or a worker died.
    """
    if not tasks:
        return {}
    quiet_beam()
    import apache_beam as beam
    from apache_beam.options.pipeline_options import PipelineOptions
    from apache_beam.runners.portability.fn_api_runner import FnApiRunner
    from apache_beam.transforms.environments import EmbeddedPythonEnvironment, SubprocessSDKEnvironment

    processes = SubprocessSDKEnvironment.from_command_string(worker_command())
    runner = FnApiRunner(EmbeddedPythonEnvironment.default() if workers == 1 else processes)
    pipeline = beam.Pipeline(runner=runner, options=PipelineOptions([f"--direct_num_workers={workers}"]))
    results = (
        pipeline
        | "Tasks" >> beam.Create(deal(tasks, workers), reshuffle=False)
        | "Deal out" >> beam.Reshuffle()
        | "Do" >> beam.Map(partial(_do_and_count, do))
    )
    if then is not None:
        results | "Gather" >> beam.GroupByKey() | "Then" >> beam.Map(partial(_then, then))
    try:
        with deaths_as_errors():
            result = pipeline.run()
            result.wait_until_finish()
    except Exception as error:
        raise _as_ours(error) from error
    counters = result.metrics().query(beam.metrics.MetricsFilter().with_namespace(_NAMESPACE))["counters"]
    return {counter.key.metric.name: counter.committed / 1e6 for counter in counters}


def deal(tasks: Sequence[Any], workers: int) -> list[Any]:
    """Order tasks of falling cost so that workers who take them in turn get alike shares.

    Every second round runs backwards.
    """
    rounds = [list(tasks[start : start + workers]) for start in range(0, len(tasks), workers)]
    return [task for number, one in enumerate(rounds) for task in (reversed(one) if number % 2 else one)]


def _do_and_count(do: Do, task: Any) -> tuple[str, Any]:
    from apache_beam.metrics import Metrics

    try:
        key, value, seconds = do(task)
    except FaceloomError as error:
        raise _carried(error) from error
    for stage, spent in seconds.items():
        Metrics.counter(_NAMESPACE, stage).inc(round(spent * 1e6))
    return key, value


def _then(then: Then, group: tuple[str, Iterable[Any]]) -> None:
    try:
        then(next(iter(group[1])))
    except FaceloomError as error:
        raise _carried(error) from error


def _carried(error: FaceloomError) -> RuntimeError:
    """An error of ours as one word of text: Beam appends to messages and, across processes, passes on nothing else."""
    return RuntimeError(f"{_MARK}{base64.b64encode(pickle.dumps(error)).decode()}.")


def _as_ours(error: Exception) -> Exception:
    """The error of ours that a task raised, if one did."""
    found = re.search(re.escape(_MARK) + r"([A-Za-z0-9+/=]+)\.", str(error))
    ours = pickle.loads(base64.b64decode(found[1])) if found else error
    return ours if isinstance(ours, FaceloomError) else error
