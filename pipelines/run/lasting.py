"""Caches that a process keeps from one build to the next, such as models that take a second to load."""

from __future__ import annotations

from typing import TypeVar

T = TypeVar("T")
_LASTING: list[object] = []


def lasting(cached: T) -> T:
    """Keep the cache of a function when a Dask worker begins another build.

    What it holds must depend only on its arguments and on what is installed. A file must be named with its stamp.
    """
    _LASTING.append(cached)
    return cached


def is_lasting(cached: object) -> bool:
    """Whether a cache is kept."""
    return any(cached is one for one in _LASTING)
