"""Measure the time of each stage."""

from __future__ import annotations

import time
from collections import defaultdict
from contextlib import AbstractContextManager


class Stopwatch:
    """Adds up the seconds of each stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)

    def time(self, stage: str) -> AbstractContextManager[None]:
        """Add the time of the block to a stage, also if it fails."""
        return _Timed(self.seconds, stage)


class _Timed:
    """A class, since every photo enters ten of these, and a generator takes three times as long."""

    __slots__ = ("_begin", "_seconds", "_stage")

    def __init__(self, seconds: dict[str, float], stage: str) -> None:
        self._seconds, self._stage = seconds, stage

    def __enter__(self) -> None:
        self._begin = time.perf_counter()

    def __exit__(self, *error: object) -> None:
        self._seconds[self._stage] += time.perf_counter() - self._begin
