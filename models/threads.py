"""Number of threads of torch during a piece of work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch compute on one thread; afterwards on as many as before.

    Each worker process has one core. The number of threads also decides the order of sums, and so the last bits:
    results that must be equal in every process are computed in this context.
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
