"""Tasks through Beam: each done once, time added up, errors whole, and a pipeline as plain as can be.

What worker processes are to run is defined inside functions: Beam then sends it by value, so that workers need not find
this file.
"""

from __future__ import annotations

import os
import pickle
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceloom.pipelines import beam_run
from faceloom.pipelines.beam_run import deal, run_tasks
from faceloom.schemas.errors import FaceloomError, PhotoError, RecipeError, SourceError, StorageError

Task = tuple[str, int]


def leaves_a_file(folder: Path) -> Callable[[Task], tuple[str, Task, dict[str, float]]]:
    def do(task: Task) -> tuple[str, Task, dict[str, float]]:
        key, number = task
        # One file per attempt, so that a task done twice is seen.
        with (folder / f"{key}-{number}").open("a") as stream:
            stream.write(f"{os.getpid()}\n")
        return key, task, {"work": 0.5, f"of {key}": 0.25}

    return do


def gathers(folder: Path) -> Callable[[Task], None]:
    def then(task: Task) -> None:
        done = len(list(folder.glob(f"{task[0]}-*")))
        with (folder / f"{task[0]}.then").open("a") as stream:
            stream.write(f"{done}\n")

    return then


TASKS = [(key, number) for key in "abc" for number in range(4)]


@pytest.mark.parametrize("workers", [1, 2])
def test_every_task_is_done_once_and_then_its_group(tmp_path: Path, workers: int) -> None:
    seconds = run_tasks(TASKS, leaves_a_file(tmp_path), workers=workers, then=gathers(tmp_path))
    assert seconds == {"work": 6.0, "of a": 1.0, "of b": 1.0, "of c": 1.0}
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        [f"{key}-{number}" for key, number in TASKS] + [f"{key}.then" for key in "abc"]
    )
    pids = Counter((tmp_path / f"{key}-{number}").read_text() for key, number in TASKS)
    assert pids.total() == len(TASKS)
    assert all(len(pid.split()) == 1 for pid in pids), "nothing is done twice"
    assert [(tmp_path / f"{key}.then").read_text() for key in "abc"] == ["4\n"] * 3, "once each, after all of the group"
    if workers == 1:
        assert set(pids) == {f"{os.getpid()}\n"}, "one worker works in this process"
    else:
        assert len(pids) == 2
        assert f"{os.getpid()}\n" not in pids
        assert max(pids.values()) <= 8, "nobody does nearly everything"


def test_no_tasks_no_beam(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beam_run, "quiet_beam", lambda: pytest.fail("Beam is not needed"))
    assert run_tasks([], lambda task: ("", None, {}), workers=2) == {}


def test_tasks_without_then(tmp_path: Path) -> None:
    assert run_tasks(TASKS[:2], leaves_a_file(tmp_path), workers=1)["work"] == 1.0


NASTY = "it's \"broken\": \\n [while running 'Do']\nsecond line\ttab {brace} 100% é 写真 faceloom.schemas.errors.X: y"


def raising(error: Exception) -> Callable[[Any], Any]:
    def fail(_: Any) -> Any:
        raise error

    return fail


@pytest.mark.parametrize(
    "error",
    [
        StorageError(NASTY, where=NASTY, value=NASTY, remedy=NASTY),
        SourceError("gone", where="a/b"),
        RecipeError("wrong", where="$.masks[0]"),
        PhotoError("no_face", "none", where="x.jpg"),
        FaceloomError(""),
        StorageError("x" * 20_000),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("place", ["do", "then"])
def test_an_error_of_ours_comes_through_whole(error: FaceloomError, place: str) -> None:
    fail = raising(error)
    with pytest.raises(FaceloomError) as caught:
        if place == "do":
            run_tasks([("a", 1)], fail, workers=1)
        else:
            run_tasks([("a", 1)], lambda task: ("a", task, {}), workers=1, then=fail)
    assert type(caught.value) is type(error)
    assert vars(caught.value) == vars(error)
    assert str(caught.value) == str(error)


def test_an_error_of_ours_comes_through_from_worker_processes() -> None:
    error = StorageError(NASTY, where=NASTY, value=NASTY, remedy=NASTY)
    with pytest.raises(StorageError) as caught:
        run_tasks(TASKS, raising(error), workers=2)
    assert vars(caught.value) == vars(error)


def test_another_error_says_what_it_was() -> None:
    with pytest.raises(Exception, match="no such thing") as caught:
        run_tasks([("a", 1)], raising(ValueError("no such thing")), workers=1)
    assert not isinstance(caught.value, FaceloomError)


def test_one_error_among_many_tasks_is_told(tmp_path: Path) -> None:
    done = leaves_a_file(tmp_path)

    def do(task: Task) -> Any:
        if task == ("b", 2):
            raise SourceError("gone")
        return done(task)

    with pytest.raises(SourceError, match="gone"):
        run_tasks(TASKS, do, workers=1, then=gathers(tmp_path))
    assert not list(tmp_path.glob("b.then")), "a group with a failed task is not gathered"


class Stop(Exception):
    """Raised in place of running a pipeline."""


@pytest.mark.parametrize("then", [None, lambda value: None])
def test_the_pipeline_is_one_chain_on_a_named_runner(monkeypatch: pytest.MonkeyPatch, then: Any) -> None:
    import apache_beam as beam
    from apache_beam.runners.portability.fn_api_runner import FnApiRunner

    built = []

    def stop(pipeline: beam.Pipeline) -> None:
        built.append(pipeline)
        raise Stop

    monkeypatch.setattr(beam.Pipeline, "run", stop)
    with pytest.raises(Stop):
        run_tasks(TASKS, lambda task: ("a", 1, {}), workers=2, then=then)
    [pipeline] = built
    assert isinstance(pipeline.runner, FnApiRunner)
    proto = pipeline.to_runner_api()
    graph = proto.components.transforms
    [root] = proto.root_transform_ids
    steps = [graph[name] for name in graph[root].subtransforms or [root]]
    assert [step.unique_name for step in steps] == ["Tasks", "Deal out", "Do", *(["Gather", "Then"] if then else [])]
    assert not steps[0].inputs
    for step, following in pairwise(steps):
        assert list(step.outputs.values()) == list(following.inputs.values()), (
            "one hands on to the next, and to nobody else"
        )


def test_tasks_travel_small() -> None:
    """What passes through Beam's grouping is names, never pictures."""
    from faceloom.pipelines.parts import PartTask, ShardTask

    task = PartTask(ShardTask("train-0101-0123456789ab", tuple(f"{n:024d}" for n in range(20))), "0" * 24)
    assert len(pickle.dumps(task)) < 2000


@given(st.lists(st.integers(0, 1000)), st.integers(1, 8))
def test_dealing_loses_nothing(costs: list[int], workers: int) -> None:
    assert sorted(deal(costs, workers)) == sorted(costs)


@given(st.lists(st.integers(1, 1000), min_size=1), st.integers(1, 8))
def test_workers_that_take_turns_get_alike_shares(costs: list[int], workers: int) -> None:
    costs.sort(reverse=True)
    dealt = deal(costs, workers)
    shares = [sum(dealt[worker::workers]) for worker in range(workers)]
    assert max(shares) - min(shares) <= costs[0], "by no more than the largest task"


def test_every_second_round_runs_backwards() -> None:
    assert deal([6, 5, 4, 3, 2, 1], 2) == [6, 5, 3, 4, 2, 1]
    assert deal([3, 2, 1], 1) == [3, 2, 1]
    assert deal([2, 1], 8) == [2, 1]
    assert deal([5, 4, 3], 2) == [5, 4, 3]
