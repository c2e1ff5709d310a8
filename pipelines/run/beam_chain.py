"""The one shape of our Beam pipelines: a linear chain, which every runner handles right."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any


def add_chain(
    pipeline: Any,
    tasks: Sequence[Any],
    do: Callable[[Any], tuple[str, Any]],
    then: Callable[[tuple[str, Iterable[Any]]], None] | None,
    *,
    spread: bool = True,
) -> None:
    """Add `Create → Reshuffle → Map(do)` to a pipeline, followed by `GroupByKey → Map(then)` if `then` is given.

    No tagged outputs, side branches, states, outputs of `finish_bundle` or file sinks of Beam: some runners end as done
    with wrong data for each of them.

    Args:
        pipeline: a `beam.Pipeline`.
        tasks: small values that can be pickled.
        do: does a task; returns a key and a small value.
        then: called with a key and its values.
        spread: False leaves `Reshuffle` out, for a runner that does one task at a time anyway.
    """
    import apache_beam as beam

    given = pipeline | "Tasks" >> beam.Create(list(tasks), reshuffle=False)
    done = (given | "Spread" >> beam.Reshuffle() if spread else given) | "Do" >> beam.Map(do)
    if then is not None:
        done | "Gather" >> beam.GroupByKey() | "Then" >> beam.Map(then)
