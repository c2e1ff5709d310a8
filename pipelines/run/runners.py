"""Who runs tasks: worker processes on this machine, or the workers of a cluster."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Do = Callable[[Any], tuple[str, Any, Mapping[str, float]]]
Then = Callable[[Any], None]
OnCount = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Dask:
    """The workers of a Dask cluster that runs already. They share the output folder and the sources with this process.

    Attributes:
        scheduler: address of its scheduler, such as `tcp://host:8786`.
        folder: output folder that every worker must see and write to; `build` and `plan` set it.
        build: names one build or plan, for which workers keep what they read; `build` and `plan` set it.
        patience: seconds to wait for the scheduler, and for a worker that takes tasks.
    """

    scheduler: str
    folder: str = ""
    build: str = ""
    patience: float = 60.0


Workers = int | Dask
"""The number of worker processes on this machine, or a cluster."""


def here(workers: Workers) -> int:
    """Number of worker processes on this machine; 0 for a cluster."""
    return workers if isinstance(workers, int) else 0
