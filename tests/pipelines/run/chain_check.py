"""Walks the proto of a Beam pipeline, and refuses what some runners end as done with wrong data."""

from __future__ import annotations

from itertools import pairwise
from typing import Any


def steps_of_chain(pipeline: Any) -> list[str]:
    """Names of the outermost steps of a pipeline that is one linear chain.

    Raises:
        AssertionError: it has tagged outputs, several roots or leaves, a collection with several consumers, side
            inputs, as the file sinks of Beam have, a stateful DoFn, or a DoFn with a `finish_bundle`.
    """
    from apache_beam.portability import common_urns
    from apache_beam.portability.api import beam_runner_api_pb2 as api

    proto = pipeline.to_runner_api()
    graph = proto.components.transforms
    consumers: dict[str, list[str]] = {}
    made: list[str] = []
    for step in graph.values():
        assert len(step.outputs) <= 1, f"{step.unique_name}: tagged outputs"
        if step.subtransforms or list(step.inputs.values()) == list(step.outputs.values()):
            continue  # its parts are checked, or it passes its input on
        assert len(step.inputs) <= 1, f"{step.unique_name}: several inputs"
        made += step.outputs.values()
        for used in step.inputs.values():
            consumers.setdefault(used, []).append(step.unique_name)
        if step.spec.urn == common_urns.primitives.PAR_DO.urn:
            payload = api.ParDoPayload.FromString(step.spec.payload)
            assert not payload.side_inputs, f"{step.unique_name}: side inputs"
            assert not payload.state_specs, f"{step.unique_name}: states"
            assert not payload.timer_family_specs, f"{step.unique_name}: timers"
    for used, steps in consumers.items():
        assert len(steps) == 1, f"{used}: several consumers: {', '.join(steps)}"
    primitives = [step for step in graph.values() if not step.subtransforms]
    assert len([step for step in primitives if not step.inputs]) == 1, "several roots"
    assert len(set(made) - set(consumers)) <= 1, "several leaves"
    _refuse_odd_functions(pipeline)
    return _outermost(proto)


def _refuse_odd_functions(pipeline: Any) -> None:
    """The proto holds DoFns as pickles, which nothing here opens: look at the objects that they came from."""
    import apache_beam as beam
    from apache_beam.pipeline import PipelineVisitor

    class Visitor(PipelineVisitor):  # type: ignore[misc]
        def visit_transform(self, step: Any) -> None:
            function = getattr(step.transform, "fn", None)
            if isinstance(function, beam.DoFn):
                own = type(function).finish_bundle is not beam.DoFn.finish_bundle
                assert not own, f"{step.full_label}: finish_bundle"

    pipeline.visit(Visitor())


def _outermost(proto: Any) -> list[str]:
    graph = proto.components.transforms
    names = list(proto.root_transform_ids)
    while len(names) == 1 and graph[names[0]].subtransforms and not graph[names[0]].outputs:
        names = list(graph[names[0]].subtransforms)
    for step, following in pairwise(names):
        assert list(graph[step].outputs.values()) == list(graph[following].inputs.values())
    return [graph[name].unique_name for name in names]
