"""Two processes that do the same tasks at the same time, as when a scheduler loses sight of a worker that goes on."""

from __future__ import annotations

import multiprocessing
import os
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from faceloom.pipelines.store import object_client
from tests.faults.causes import noticing

_SECONDS = 120


class Twins:
    """Does every task twice at once, and every shard too.

    Attributes:
        met: number of tasks that both began at the same time.
    """

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.met = 0
        self._barrier = context.Barrier(2)
        self._pipes, self._processes = [], []
        for number in range(2):
            own, other = context.Pipe()
            process = context.Process(target=_serve, args=(other, self._barrier, number), daemon=True)
            process.start()
            self._pipes.append(own)
            self._processes.append(process)

    def run(self, tasks: Any, do: Any, *, then: Any = None, on_count: Any = None, **_: Any) -> dict[str, float]:
        """In place of `run_tasks`."""
        for pipe in self._pipes:
            pipe.send((dict(os.environ), list(tasks), do, then))
        answers = []
        for pipe in self._pipes:
            assert pipe.poll(_SECONDS), "a twin does not answer"
            answers.append(pipe.recv())
        for met, errors in answers:
            assert not errors, errors
            self.met += met
        return {}

    def close(self) -> None:
        """End both."""
        for process in self._processes:
            process.kill()
            process.join()


def _serve(pipe: Any, barrier: Any, number: int) -> None:
    chance = random.Random(number)

    def pause(moment: str, path: str) -> None:
        """Sometimes the one is behind, sometimes the other."""
        if chance.random() < 0.5:
            time.sleep(chance.uniform(0, 0.03))

    while True:
        environment, tasks, do, then = pipe.recv()
        os.environ.update(environment)
        object_client._opened.cache_clear()
        errors: list[str] = []
        groups: dict[str, Any] = {}
        with noticing(pause):
            for task in tasks:
                for key, value, _ in _tried(barrier, errors, do, task):
                    groups.setdefault(key, value)
            for value in groups.values() if then else ():
                [*_tried(barrier, errors, then, value)]
        pipe.send((len(tasks) + len(groups if then else ()), errors))


def _tried(barrier: Any, errors: list[str], do: Any, task: Any) -> Iterator[Any]:
    barrier.wait(_SECONDS)
    try:
        yield do(task)
    except Exception as error:
        errors.append(f"{type(error).__name__}: {error}")


@contextmanager
def two_processes() -> Iterator[Twins]:
    """Twins for a block."""
    twins = Twins()
    try:
        yield twins
    finally:
        twins.close()
