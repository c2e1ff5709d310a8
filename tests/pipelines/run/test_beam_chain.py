"""Our pipelines are linear chains; the check that holds this refuses each shape that some runner gets wrong."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from faceloom.pipelines.run.beam_chain import add_chain
from tests.pipelines.run.chain_check import steps_of_chain

beam: Any = pytest.importorskip("apache_beam")


def do(number: int) -> tuple[str, int]:
    return str(number % 2), number


def then(group: tuple[str, Iterable[int]]) -> None:
    done.append((group[0], sorted(group[1])))


done: list[tuple[str, list[int]]] = []


def local() -> Any:
    from apache_beam.runners.portability.fn_api_runner import FnApiRunner

    return beam.Pipeline(runner=FnApiRunner())


def test_the_chain_does_each_task_and_each_group() -> None:
    done.clear()
    with local() as pipeline:
        add_chain(pipeline, range(5), do, then)
    assert sorted(done) == [("0", [0, 2, 4]), ("1", [1, 3])]


@pytest.mark.parametrize("end", [None, then])
@pytest.mark.parametrize("spread", [True, False])
def test_the_chain_is_linear(end: Any, spread: bool) -> None:
    pipeline = local()
    add_chain(pipeline, range(5), do, end, spread=spread)
    spreading, ending = ["Spread"] * spread, ["Gather", "Then"] if end else []
    assert steps_of_chain(pipeline) == ["Tasks", *spreading, "Do", *ending]


def tagged(start: Any) -> None:
    from apache_beam.pvalue import TaggedOutput

    start | beam.FlatMap(lambda number: [number, TaggedOutput("odd", number)]).with_outputs("odd", main="even")


def leaves(start: Any) -> None:
    start | "A" >> beam.Map(str)
    start | "B" >> beam.Map(float)


def stateful(start: Any) -> None:
    from apache_beam.transforms.userstate import CombiningValueStateSpec

    class Counts(beam.DoFn):  # type: ignore[misc]
        count = CombiningValueStateSpec("count", sum)

        def process(self, element: Any, state: Any = beam.DoFn.StateParam(count)) -> Any:  # noqa: B008
            state.add(1)
            yield element

    start | beam.Map(do) | beam.ParDo(Counts())


def finishing(start: Any) -> None:
    class Batches(beam.DoFn):  # type: ignore[misc]
        def process(self, element: Any) -> Any:
            yield element

        def finish_bundle(self) -> Any:
            yield beam.utils.windowed_value.WindowedValue(0, 0, [])

    start | beam.ParDo(Batches())


def batching(start: Any) -> None:
    start | beam.BatchElements(min_batch_size=2)


def text(start: Any) -> None:
    start | beam.Map(str) | beam.io.WriteToText("out")


def parquet(start: Any) -> None:
    import pyarrow as pa

    start | beam.Map(lambda number: {"a": number}) | beam.io.WriteToParquet("out", pa.schema([("a", pa.int64())]))


def side_input(start: Any) -> None:
    other = start.pipeline | "Other" >> beam.Create([1])
    start | beam.Map(lambda number, more: number + more, beam.pvalue.AsSingleton(other))


def roots(start: Any) -> None:
    start.pipeline | "Other" >> beam.Create([1])


SHAPES = {
    tagged: "tagged outputs",
    leaves: "several consumers",
    stateful: "states",
    finishing: "finish_bundle",
    batching: "finish_bundle",
    text: "several inputs",  # its own, by which it tells when all files are written
    parquet: "several inputs",
    side_input: "side inputs|several inputs",
    roots: "several roots",
}


@pytest.mark.parametrize("add", SHAPES, ids=lambda add: add.__name__)
def test_the_check_refuses_what_some_runners_get_wrong(add: Any) -> None:
    pipeline = local()
    add(pipeline | "Tasks" >> beam.Create(range(5)))
    with pytest.raises(AssertionError, match=SHAPES[add]):
        steps_of_chain(pipeline)
